/** Typed calls of another process's contract. */
import type { Address, Capability, LazyLoadBlob } from '../../wit/types.ts';
import { formatAddress } from '../../wit/address.ts';
import { type ArgsOf, type Contract, errorIn, type Methods, type ResultOf } from './contract.ts';
import type { Reply, RequestOptions } from './conversation.ts';
import { RemoteError } from './errors.ts';
import type { Target } from './process.ts';

/** What a client sends through; a `Process` or a `Script`. */
export interface Requester {
  request(target: Target, body: Uint8Array | string, options?: RequestOptions): Promise<Reply>;
  resolve(target: Target): Address;
}

type Call<A, R> = [A] extends [undefined]
  ? (args?: undefined, options?: RequestOptions) => Promise<R>
  : (args: A, options?: RequestOptions) => Promise<R>;

/** A result with what came beside it. */
export interface FullResult<R> {
  readonly value: R;
  readonly blob: LazyLoadBlob | undefined;
  readonly capabilities: readonly Capability[];
}

export type Client<M extends Methods> = {
  readonly [K in keyof M]: Call<ArgsOf<M[K]>, ResultOf<M[K]>> & {
    /** The same, resolving with the blob and the capabilities of the response too. */
    readonly full: Call<ArgsOf<M[K]>, FullResult<ResultOf<M[K]>>>;
  };
};

/**
 * One function for every method of the contract, which asks `target`. It rejects with `NoResponse`, or with `RemoteError` when the
 * other side refused or answered something else.
 */
export function client<M extends Methods>(
  requester: Requester,
  contract: Contract<M>,
  target: Target,
  defaults: RequestOptions = {},
): Client<M> {
  // Without async functions, each of which would cost as much as reading a short answer.
  const ask = <T>(
    kind: string,
    value: unknown,
    options: RequestOptions | undefined,
    read: (result: unknown, reply: Reply) => T,
  ): Promise<T> => {
    let body: Uint8Array;
    try {
      body = contract.requests.encode({ kind, value });
    } catch (error) {
      return Promise.reject(error);
    }
    const asked = options === undefined ? defaults : { ...defaults, ...options };
    return requester.request(target, body, asked).then((reply) => {
      const error = errorIn(reply.body, reply.metadata);
      if (error !== undefined) throw error;
      const decoded = contract.responses.decode(reply.body);
      if (decoded.ok && decoded.value.kind === kind) return read(decoded.value.value, reply);
      const from = formatAddress(requester.resolve(target));
      throw new RemoteError('BadResponse', `${from} answered ${kind} with something else`);
    });
  };
  const functions = Object.keys(contract.methods).map((kind) => {
    const full = (value: unknown, options?: RequestOptions): Promise<FullResult<unknown>> =>
      ask(kind, value, options, (result, { blob, capabilities }) => ({
        value: result,
        blob,
        capabilities,
      }));
    const call = (value: unknown, options?: RequestOptions): Promise<unknown> =>
      ask(kind, value, options, (result) => result);
    return [kind, Object.assign(call, { full })];
  });
  // Proof of the type: exactly one function for each method, made from that method's codecs.
  return Object.fromEntries(functions) as Client<M>;
}
