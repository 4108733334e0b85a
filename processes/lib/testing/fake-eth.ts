/** `eth:distro:sys` in memory, for tests of processes. It speaks through wit/eth-api.ts. */
import { address as addressOf } from '../../../wit/address.ts';
import {
  ethAction,
  ethResponse,
  ethSubResult,
  type EthAction,
  type EthError,
} from '../../../wit/eth-api.ts';
import type { JsonValue } from '../../../wit/json.ts';
import type { MemoryHost, Peer } from './memory-host.ts';

/** The result of a call, or a refusal; undefined: no answer at all. */
export type FakeChain = (method: string, params: readonly unknown[]) => unknown;

/** What a chain refuses with: throw it from a `FakeChain`. */
export class FakeRefusal extends Error {
  readonly error: EthError;
  constructor(error: EthError) {
    super(error.kind);
    this.error = error;
  }
}

type Subscribe = Extract<EthAction, { kind: 'SubscribeLogs' }>['value'];

export class FakeEth {
  /** By chain id. */
  readonly chains = new Map<number, FakeChain>();
  /** Subscriptions that are alive, by the process's own id. */
  readonly subscriptions = new Map<number, Subscribe>();
  /** Every method that was asked, and `agreed:` before one that had to be agreed on. */
  readonly log: string[] = [];
  /** Refuses the next subscriptions. */
  refusing: EthError | undefined;

  readonly peer: Peer = (sent) => {
    const decoded = ethAction.decode(sent.request.body);
    if (!decoded.ok) return refuse({ kind: 'MalformedRequest' });
    const action = decoded.value;
    switch (action.kind) {
      case 'Request': {
        const { chain_id, method, params } = action.value;
        this.log.push(method);
        return this.#call(Number(chain_id), method, JSON.parse(params));
      }
      case 'AgreedRequest': {
        const { chain_id, method, params } = action.value;
        this.log.push(`agreed:${method}`);
        return this.#call(Number(chain_id), method, params);
      }
      case 'SubscribeLogs': {
        if (this.refusing !== undefined) return refuse(this.refusing);
        this.subscriptions.set(Number(action.value.sub_id), action.value);
        return ethResponse.encode({ kind: 'Ok' });
      }
      case 'UnsubscribeLogs':
        return this.subscriptions.delete(Number(action.value))
          ? ethResponse.encode({ kind: 'Ok' })
          : refuse({ kind: 'MalformedRequest' });
    }
  };

  /** Something happened: every live subscription is told. */
  notify(host: MemoryHost, result: unknown): void {
    for (const id of this.subscriptions.keys())
      this.#send(host, { kind: 'Ok', value: { id, result: result as JsonValue } });
  }

  /** Every live subscription ends. */
  end(host: MemoryHost, error = 'closed unexpectedly'): void {
    for (const id of [...this.subscriptions.keys()]) {
      this.subscriptions.delete(id);
      this.#send(host, { kind: 'Err', value: { id, error } });
    }
  }

  #send(host: MemoryHost, update: Parameters<typeof ethSubResult.encode>[0]): void {
    const source = addressOf(`${host.our().node}@eth:distro:sys`);
    host.arrive({ source, body: ethSubResult.encode(update) });
  }

  #call(chainId: number, method: string, params: unknown): ReturnType<Peer> {
    const chain = this.chains.get(chainId);
    if (chain === undefined) return refuse({ kind: 'NoRpcForChain' });
    try {
      const list = Array.isArray(params) ? (params as readonly unknown[]) : [];
      const result = chain(method, list);
      if (result === undefined) return undefined;
      return ethResponse.encode({ kind: 'Response', value: result as JsonValue });
    } catch (error) {
      if (!(error instanceof FakeRefusal)) throw error;
      return refuse(error.error);
    }
  }
}

/** A revert, as providers report it. */
export function reverted(data: string): FakeRefusal {
  const value = { code: 3, message: 'execution reverted', data };
  return new FakeRefusal({ kind: 'RpcError', value });
}

function refuse(error: EthError): Uint8Array {
  return ethResponse.encode({ kind: 'Err', value: error });
}
