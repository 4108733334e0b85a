/**
 * The WebSockets of all processes, by process of the reply address and by the number that process chose (runtime-modules.md §7.2): open,
 * push, close, and the events that come back under the id of the request that opened the channel.
 */
import { formatAddress } from '../../wit/address.ts';
import { httpClientRequest, type HttpClientError } from '../../wit/http-client-api.ts';
import type { WsMessageType } from '../../wit/http-server-api.ts';
import type { KernelPort } from '../../kernel/module.ts';
import type { Address, ProcessId, U64 } from '../../wit/types.ts';
import type { Clock } from '../shared/clock.ts';
import type { Connector } from '../shared/outbound/connector.ts';
import { hostPortOf } from '../shared/outbound/host-pattern.ts';
import type { ByteBudget } from './byte-budget.ts';
import { Channel, pushRefusal, type ChannelEvent } from './channel.ts';
import { sendableInHandshake } from './header-fields.ts';
import { openSocket, type OpenSocket } from './handshake.ts';
import { CHANNELS_MAX, CHANNELS_PER_PROCESS_MAX } from './limits.ts';
import { isForeignHost, outside, type Scope } from './scope.ts';

/** Whose channel: what a request says about it. */
export interface ChannelOf {
  /** Where events and answers go. */
  readonly reply: Address;
  /** Who asks: the reply's process, or one that answers for it (inherited). */
  readonly asker: ProcessId;
  readonly channelId: number;
}

export interface ChannelsNeeds {
  readonly connector: Connector;
  readonly port: Pick<KernelPort, 'offer' | 'print'>;
  readonly receiving: ByteBudget;
  readonly sending: ByteBudget;
  readonly clock: Clock;
}

export interface ChannelsLimits {
  readonly perProcess: number;
  readonly all: number;
}

export interface OpenWork extends ChannelOf {
  readonly id: U64;
  readonly url: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly scope: Scope;
}

interface Entry {
  readonly opener: ProcessId;
  readonly process: ProcessId;
  /** Undefined while it is being opened. */
  channel: Channel | undefined;
}

export class Channels {
  readonly #needs: ChannelsNeeds;
  readonly #limits: ChannelsLimits;
  readonly #entries = new Map<string, Entry>();

