/**
 * `http-client:distro:sys` (runtime-modules.md §7): HTTP requests and WebSockets to the internet for processes of this node. Loopback and
 * private addresses only as the operator allows, hosts only as a process's capabilities of ours do (docs/http-client.md).
 */
import type { Answer, KernelPort, ModuleRequest, RuntimeModule } from '../../kernel/module.ts';
import {
  httpClientAction,
  httpClientResponse,
  type HttpClientAction,
  type HttpClientError,
} from '../../wit/http-client-api.ts';
import type { WsMessageType } from '../../wit/http-server-api.ts';
import type { Capability, LazyLoadBlob, ProcessId, Result } from '../../wit/types.ts';
import { SCHEDULE_MS_MAX, type Clock } from '../shared/clock.ts';
import { ConnectionPool } from '../shared/outbound/connection-pool.ts';
import type { Connector } from '../shared/outbound/connector.ts';
import type { OutgoingHttp } from '../shared/outbound/exchange.ts';
import { decodeBody, refuse } from '../shared/refuse.ts';
import { ByteBudget } from './byte-budget.ts';
import { Channels, type ChannelOf, type ChannelsLimits, type OpenWork } from './channels.ts';
import { fetchFollowing, outgoingOf } from './fetch.ts';
import { delivered } from './header-fields.ts';
import {
  ACTIVE_MAX,
  ACTIVE_PER_PACKAGE_MAX,
  ACTIVE_PER_PROCESS_MAX,
  BODY_BYTES_MAX,
  HANDSHAKE_S_MAX,
  HELD_MAX,
  HELD_PER_PROCESS_MAX,
  REQUEST_S_MAX,
  RESPONSE_BYTES_MAX,
  UNAWAITED_S_MAX,
} from './limits.ts';
import { isLimit, scopeOf, type Scope } from './scope.ts';
import { Slots, type SlotLimits } from './slots.ts';

export interface HttpClientNeeds {
  readonly port: KernelPort;
  readonly clock: Clock;
  readonly connector: Connector;
}

export interface HttpClientOptions {
  /** Longest body of a response; default `RESPONSE_BYTES_MAX`. */
  readonly responseBytesMax?: number;
  readonly active?: Partial<SlotLimits>;
  readonly channels?: Partial<ChannelsLimits>;
}

export type HttpClientWork = HttpWork | SocketWork;

interface Timed {
  /** When nobody waits any more; by the module's clock. */
  readonly deadlineMs: number;
}

interface HttpWork extends Timed {
  readonly kind: 'http';
  readonly process: ProcessId;
  readonly outgoing: OutgoingHttp;
  readonly scope: Scope;
}

type SocketWork = Timed &
  (
    | ({ readonly kind: 'open' } & OpenWork)
    | ({
        readonly kind: 'push';
        readonly type: WsMessageType;
        readonly payload: Uint8Array | undefined;
      } & ChannelOf)
    | ({ readonly kind: 'close' } & ChannelOf)
  );

export const httpClient =
  (options: HttpClientOptions = {}) =>
  (needs: HttpClientNeeds): RuntimeModule<HttpClientWork> =>
    new HttpClient(needs, options);

class HttpClient implements RuntimeModule<HttpClientWork> {
  readonly name = 'http-client';
  readonly public = false;
  readonly #needs: HttpClientNeeds;
  readonly #responseBytesMax: number;
  readonly #pool: ConnectionPool;
  readonly #slots: Slots;
  readonly #receiving: ByteBudget;
  readonly #channels: Channels;
  readonly #running = new Map<ProcessId, Set<AbortController>>();

