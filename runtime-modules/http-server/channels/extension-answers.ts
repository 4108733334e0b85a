/** The requests that one extension was given and may still answer: a frame with any other id completes nothing (M203, H14). */
import type { MessageType } from '../../../wit/http-server-api.ts';
import type { U64 } from '../../../wit/types.ts';
import { EXTENSION_ANSWERS_MAX } from './limits.ts';

/** Kept beyond a request's timeout, in milliseconds: the kernel's timers may be that late, never this. */
const LATE_MS = 1_000;

interface Expected {
  readonly type: MessageType;
  readonly untilMs: number;
}

export class ExtensionAnswers {
  /** Oldest first. */
  readonly #expected = new Map<U64, Expected>();

  get size(): number {
    return this.#expected.size;
  }

  /** A request went to the extension. `timeoutS`: of the request; undefined when the time it has is not known. */
  expect(id: U64, type: MessageType, nowMs: number, timeoutS: U64 | undefined): void {
    const untilMs = timeoutS === undefined ? Infinity : nowMs + Number(timeoutS) * 1_000 + LATE_MS;
    // Again under the same id, as when a message is inherited: the last one counts, as the youngest.
    this.#expected.delete(id);
    this.#expected.set(id, { type, untilMs });
    if (this.#expected.size <= EXTENSION_ANSWERS_MAX) return;
    for (const oldest of this.#expected.keys()) {
      this.#expected.delete(oldest);
      return;
    }
  }

  /** Takes the type that was asked for under an id, once; undefined when nothing is expected under it any more. */
  take(id: U64, nowMs: number): MessageType | undefined {
    const expected = this.#expected.get(id);
    if (expected === undefined) return undefined;
    this.#expected.delete(id);
    return nowMs > expected.untilMs ? undefined : expected.type;
  }

  /** Whether a response is expected under an id. */
  awaitsResponse(id: U64): boolean {
    return this.#expected.get(id)?.type === 'Response';
  }

  /** Forgets what has timed out. */
  prune(nowMs: number): void {
    for (const [id, { untilMs }] of this.#expected) if (nowMs > untilMs) this.#expected.delete(id);
  }
}
