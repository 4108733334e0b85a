/**
 * What a provider is not to be asked for a while (eth.md §8, without the poisoning described there): methods it does not have or has
 * had enough of, and the span of blocks from which on it refuses `eth_getLogs`.
 */
import type { Clock } from '../shared/clock.ts';
import { isJsonObject, type JsonValue, parseJson } from '../../wit/json.ts';
import type { RpcFault } from './rpc-error.ts';

/** First wait after a rate limit, in milliseconds; it doubles up to `MARK_MS_MAX`. */
export const RATE_MS_MIN = 1_000;
/** Longest time that a method or a span is avoided, in milliseconds. */
export const MARK_MS_MAX = 60 * 60 * 1000;
/** Methods of one provider that are remembered; the oldest goes first. */
const MARKS_MAX = 64;

interface Mark {
  untilMs: number;
  waitMs: number;
}

export class MethodMarks {
  readonly #clock: Clock;
  readonly #marks = new Map<string, Mark>();
  #span: { readonly blocks: bigint; readonly untilMs: number } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether the provider is worth asking now. `params` is JSON text. */
  allows(method: string, params: string): boolean {
    const now = this.#clock.nowMs();
    const mark = this.#marks.get(method);
    if (mark !== undefined && mark.untilMs > now) return false;
    if (method !== 'eth_getLogs' || this.#span === undefined || this.#span.untilMs <= now)
      return true;
    const span = spanOf(params);
    return span === undefined || span < this.#span.blocks;
  }

  succeeded(method: string): void {
    this.#marks.delete(method);
  }

  failed(method: string, params: string, fault: RpcFault): void {
    const now = this.#clock.nowMs();
    if (fault === 'range') {
      const span = spanOf(params);
      if (span !== undefined && (this.#span === undefined || span < this.#span.blocks))
        this.#span = { blocks: span, untilMs: now + MARK_MS_MAX };
      return;
    }
    if (fault !== 'rate' && fault !== 'unsupported') return;
    const before = this.#marks.get(method);
    const waitMs =
      fault === 'unsupported'
        ? MARK_MS_MAX
        : Math.min((before?.waitMs ?? RATE_MS_MIN / 2) * 2, MARK_MS_MAX);
    this.#marks.delete(method);
    this.#marks.set(method, { untilMs: now + waitMs, waitMs });
    for (const oldest of this.#marks.keys()) {
      if (this.#marks.size <= MARKS_MAX) break;
      this.#marks.delete(oldest);
    }
  }
}

const LATEST = 2n ** 64n - 1n;

/** How many blocks an `eth_getLogs` spans; undefined when it does not name both ends. Tags count as in the reference. */
export function spanOf(params: string): bigint | undefined {
  const list = parseJson(params);
  const filter = Array.isArray(list) ? (list as readonly JsonValue[])[0] : undefined;
  if (!isJsonObject(filter)) return undefined;
  const from = blockOf(filter['fromBlock']);
  const to = blockOf(filter['toBlock']);
  if (from === undefined || to === undefined) return undefined;
  return to >= from ? to - from : 0n;
}

function blockOf(value: JsonValue | undefined): bigint | undefined {
  if (value === 'earliest') return 0n;
  if (value === 'latest' || value === 'pending') return LATEST;
  if (typeof value !== 'string' || !/^0x[0-9a-f]{1,16}$/i.test(value)) return undefined;
  return BigInt(value);
}
