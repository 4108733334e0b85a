/**
 * Model requests between `llm:compute:sys` and the extension (compute-market.md §12; wit/hn-ext/schema.ts, `llm.*`). What the caller takes is
 * what the extension gets credit for, so of no answer more than a window is under way.
 */
import {
  LLM_BODY_BYTES_MAX,
  LLM_CALLS_MAX,
  LLM_CHUNK_BYTES,
  LLM_WINDOW_BYTES,
} from '../../../wit/hn-ext/limits.ts';
import type { Body, Frame } from '../../../wit/hn-ext/schema.ts';
import type { Address } from '../../../wit/types.ts';
import { Refusal } from '../../lib/errors.ts';
import type { ModelState } from '../shared/model-contract.ts';
import type { Machine } from './offers.ts';
import type { Session } from './session.ts';

export interface ModelDeskNeeds {
  readonly session: Pick<Session, 'send' | 'up'>;
  readonly machine: () => Machine | undefined;
  readonly nowMs: () => number;
  /** Tells the caller `ModelPiece`. */
  readonly tell: (
    caller: Address,
    piece: { readonly rid: string; readonly state: ModelState },
    bytes?: Uint8Array,
  ) => void;
}

/** Milliseconds after which an answer that nobody takes is given up. */
const UNTAKEN_MS_MAX = 120_000;

interface Call {
  readonly rid: string;
  readonly caller: Address;
  readonly body: Uint8Array;
  chunks: number;
  /** Bytes that the caller was told and has not taken. */
  untaken: number;
  touchedMs: number;
}

const MORE: ModelState = { kind: 'More' };

export class ModelDesk {
  readonly #needs: ModelDeskNeeds;
  readonly #calls = new Map<string, Call>();

  constructor(needs: ModelDeskNeeds) {
    this.#needs = needs;
  }

  models(): {
    readonly paired: boolean;
    readonly backends: readonly { readonly id: string; readonly models: readonly string[] }[];
  } {
    const device = this.#needs.machine()?.device;
    const backends = device?.backends.map(({ id, models }) => ({ id, models })) ?? [];
    return { paired: device !== undefined, backends };
  }

  /** @throws Refusal */
  call(
    asked: {
      readonly rid: string;
      readonly backend: string;
      readonly endpoint: string;
      readonly deadlineMs: number;
    },
    body: Uint8Array,
    caller: Address,
  ): void {
    const { rid, backend, endpoint, deadlineMs } = asked;
    if (body.length === 0 || body.length > LLM_BODY_BYTES_MAX)
      throw new Refusal('BadRequest', `a body has from 1 to ${LLM_BODY_BYTES_MAX} bytes`);
    if (this.#calls.has(rid)) throw new Refusal('Conflict', 'this rid is used');
    if (!this.#needs.session.up)
      throw new Refusal('Unavailable', 'no extension is paired with this node');
    if (this.#calls.size >= LLM_CALLS_MAX)
      throw new Refusal('Unavailable', `${LLM_CALLS_MAX} model requests are under way`);
    this.#calls.set(rid, {
      rid,
      caller,
      body,
      chunks: 0,
      untaken: 0,
      touchedMs: this.#needs.nowMs(),
    });
    this.#needs.session.send('llm.request', {
      rid,
      backend,
      endpoint,
      bytes: body.length,
      credit: LLM_WINDOW_BYTES,
      deadlineMs,
    });
  }

  taken(rid: string, bytes: number): void {
    const call = this.#calls.get(rid);
    if (call === undefined || bytes > call.untaken) return;
    call.untaken -= bytes;
    call.touchedMs = this.#needs.nowMs();
    this.#needs.session.send('llm.credit', { rid, bytes });
  }

  cancel(rid: string): void {
    if (this.#calls.delete(rid)) this.#needs.session.send('llm.cancel', { rid });
  }

  /** False: it is none of a model request. */
  frame(frame: Frame): boolean {
    switch (frame.t) {
      case 'llm.more':
        this.#body(frame.body);
        return true;
      case 'llm.chunk':
        this.#chunk(frame.body);
        return true;
      case 'llm.done': {
        const { rid, chunks, sha256, requestSha256 } = frame.body;
        const call = this.#calls.get(rid);
        if (call?.chunks === chunks)
          this.#end(call, { kind: 'Done', value: { requestSha256, sha256 } });
        else if (call !== undefined) this.#fail(call, 502, 'a part of the answer is missing');
        return true;
      }
      case 'llm.error': {
        const call = this.#calls.get(frame.body.rid);
        if (call !== undefined)
          this.#fail(call, frame.body.status, frame.body.message.slice(0, 500));
        return true;
      }
      default:
        return false;
    }
  }

  /** The channel is gone, and every answer with it. */
  down(): void {
    for (const call of this.#calls.values()) this.#fail(call, 503, 'the extension is away');
  }

  tick(): void {
    const now = this.#needs.nowMs();
    for (const { rid, untaken, touchedMs } of this.#calls.values())
      if (untaken > 0 && now - touchedMs > UNTAKEN_MS_MAX) this.cancel(rid);
  }

  #body({ rid, offset }: Body<'llm.more'>): void {
    const call = this.#calls.get(rid);
    if (call === undefined || offset >= call.body.length) return;
    const data = call.body.subarray(offset, offset + LLM_CHUNK_BYTES);
    this.#needs.session.send('llm.body', { rid, offset, data });
  }

  #chunk({ rid, i, data }: Body<'llm.chunk'>): void {
    const call = this.#calls.get(rid);
    if (call === undefined) return;
    const beyond = call.untaken + data.length > LLM_WINDOW_BYTES;
    if (i !== call.chunks || beyond || data.length === 0) {
      this.#needs.session.send('llm.cancel', { rid });
      return this.#fail(call, 502, 'the extension does not send what was agreed');
    }
    call.chunks += 1;
    if (call.untaken === 0) call.touchedMs = this.#needs.nowMs();
    call.untaken += data.length;
    return this.#needs.tell(call.caller, { rid, state: MORE }, data);
  }

  #fail(call: Call, status: number, message: string): void {
    this.#end(call, { kind: 'Failed', value: { status, message } });
  }

  #end(call: Call, state: ModelState): void {
    this.#calls.delete(call.rid);
    this.#needs.tell(call.caller, { rid: call.rid, state });
  }
}
