/**
 * `eth:distro:sys` (eth.md): requests and subscriptions of processes to any EVM chain, through URLs and through other nodes, and for
 * other nodes where its owner allows it.
 */
import { randomBytes } from 'node:crypto';
import type { Answer, KernelPort, ModuleRequest, RuntimeModule } from '../../kernel/module.ts';
import {
  ethAction,
  type EthAction,
  ethConfigAction,
  type EthConfigAction,
  ethConfigResponse,
  type EthConfigResponse,
  type EthError,
  ethKeepalive,
  ethResponse,
  ethSubResult,
  type EthSubResult,
  type HnsUpdate,
} from '../../wit/eth-api.ts';
import { formatJson, type JsonValue } from '../../wit/json.ts';
import type { Address, KernelMessage, ProcessId, Result, SendError, U64 } from '../../wit/types.ts';
import type { Clock } from '../shared/clock.ts';
import { decodeBody } from '../shared/refuse.ts';
import { type Agreed, agree, type Witness } from './agreement.ts';
import { Configuration, type ConfigurationOptions } from './configuration.ts';
import { NodeProvider, Outstanding } from './node-provider.ts';
import { ProviderList } from './provider-list.ts';
import { mayAsk, Throttle } from './remote.ts';
import { Requests, rpcError, type Served } from './requests.ts';
import { Subscriptions } from './subscriptions.ts';
import { upstreamSource } from './upstream-source.ts';
import { UrlProvider } from './url-provider.ts';

/** A request with the init code of a large contract fits. */
export const BODY_BYTES_MAX = 1024 * 1024;
/** The params of the capability that lets its holder change providers and access. */
export const ROOT_PARAMS = '{"root":true}';
/** Per call of an agreed read, in milliseconds. */
const AGREED_CALL_MS = 10_000;

export interface EthNeeds {
  readonly port: Pick<KernelPort, 'our' | 'send' | 'offer' | 'print'>;
  readonly clock: Clock;
}

export type EthOptions = ConfigurationOptions;

/** The module, and what the node itself asks of chains. */
export interface EthModule extends RuntimeModule<EthWork> {
  /** A read that decides money or identity (F35). */
  agreed(chainId: U64, method: string, params: JsonValue): Promise<Agreed>;
  /** What net should know to reach the nodes among the providers (networking.md §12). */
  hnsUpdates(): readonly HnsUpdate[];
}

export type EthWork =
  | {
      readonly kind: 'action';
      readonly action: EthAction;
      readonly request: ModuleRequest;
    }
  | { readonly kind: 'configure'; readonly action: EthConfigAction };

/** @returns when the files are read; a file that cannot be is told and left alone (E20) */
export const eth =
  (options: EthOptions) =>
  async (needs: EthNeeds): Promise<EthModule> => {
    const module = new Eth(needs, options);
    await module.load();
    return module;
  };

class Eth implements EthModule {
  readonly name = 'eth';
  readonly public = false;
  readonly #needs: EthNeeds;
  readonly #outstanding = new Outstanding();
  readonly #providers: ProviderList;
  readonly #configuration: Configuration;
  readonly #requests: Requests;
  readonly #subscriptions: Subscriptions;
  readonly #throttle: Throttle;

  constructor(needs: EthNeeds, options: EthOptions) {
    const { port, clock } = needs;
    this.#needs = needs;
    const print = (verbosity: number, text: string): void => port.print(verbosity, text);
    this.#providers = new ProviderList({
      url: (config) => new UrlProvider(config, { clock, print }),
      node: (config) =>
        new NodeProvider(config, { clock, port, waiting: this.#outstanding, relayId: randomU64 }),
    });
    this.#configuration = new Configuration(options, this.#providers, print);
    this.#requests = new Requests({ providers: this.#providers, clock });
    this.#subscriptions = new Subscriptions(port, upstreamSource(this.#providers, randomU64));
    this.#throttle = new Throttle(clock);
  }

