/**
 * The open WebSockets of the node as their processes know them: channel ids, who owns them, limits, and the way of frames between
 * sockets and processes (runtime-modules.md §6.11), extensions included (§8). Who may open one is decided before, by the bindings.
 *
 * Everything that arrives goes to its owner in order, `WebSocketOpen` first and `WebSocketClose` last. Everything that an owner sends
 * is checked before anything happens; the refusals are the reference's.
 */
import { randomBytes, randomInt } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { KernelPort, ModuleRequest, ProcessEnding } from '../../../kernel/module.ts';
import type { HttpServerError, MessageType, WsMessageType } from '../../../wit/http-server-api.ts';
import { plainRequest, plainResponse } from '../../../wit/message.ts';
import type { ProcessId, U64 } from '../../../wit/types.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Opening } from '../parts.ts';
import { Channel, type ChannelHost } from './channel.ts';
import { ProcessLine, type SendToProcess } from './process-line.ts';
import {
  CHANNELS_MAX,
  CONTROL_BYTES_MAX,
  HELD_BYTES_MAX,
  PING_MS,
  SHUTDOWN_WAIT_MS,
} from './limits.ts';
import type { Transfers } from './transfers.ts';
import { isHandshake, WsUpgrader, type WsOptions } from './ws.ts';

export interface ChannelsOptions extends WsOptions {
  /** Default `CHANNELS_MAX`. */
  readonly channelsMax?: number;
  /** Default `HELD_BYTES_MAX`. */
  readonly heldBytesMax?: number;
}

export interface ChannelsNeeds {
  /** See `channelsNeeds` for the one of a kernel's port. */
  readonly send: SendToProcess;
  readonly print: (verbosity: number, text: string) => void;
  readonly clock: Clock;
}

/** What a module with a port needs for its channels. */
export function channelsNeeds(port: KernelPort, clock: Clock): ChannelsNeeds {
  const { node } = port.our;
  return {
    clock,
    print: (verbosity, text) => port.print(verbosity, text),
    send(process, body, blob, { id, response = false } = {}) {
      const message = {
        ...(id === undefined ? {} : { id }),
        target: { node, process },
        rsvp: undefined,
        blob,
      };
      if (!response)
        return port.offer({
          ...message,
          message: { kind: 'request', request: plainRequest(body) },
        });
      const answer = {
        kind: 'response',
        response: plainResponse(body),
        context: undefined,
      } as const;
      port.send({ ...message, message: answer });
      return 'taken';
    },
  };
}

/** Why a socket is closed, in the codes of RFC 6455 §7.4. */
const GOING_AWAY = 1001;
const INTERNAL_ERROR = 1011;
const SERVICE_RESTART = 1012;
const TRY_AGAIN_LATER = 1013;

/** Parts of `PING_MS` in which a part of the channels each is pinged: never all in one turn. */
const PING_SLOTS = 30;

const NO_BLOB: HttpServerError = { kind: 'NoBlob' };
const TOO_LONG: HttpServerError = { kind: 'WsPingPongTooLong' };
const NOT_FOUND: HttpServerError = { kind: 'WsChannelNotFound' };

/** A process with its channels, closing ones included. */
interface Owner {
  readonly line: ProcessLine;
  readonly channels: Set<Channel>;
}

export class Channels implements ChannelHost {
  readonly #needs: ChannelsNeeds;
  readonly #channelsMax: number;
  readonly #heldBytesMax: number;
  readonly #upgrader: WsUpgrader;
  /** Those whose owner may use them. */
  readonly #open = new Map<number, Channel>();
  /** Those that were closed here and whose socket has not ended, oldest first. */
  readonly #closing = new Map<number, Channel>();
  readonly #owners = new Map<ProcessId, Owner>();
  readonly #slots = Array.from({ length: PING_SLOTS }, () => new Set<Channel>());
  /** Payload of our own pings: the pongs to them are none of a process's business. */
  readonly #heartbeat = randomBytes(8);
  #slot = 0;
  #timer: object | undefined = undefined;
  #heldBytes = 0;
  #saidFull = false;
  #shutdown: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;

  constructor(options: ChannelsOptions, needs: ChannelsNeeds) {
    this.#needs = needs;
    this.#channelsMax = options.channelsMax ?? CHANNELS_MAX;
    this.#heldBytesMax = options.heldBytesMax ?? HELD_BYTES_MAX;
    this.#upgrader = new WsUpgrader(options);
  }

