/**
 * Typed requests and responses from one declaration (kit.md §10.4). On the wire: externally tagged JSON, `{"Send":{…}}` or `"Ping"`,
 * and the response under the same name; a refusal is `{"Err":{"kind","message"}}` with metadata `{"error":true}`.
 */
import { type Codec, type Decoded, record, text, union } from '../../wit/codec.ts';
import { RemoteError } from './errors.ts';

/** One kind of request. */
export interface Method<A, R> {
  readonly args: Codec<A>;
  readonly result: Codec<R>;
}

export type Methods = Readonly<Record<string, Method<unknown, unknown>>>;

/** Who may call: any process that can reach this one, processes of this node, or processes of this package on this node. */
export type Access = 'any' | 'local' | 'package';

export interface Contract<M extends Methods> {
  readonly methods: M;
  /** Default `any`. */
  readonly access: { readonly [K in keyof M]?: Access };
  /** Bodies of requests and of responses. */
  readonly requests: Codec<Call>;
  readonly responses: Codec<Call>;
}

/** Method name and argument (or result). */
export interface Call {
  readonly kind: string;
  readonly value?: unknown;
}

export type ArgsOf<M> = M extends Method<infer A, unknown> ? A : never;
export type ResultOf<M> = M extends Method<unknown, infer R> ? R : never;

/** `method(record({ target: text }), unit)`: codecs of argument and result, from wit/codec.ts. */
export function method<A, R>(args: Codec<A>, result: Codec<R>): Method<A, R> {
  return { args, result };
}

/** A contract of named methods. `access`: of each method, or of all of them. */
export function contract<const M extends Methods>(
  methods: M,
  { access = {} }: { readonly access?: Access | { readonly [K in keyof M]?: Access } } = {},
): Contract<M> {
  const forAll = (one: Access): Record<string, Access> =>
    Object.fromEntries(Object.keys(methods).map((name) => [name, one]));
  const pick = (part: 'args' | 'result'): Codec<Call> =>
    union(
      Object.fromEntries(Object.entries(methods).map(([name, codecs]) => [name, codecs[part]])),
    );
  return {
    methods,
    access: typeof access === 'string' ? forAll(access) : access,
    requests: pick('args'),
    responses: pick('result'),
  };
}

// ---- refusals on the wire

export const ERROR_METADATA = '{"error":true}';

const errorBody = record({ kind: text, message: text });
const refusalBody = union({ Err: errorBody });

export type ErrorBody = Decoded<typeof errorBody>;

export function encodeError(error: ErrorBody): Uint8Array {
  return refusalBody.encode({ kind: 'Err', value: error });
}

/** The error that a response carries, if it is one. */
export function errorIn(body: Uint8Array, metadata: string | undefined): RemoteError | undefined {
  if (metadata !== ERROR_METADATA) return undefined;
  const decoded = refusalBody.decode(body);
  return decoded.ok
    ? new RemoteError(decoded.value.value.kind, decoded.value.value.message)
    : new RemoteError('Unknown', 'the other side answered with an error that cannot be read');
}