  load(): Promise<void> {
    return this.#configuration.load();
  }

  decode(request: ModuleRequest): Result<EthWork, Answer | undefined> {
    const { body, local, source, caller } = request;
    const action = decodeBody(ethAction, body, BODY_BYTES_MAX);
    if (action.ok) {
      if (!local && !mayAsk(this.#configuration.access, source.node))
        return refuse({ kind: 'PermissionDenied' });
      return { ok: true, value: { kind: 'action', action: action.value, request } };
    }
    const configure = decodeBody(ethConfigAction, body, BODY_BYTES_MAX);
    if (configure.ok) {
      const root = { issuer: this.#needs.port.our, params: ROOT_PARAMS };
      if (!local || !caller.holds(root))
        return { ok: false, error: answerConfig({ kind: 'PermissionDenied' }) };
      return { ok: true, value: { kind: 'configure', action: configure.value } };
    }
    const update = decodeBody(ethSubResult, body, BODY_BYTES_MAX);
    if (update.ok) return { ok: false, error: this.#relayed(update.value, request) };
    const keepalive = decodeBody(ethKeepalive, body, BODY_BYTES_MAX);
    if (keepalive.ok) return { ok: false, error: this.#keepalive(keepalive.value, source) };
    this.#needs.port.print(1, `eth: malformed request from ${source.process}: ${action.error}`);
    return refuse({ kind: 'MalformedRequest' });
  }

  /** Reads overlap; changes of the configuration run one after another. */
  orderKey(work: EthWork): string | undefined {
    return work.kind === 'configure' ? 'configuration' : undefined;
  }

  async handle(work: EthWork, signal: AbortSignal): Promise<Answer | undefined> {
    const { settling } = this.#configuration;
    if (settling !== undefined) await settling;
    if (signal.aborted) return undefined;
    if (work.kind === 'configure') return answerConfig(await this.#configure(work.action));
    const { action, request } = work;
    if (!request.local) {
      const turn = this.#throttle.turn(request.source.node);
      if (turn === undefined) return failure({ kind: 'RateLimited' });
      await turn;
      if (signal.aborted) return undefined;
    }
    switch (action.kind) {
      case 'Request': {
        const { id, body, timeoutS } = request;
        const asked = { id, body, request: action.value, timeoutS };
        return this.#answerServed(await this.#requests.serve(asked, signal));
      }
      case 'AgreedRequest': {
        const { chain_id, method, params } = action.value;
        return this.#answerServed(await this.agreed(chain_id, method, params));
      }
      case 'SubscribeLogs':
        return this.#subscribe(action.value, request);
      case 'UnsubscribeLogs':
        return this.#subscriptions.remove(request.source, action.value)
          ? OK
          : failure({ kind: 'MalformedRequest' });
    }
  }

  async agreed(chainId: U64, method: string, params: JsonValue): Promise<Agreed> {
    await this.#configuration.settling;
    const witnesses = this.#providers
      .of(chainId)
      .filter((provider) => provider.kind === 'url')
      .map((provider): Witness => ({
        label: provider.label,
        trusted: provider.trusted,
        call: (name, text) => provider.call(name, text, AGREED_CALL_MS),
      }));
    if (this.#providers.of(chainId).length === 0)
      return { ok: false, error: { kind: 'NoRpcForChain' } };
    return agree(witnesses, method, params);
  }

  hnsUpdates(): readonly HnsUpdate[] {
    return this.#providers.hnsUpdates();
  }

  onProcessGone(process: ProcessId): void {
    this.#subscriptions.processGone(process);
  }

  onResponse(message: KernelMessage): void {
    this.#outstanding.answered(message);
  }

  onSendError(error: SendError, id: KernelMessage['id']): void {
    this.#outstanding.failed(id, error.target.node, error.kind);
    // Nobody is there to take updates any more (eth.md §7, network errors).
    if (error.kind === 'offline') this.#subscriptions.removeAll(error.target);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#throttle.close();
    this.#subscriptions.close();
    this.#providers.close();
    return Promise.resolve();
  }

  async #subscribe(
    { sub_id, chain_id, kind, params }: Extract<EthAction, { kind: 'SubscribeLogs' }>['value'],
    { source, rsvp }: ModuleRequest,
  ): Promise<Answer> {
    if (kind.kind === 'newHeads')
      this.#needs.port.print(
        0,
        `eth: ${source.process} on ${source.node} subscribes to newHeads, which is a lot of traffic`,
      );
    if (this.#providers.of(chain_id).length === 0) return failure({ kind: 'NoRpcForChain' });
    const filter = { chainId: chain_id, kind: kind.kind, params };
    const refused = await this.#subscriptions.add({ address: source, rsvp }, sub_id, filter);
    if (refused === undefined) return OK;
    if (refused.kind === 'too-many') return failure({ kind: 'RateLimited' });
    if (refused.outcome?.kind === 'error') return failure(rpcError(refused.outcome.error));
    return failure({ kind: refused.outcome?.kind === 'timeout' ? 'RpcTimeout' : 'NoRpcForChain' });
  }

  #answerServed(served: Served): Answer {
    if (!served.ok) return failure(served.error);
    // A timeout goes to the source, the rest to rsvp (eth.md §3).
    return { body: utf8.encode(`{"Response":${served.result}}`), echoMetadata: false };
  }

  /** An update of a relayed subscription; from anybody but its provider it is answered with an end (E27). */
  #relayed(update: EthSubResult, { source, local }: ModuleRequest): undefined {
    const { id } = update.value;
    if (!local) {
      for (const node of this.#providers.nodes(source.node)) {
        const taken = node.update(
          id,
          update.kind === 'Ok'
            ? { result: formatJson(update.value.result) }
            : { error: update.value.error },
        );
        if (taken) return undefined;
      }
      this.#unsubscribeAt(source, id);
    }
    return undefined;
  }

  #unsubscribeAt(target: Address, id: U64): void {
    const body = utf8.encode(`{"UnsubscribeLogs":${id}}`);
    const request = {
      inherit: false,
      expectsResponse: undefined,
      body,
      metadata: undefined,
      capabilities: [],
    };
    this.#needs.port.send({
      target,
      rsvp: undefined,
      message: { kind: 'request', request },
      blob: undefined,
    });
  }

  /** Silence is what a live subscription answers (E26). */
  #keepalive(id: U64, source: Address): Answer | undefined {
    if (this.#subscriptions.has(source, id)) return undefined;
    const body = ethSubResult.encode({
      kind: 'Err',
      value: { id, error: 'Subscription not found' },
    });
    return { body, send: 'if-wanted', echoMetadata: false };
  }

  async #configure(action: EthConfigAction): Promise<EthConfigResponse> {
    if (action.kind !== 'GetState') return this.#configuration.apply(action);
    const active = [...this.#subscriptions.state()].map(([who, ids]) => [who, ids] as const);
    return {
      kind: 'State',
      value: {
        active_subscriptions: new Map(active),
        outstanding_requests: this.#outstanding.ids(),
      },
    };
  }
}

const utf8 = new TextEncoder();
const OK: Answer = { body: ethResponse.encode({ kind: 'Ok' }), echoMetadata: false };

function failure(error: EthError): Answer {
  const body = ethResponse.encode({ kind: 'Err', value: error });
  return {
    body,
    send: error.kind === 'RpcTimeout' ? 'always-to-source' : 'if-wanted',
    echoMetadata: false,
  };
}

function refuse(error: EthError): { readonly ok: false; readonly error: Answer } {
  return { ok: false, error: failure(error) };
}

function answerConfig(response: EthConfigResponse): Answer {
  return { body: ethConfigResponse.encode(response), echoMetadata: false };
}

/** Random over the whole range, as relay ids are (eth.md §7). */
function randomU64(): U64 {
  const id = randomBytes(8).readBigUInt64BE();
  return id <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(id) : id;
}
