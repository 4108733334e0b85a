/**
 * One channel: a socket and the process that owns it (runtime-modules.md §6.11). Turns frames into messages and, for extensions,
 * the other way round (§8). What it may do was decided when it was opened.
 */
import type { ModuleRequest } from '../../../kernel/module.ts';
import type { MessageType, WsMessageType } from '../../../wit/http-server-api.ts';
import type { ProcessId, U64 } from '../../../wit/types.ts';
import { isBulk } from '../../../wit/hn-ext/bulk.ts';
import { closeBody, openBody, pushBody } from './channel-bodies.ts';
import { ExtensionAnswers } from './extension-answers.ts';
import {
  type BlobForm,
  blobFormOf,
  decodeExtensionFrame,
  encodeExtensionFrame,
} from '../../../wit/extension-frame.ts';
import type { Origin, ProcessLine } from './process-line.ts';
import { EXTENSION_WAITING_FRAMES_MAX, HELD_OVERHEAD_BYTES } from './limits.ts';
import type { Opening } from '../parts.ts';
import { Transfers } from './transfers.ts';
import type { WsEvents, WsSocket } from './ws.ts';

/** What a channel needs of those around it. */
export interface ChannelHost {
  readonly nowMs: number;
  /** Payload of the pings that are the node's own. */
  readonly heartbeat: Uint8Array;
  print(verbosity: number, text: string): void;
  /** Sends a response under an id that the process awaits. */
  respond(process: ProcessId, body: Uint8Array, bytes: Uint8Array, id: U64): void;
  held(changeBytes: number): void;
  ended(channel: Channel): void;
}

export class Channel implements WsEvents, Origin {
  readonly id: number;
  readonly socket: WsSocket;
  readonly line: ProcessLine;
  readonly #host: ChannelHost;
  readonly #extension: boolean;
  #closedHere = false;
  #waiting = 0;
  /** As the extension's last frame had it: what it writes it reads. */
  #form: BlobForm = 'list';
  /** Made with the first file. */
  #transfers: Transfers | undefined = undefined;
  /** Made with the first request to an extension. */
  #answers: ExtensionAnswers | undefined = undefined;
  /** Bodies of the frames that are frequent. */
  #textBody: Uint8Array | undefined = undefined;
  #binaryBody: Uint8Array | undefined = undefined;

  constructor(
    host: ChannelHost,
    socket: WsSocket,
    id: number,
    { line, extension }: { readonly line: ProcessLine; readonly extension: boolean },
  ) {
    this.#host = host;
    this.socket = socket;
    this.id = id;
    this.line = line;
    this.#extension = extension;
    socket.tell(this);
  }

  /** Tells the process of it. */
  announce(opening: Opening): void {
    const body = openBody({
      path: opening.path,
      channel_id: this.id,
      source_socket_addr: opening.sourceSocketAddr,
      forwarded_for: opening.forwardedFor,
    });
    this.line.deliver(this, body, undefined);
  }

  /** The frame of a request to the extension; from now on that may answer it. */
  extensionFrame(
    type: MessageType,
    blob: Uint8Array,
    request: Pick<ModuleRequest, 'id' | 'timeoutS'> | U64,
  ): Uint8Array {
    const id = typeof request === 'object' ? request.id : request;
    const awaited = typeof request !== 'object' || request.timeoutS !== undefined;
    if (awaited && this.#extension) {
      const timeoutS = typeof request === 'object' ? request.timeoutS : undefined;
      this.#answers ??= new ExtensionAnswers();
      this.#answers.expect(id, type, this.#host.nowMs, timeoutS);
    }
    return encodeExtensionFrame({ id, type, blob }, this.#form);
  }

  /** Files to and from the extension; undefined for a channel of browsers. */
  get transfers(): Transfers | undefined {
    if (!this.#extension) return undefined;
    return (this.#transfers ??= new Transfers(this.socket));
  }

  /** Starts to close: nothing of the peer is passed on any more but its answer. */
  close(code: number | undefined): void {
    this.#closedHere = true;
    this.#answers = undefined;
    this.#transfers?.close();
    this.socket.close(code);
  }

  /** Ends at once, with what waits from it: it takes too much memory. Its process hears of the end. */
  end(): void {
    this.line.discard(this);
    this.socket.terminate();
  }

  /** Every PING_MS. */
  beat(): void {
    this.#answers?.prune(this.#host.nowMs);
    this.socket.beat(this.#host.heartbeat);
  }

  // --- what the socket says

  received(type: WsMessageType, bytes: Uint8Array): void {
    if (this.#closedHere) return;
    if (type === 'Pong' && equal(bytes, this.#host.heartbeat)) return;
    if (this.#extension) this.#fromExtension(type, bytes);
    else this.#push(type, bytes);
  }

  failed(reason: string): void {
    this.#host.print(2, `websocket connection ${this.id} failed: ${reason}`);
  }

  closed(reason: Uint8Array | undefined): void {
    this.#transfers?.close();
    if (reason !== undefined) this.#push('Close', reason);
    this.line.deliver(this, closeBody(this.id), undefined);
    this.#host.ended(this);
  }

  held(changeBytes: number): void {
    this.#host.held(changeBytes);
  }

  // --- what the line says

  waits(bytes: number): void {
    this.#waiting++;
    this.socket.waits(bytes + HELD_OVERHEAD_BYTES);
    if (!this.#extension || this.#waiting >= EXTENSION_WAITING_FRAMES_MAX) this.socket.pause();
  }

  moved(bytes: number): void {
    this.#waiting--;
    this.socket.waits(-bytes - HELD_OVERHEAD_BYTES);
  }

  #push(type: WsMessageType, bytes: Uint8Array, id?: U64): void {
    this.line.deliver(this, this.#bodyOf(type), { mime: undefined, bytes }, id);
  }

  #bodyOf(type: WsMessageType): Uint8Array {
    if (type === 'Text') return (this.#textBody ??= pushBody(this.id, type));
    if (type === 'Binary') return (this.#binaryBody ??= pushBody(this.id, type));
    return pushBody(this.id, type);
  }

  #fromExtension(type: WsMessageType, bytes: Uint8Array): void {
    if (type === 'Binary' && isBulk(bytes)) return this.transfers?.received(bytes);
    const frame = decodeExtensionFrame(bytes);
    if (frame === undefined) return this.#push(type, bytes);
    const { process } = this.line;
    if (frame === 'another-action') {
      this.#host.print(
        1,
        `dropped an action that an extension of ${process} sent: only data may be`,
      );
      return;
    }
    this.#form = blobFormOf(frame, bytes);
    if (frame.type === 'Request') return this.#push(type, frame.blob, this.#requestId(frame.id));
    if (this.#answers?.take(frame.id, this.#host.nowMs) === undefined) {
      this.#host.print(2, `dropped a response of an extension of ${process} to no open request`);
      return;
    }
    this.#host.respond(process, this.#bodyOf(type), frame.blob, frame.id);
  }

  /**
   * A request of an extension keeps its id, except one under which its process awaits a response: a request under that id would end
   * the process (K44).
   */
  #requestId(id: U64): U64 | undefined {
    if (this.#answers?.awaitsResponse(id) === true) return undefined;
    this.#answers?.take(id, this.#host.nowMs);
    return id;
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