  constructor(needs: HttpClientNeeds, options: HttpClientOptions) {
    this.#needs = needs;
    this.#responseBytesMax = options.responseBytesMax ?? RESPONSE_BYTES_MAX;
    this.#pool = new ConnectionPool(needs.connector);
    this.#slots = new Slots({
      perProcess: ACTIVE_PER_PROCESS_MAX,
      perPackage: ACTIVE_PER_PACKAGE_MAX,
      all: ACTIVE_MAX,
      ...options.active,
    });
    const budget = (): ByteBudget =>
      new ByteBudget({
        perProcess: HELD_PER_PROCESS_MAX * this.#responseBytesMax,
        all: HELD_MAX * this.#responseBytesMax,
      });
    this.#receiving = budget();
    this.#channels = new Channels(
      {
        connector: needs.connector,
        port: needs.port,
        receiving: this.#receiving,
        sending: budget(),
        clock: needs.clock,
      },
      options.channels,
    );
  }

  limits(capability: Capability): boolean {
    return isLimit(capability);
  }

  decode(request: ModuleRequest): Result<HttpClientWork, Answer | undefined> {
    const { source, local } = request;
    const { port } = this.#needs;
    if (!local) {
      port.print(1, `http-client: ignored a request of ${source.node}@${source.process}`);
      return { ok: false, error: undefined };
    }
    const body = decodeBody(httpClientAction, request.body, BODY_BYTES_MAX);
    if (!body.ok) {
      port.print(1, `http-client: malformed request from ${source.process}: ${body.error}`);
      return no({ kind: 'MalformedRequest', value: undefined }, 'if-expected');
    }
    const scope = scopeOf(request.caller.heldFrom(port.our));
    const action = body.value;
    if (action.kind !== 'Http') return this.#decodeSocket(request, action, scope);
    const outgoing = outgoingOf(action.value, bytesOf(request.blob), scope);
    if (!outgoing.ok) return no(outgoing.error, 'if-expected');
    const deadlineMs = this.#deadline(request.timeoutS ?? UNAWAITED_S_MAX);
    const { process } = source;
    return {
      ok: true,
      value: { kind: 'http', process, outgoing: outgoing.value, scope, deadlineMs },
    };
  }

  /** HTTP requests side by side; what concerns one channel in turn, so that a push follows the open it was sent after. */
  orderKey(work: HttpClientWork): string | undefined {
    return work.kind === 'http' ? undefined : `${work.reply.process} ${work.channelId}`;
  }

  async handle(work: HttpClientWork, signal: AbortSignal): Promise<Answer | undefined> {
    const { clock } = this.#needs;
    const asker = work.kind === 'http' ? work.process : work.asker;
    const deadline = this.#begin(asker);
    const leftMs = work.deadlineMs - clock.nowMs();
    const timer = clock.schedule(
      () => deadline.abort(),
      Math.min(Math.max(0, leftMs), SCHEDULE_MS_MAX),
    );
    try {
      const either = AbortSignal.any([signal, deadline.signal]);
      return await (work.kind === 'http' ? this.#fetch(work, either) : this.#socket(work, either));
    } finally {
      clock.cancel(timer);
      this.#running.get(asker)?.delete(deadline);
    }
  }

  onProcessGone(process: ProcessId): void {
    // The kernel's signal is for kills; one that ended by itself, to be started again, waits no more either.
    for (const work of this.#running.get(process) ?? []) work.abort();
    this.#running.delete(process);
    this.#channels.processGone(process);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#channels.closeAll();
    this.#pool.destroy();
    return Promise.resolve();
  }

  #decodeSocket(
    request: ModuleRequest,
    action: Exclude<HttpClientAction, { kind: 'Http' }>,
    scope: Scope,
  ): Result<SocketWork, Answer | undefined> {
    const reply = request.rsvp ?? request.source;
    const { port } = this.#needs;
    if (reply.node !== port.our.node) {
      // Its events would leave the node, and nobody could tell when it ends.
      port.print(1, `http-client: no WebSocket for a process of another node, ${reply.node}`);
      return no({ kind: 'MalformedRequest', value: undefined }, 'always');
    }
    const deadlineMs = this.#deadline(request.timeoutS ?? HANDSHAKE_S_MAX);
    const of = {
      reply,
      asker: request.source.process,
      channelId: action.value.channel_id,
      deadlineMs,
    };
    switch (action.kind) {
      case 'WebSocketOpen': {
        const { url, headers } = action.value;
        return { ok: true, value: { kind: 'open', id: request.id, url, headers, scope, ...of } };
      }
      case 'WebSocketPush': {
        const type = action.value.message_type.kind;
        return { ok: true, value: { kind: 'push', type, payload: request.blob?.bytes, ...of } };
      }
      case 'WebSocketClose':
        return { ok: true, value: { kind: 'close', ...of } };
    }
  }

  /** What ends a piece of work when nobody waits for it any more. */
  #begin(asker: ProcessId): AbortController {
    const end = new AbortController();
    const works = this.#running.get(asker);
    if (works === undefined) this.#running.set(asker, new Set([end]));
    else works.add(end);
    return end;
  }

  #deadline(timeoutS: number): number {
    return this.#needs.clock.nowMs() + Math.min(timeoutS, REQUEST_S_MAX) * 1000;
  }

  async #fetch(work: HttpWork, signal: AbortSignal): Promise<Answer | undefined> {
    const { process, outgoing, scope } = work;
    if (!(await this.#slots.enter(process, signal))) return undefined;
    try {
      const outcome = await fetchFollowing(outgoing, {
        pool: this.#pool,
        process,
        scope,
        bodyBytesMax: this.#responseBytesMax,
        receiving: this.#receiving,
        signal,
      });
      // Whoever waited has been told of the timeout, or is gone.
      if (signal.aborted) return undefined;
      if (!outcome.ok)
        return failed({ kind: 'ExecuteRequestFailed', value: outcome.error }, 'if-expected');
      const { status, headers, body } = outcome.value;
      return {
        body: httpClientResponse.encode({
          kind: 'Ok',
          value: { kind: 'Http', value: { status, headers: delivered(headers) } },
        }),
        blob: { mime: undefined, bytes: body },
        send: 'always',
      };
    } finally {
      this.#slots.leave(process);
    }
  }

  async #socket(work: SocketWork, signal: AbortSignal): Promise<Answer | undefined> {
    const error = await this.#act(work, signal);
    // A channel that was not opened in time is none; whoever waited for it has been told.
    if (error !== undefined && work.kind === 'open' && signal.aborted) return undefined;
    if (error !== undefined) return failed(error, 'always');
    const ack = { kind: 'WebSocketAck', value: undefined } as const;
    return { body: httpClientResponse.encode({ kind: 'Ok', value: ack }), send: 'always' };
  }

  async #act(work: SocketWork, signal: AbortSignal): Promise<HttpClientError | undefined> {
    switch (work.kind) {
      case 'open':
        return this.#channels.open(work, signal);
      case 'push':
        return this.#channels.push(work, work, signal);
      case 'close':
        return this.#channels.close(work);
    }
  }
}

function bytesOf(blob: LazyLoadBlob | undefined): Uint8Array {
  return blob?.bytes ?? new Uint8Array();
}

function failed(error: HttpClientError, send: 'always' | 'if-expected'): Answer {
  return refuse(httpClientResponse.encode({ kind: 'Err', value: error }), send);
}

function no(error: HttpClientError, send: 'always' | 'if-expected'): Result<never, Answer> {
  return { ok: false, error: failed(error, send) };
}