  constructor(needs: ChannelsNeeds, limits: Partial<ChannelsLimits> = {}) {
    this.#needs = needs;
    this.#limits = { perProcess: CHANNELS_PER_PROCESS_MAX, all: CHANNELS_MAX, ...limits };
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Undefined: it is open, and its events begin once the acknowledgement is sent. */
  async open(work: OpenWork, signal: AbortSignal): Promise<HttpClientError | undefined> {
    const url = URL.parse(work.url);
    if (url === null) return { kind: 'BadUrl', value: { url: work.url } };
    const failed: HttpClientError = { kind: 'WsOpenFailed', value: { url: url.href } };
    const refuse = (why: string): HttpClientError => {
      this.#needs.port.print(1, `no WebSocket for ${formatAddress(work.reply)}: ${why}`);
      return failed;
    };
    const refusal = this.#refusalOf(work, url);
    if (refusal !== undefined) return refuse(refusal);
    const key = keyOf(work);
    this.#entries.get(key)?.channel?.silence();
    const entry: Entry = { opener: work.asker, process: work.reply.process, channel: undefined };
    this.#entries.set(key, entry);
    const fields = sendableInHandshake(work.headers).filter(
      (field) => !isForeignHost(field, work.scope),
    );
    const opened = await openSocket(url, fields, this.#needs.connector, signal);
    if (!opened.ok) {
      this.#forget(key, entry);
      return refuse(opened.error);
    }
    const channel = this.#channel(work, opened.value, () => this.#forget(key, entry));
    // Its process ended, or the node did, in the meantime.
    if (this.#entries.get(key) !== entry || signal.aborted) {
      this.#forget(key, entry);
      channel.silence();
      return failed;
    }
    entry.channel = channel;
    setImmediate(() => channel.start());
    return undefined;
  }

  async push(
    of: ChannelOf,
    { type, payload }: { readonly type: WsMessageType; readonly payload: Uint8Array | undefined },
    signal: AbortSignal,
  ): Promise<HttpClientError | undefined> {
    const channel = this.#find(of);
    if (channel === undefined)
      return { kind: 'WsPushUnknownChannel', value: { channel_id: of.channelId } };
    const refusal = pushRefusal(type, payload);
    if (refusal !== undefined) return { kind: refusal, value: undefined };
    await channel.push(type, payload ?? new Uint8Array(), signal);
    return undefined;
  }

  close(of: ChannelOf): HttpClientError | undefined {
    const channel = this.#find(of);
    if (channel === undefined)
      return { kind: 'WsCloseFailed', value: { channel_id: of.channelId } };
    channel.close();
    return undefined;
  }

  processGone(process: ProcessId): void {
    for (const [key, entry] of this.#entries) {
      if (entry.process !== process) continue;
      this.#entries.delete(key);
      entry.channel?.silence();
    }
  }

  closeAll(): void {
    for (const { channel } of this.#entries.values()) channel?.silence({ atOnce: true });
    this.#entries.clear();
  }

  /** An open channel, if the asker may use it. */
  #find(of: ChannelOf): Channel | undefined {
    const entry = this.#entries.get(keyOf(of));
    if (entry?.channel?.isOpen !== true) return undefined;
    return isFor(entry, of.asker) ? entry.channel : undefined;
  }

  #refusalOf(work: OpenWork, url: URL): string | undefined {
    if (url.protocol !== 'ws:' && url.protocol !== 'wss:')
      return `${url.protocol} is not ws: or wss:`;
    const present = this.#entries.get(keyOf(work));
    if (present !== undefined && !isFor(present, work.asker))
      return `${work.asker} asks for another process, which uses channel ${work.channelId} itself`;
    const { perProcess, all } = this.#limits;
    if (present === undefined) {
      const { process } = work.reply;
      const mine = [...this.#entries.values()].filter((entry) => entry.process === process).length;
      if (mine >= perProcess) return `it has ${mine} channels open already`;
      if (this.#entries.size >= all) return `all ${all} channels of the node are in use`;
    }
    return outside(work.scope, hostPortOf(url));
  }

  #channel({ reply, id, channelId }: OpenWork, opened: OpenSocket, gone: () => void): Channel {
    const { port, receiving, sending, clock } = this.#needs;
    return new Channel(opened, {
      process: reply.process,
      channelId,
      offer: (event) => port.offer(requestOf(reply, id, event)),
      gone,
      receiving,
      sending,
      clock,
    });
  }

  /** Another channel may have its place by now, which the end of this one does not touch (H20). */
  #forget(key: string, entry: Entry): void {
    if (this.#entries.get(key) === entry) this.#entries.delete(key);
  }
}

function keyOf({ reply, channelId }: ChannelOf): string {
  return `${reply.process} ${channelId}`;
}

/** The process it belongs to, and the one that opened it in its place. */
function isFor(entry: Entry, asker: ProcessId): boolean {
  return asker === entry.process || asker === entry.opener;
}

/** No response is expected; a channel that was cut short says why in the metadata. */
function requestOf(
  target: Address,
  id: U64,
  { body, payload, reason }: ChannelEvent,
): Parameters<KernelPort['offer']>[0] {
  const isText = body.kind === 'WebSocketPush' && body.value.message_type.kind === 'Text';
  return {
    id,
    target,
    rsvp: undefined,
    message: {
      kind: 'request',
      request: {
        inherit: false,
        expectsResponse: undefined,
        body: httpClientRequest.encode(body),
        metadata: reason,
        capabilities: [],
      },
    },
    blob:
      payload === undefined
        ? undefined
        : { mime: isText ? 'text/plain' : 'application/octet-stream', bytes: payload },
  };
}