  /** Open channels. */
  get size(): number {
    return this.#open.size;
  }

  /** Bytes in memory for all sockets. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  get nowMs(): number {
    return this.#needs.clock.nowMs();
  }

  get heartbeat(): Uint8Array {
    return this.#heartbeat;
  }

  /**
   * Makes a channel of an upgrade that its binding allows, and tells its process. False, and nothing was written: there are too many,
   * or the request is no opening handshake; it is to get the ordinary answer of its path.
   */
  accept(request: IncomingMessage, stream: Duplex, head: Buffer, opening: Opening): boolean {
    if (this.#shutdown !== undefined || !isHandshake(request)) return false;
    if (this.#open.size >= this.#channelsMax) {
      // Once, until there is room again: it is strangers who knock.
      if (!this.#saidFull) this.#needs.print(0, `too many websockets: ${this.#open.size} are open`);
      this.#saidFull = true;
      return false;
    }
    this.#upgrader.upgrade(request, stream, head, (socket) => {
      const owner = this.#ownerOf(opening.process);
      const channel = new Channel(this, socket, this.#freshId(), {
        line: owner.line,
        extension: opening.extension,
      });
      this.#open.set(channel.id, channel);
      this.#slots[channel.id % PING_SLOTS]?.add(channel);
      owner.channels.add(channel);
      this.#needs.print(2, `new websocket connection to ${opening.process} with id ${channel.id}`);
      this.#keepTime();
      channel.announce(opening);
    });
    return true;
  }

  /** Sends a frame; with `Close` an empty close frame, and the channel is gone for its owner. Undefined: sent. */
  push(
    owner: ProcessId,
    channelId: number,
    type: WsMessageType,
    bytes: Uint8Array | undefined,
  ): HttpServerError | undefined {
    if (bytes === undefined) return NO_BLOB;
    if ((type === 'Ping' || type === 'Pong') && bytes.length > CONTROL_BYTES_MAX) return TOO_LONG;
    const channel = this.#of(owner, channelId);
    if (channel === undefined) return NOT_FOUND;
    if (type === 'Close') this.#close(channel, undefined);
    else this.#send(channel, type, bytes);
    return undefined;
  }

  /**
   * Sends a request of its owner to the extension on a channel, which answers it. `request`: the kernel's, or its id alone: then an
   * answer may come as long as the channel is open.
   */
  pushExtension(
    owner: ProcessId,
    channelId: number,
    type: WsMessageType,
    replyType: MessageType,
    bytes: Uint8Array | undefined,
    request: Pick<ModuleRequest, 'id' | 'timeoutS'> | U64,
  ): HttpServerError | undefined {
    if (type !== 'Binary' || bytes === undefined) return NO_BLOB;
    const channel = this.#of(owner, channelId);
    if (channel === undefined) return NOT_FOUND;
    const frame = channel.extensionFrame(replyType, bytes, request);
    this.#send(channel, 'Binary', frame);
    return undefined;
  }

  /** Files of an extension's channel; undefined for one that is not the owner's, or is for browsers. */
  transfers(owner: ProcessId, channelId: number): Transfers | undefined {
    return this.#of(owner, channelId)?.transfers;
  }

  /** Sends an empty close frame; an unknown channel is closed already. */
  close(owner: ProcessId, channelId: number): HttpServerError | undefined {
    const channel = this.#open.get(channelId);
    if (channel === undefined) return undefined;
    if (channel.line.process !== owner) return NOT_FOUND;
    this.#close(channel, undefined);
    return undefined;
  }

  /** A process has ended: nobody uses its channels any more, also not its next instance. */
  processGone(process: ProcessId, ending: ProcessEnding = 'ended'): void {
    this.#drop(process, ending === 'restarting' ? SERVICE_RESTART : GOING_AWAY);
  }

  /** Closes everything; resolves when every connection has ended, by itself or after `SHUTDOWN_WAIT_MS`. */
  shutdown(): Promise<void> {
    if (this.#shutdown !== undefined) return this.#shutdown.promise;
    this.#shutdown = Promise.withResolvers<void>();
    for (const process of this.#owners.keys()) this.#drop(process, GOING_AWAY);
    if (this.#timer !== undefined) this.#needs.clock.cancel(this.#timer);
    this.#timer = this.#needs.clock.schedule(() => {
      for (const channel of this.#closing.values()) channel.socket.terminate();
    }, SHUTDOWN_WAIT_MS);
    this.#endIfOver();
    return this.#shutdown.promise;
  }

  // --- what channels say

  print(verbosity: number, text: string): void {
    this.#needs.print(verbosity, text);
  }

  respond(process: ProcessId, body: Uint8Array, bytes: Uint8Array, id: U64): void {
    void this.#needs.send(process, body, { mime: undefined, bytes }, { id, response: true });
  }

  held(changeBytes: number): void {
    this.#heldBytes += changeBytes;
    if (changeBytes <= 0 || this.#heldBytes <= this.#heldBytesMax) return;
    let most: Channel | undefined;
    for (const channels of [this.#open.values(), this.#closing.values()])
      for (const channel of channels)
        if (channel.socket.heldBytes > (most?.socket.heldBytes ?? 0)) most = channel;
    if (most === undefined) return;
    this.print(
      1,
      `websocket ${most.id} of ${most.line.process} ended: it kept ${most.socket.heldBytes} bytes of the ${this.#heldBytes} that all keep in memory`,
    );
    most.end();
  }

  ended(channel: Channel): void {
    this.#forget(channel);
    this.#closing.delete(channel.id);
    const owner = this.#owners.get(channel.line.process);
    owner?.channels.delete(channel);
    if (owner !== undefined) this.#forgetIfIdle(owner);
    this.print(2, `websocket connection ${channel.id} closed`);
    this.#endIfOver();
  }

  // --- inside

  #of(owner: ProcessId, channelId: number): Channel | undefined {
    const channel = this.#open.get(channelId);
    return channel?.line.process === owner && channel.socket.open ? channel : undefined;
  }

  #send(channel: Channel, type: Exclude<WsMessageType, 'Close'>, bytes: Uint8Array): void {
    if (channel.socket.send(type, bytes)) return;
    this.print(
      1,
      `closed websocket ${channel.id} of ${channel.line.process}: its client does not read what it is sent`,
    );
    this.#close(channel, TRY_AGAIN_LATER);
  }

  /** From here on the owner cannot use it, but hears of its end. */
  #close(channel: Channel, code: number | undefined): void {
    this.#forget(channel);
    this.#closing.set(channel.id, channel);
    channel.close(code);
    if (this.#closing.size <= this.#channelsMax) return;
    for (const oldest of this.#closing.values()) {
      oldest.socket.terminate();
      break;
    }
  }

  #drop(process: ProcessId, code: number): void {
    const owner = this.#owners.get(process);
    if (owner === undefined) return;
    this.#owners.delete(process);
    owner.line.end();
    for (const channel of owner.channels) this.#close(channel, code);
  }

  #forget(channel: Channel): void {
    if (!this.#open.delete(channel.id)) return;
    this.#saidFull = false;
    this.#slots[channel.id % PING_SLOTS]?.delete(channel);
  }

  #ownerOf(process: ProcessId): Owner {
    const known = this.#owners.get(process);
    if (known !== undefined) return known;
    const line = new ProcessLine(process, this.#needs.send, {
      flows: () => {
        for (const channel of owner.channels) channel.socket.resume();
        this.#forgetIfIdle(owner);
      },
      unreachable: () => this.#drop(process, INTERNAL_ERROR),
    });
    const owner: Owner = { line, channels: new Set() };
    this.#owners.set(process, owner);
    return owner;
  }

  /** One without channels is kept while messages to it wait: they must not come to its next instance. */
  #forgetIfIdle({ line, channels }: Owner): void {
    if (channels.size === 0 && line.waiting === 0) this.#owners.delete(line.process);
  }

  #freshId(): number {
    for (;;) {
      const id = randomInt(2 ** 32);
      if (!this.#open.has(id) && !this.#closing.has(id)) return id;
    }
  }

  #keepTime(): void {
    this.#timer ??= this.#needs.clock.schedule(() => {
      this.#timer = undefined;
      this.#slot = (this.#slot + 1) % PING_SLOTS;
      for (const channel of this.#slots[this.#slot] ?? []) channel.beat();
      if (this.#open.size > 0) this.#keepTime();
    }, PING_MS / PING_SLOTS);
  }

  #endIfOver(): void {
    if (this.#shutdown === undefined || this.#open.size + this.#closing.size > 0) return;
    if (this.#timer !== undefined) this.#needs.clock.cancel(this.#timer);
    this.#timer = undefined;
    this.#shutdown.resolve();
  }
}
