/**
 * Other nodes that ask this one (eth.md §6, §7): who may, and how much at a time.
 */
import type { AccessSettings } from '../../wit/eth-api.ts';
import type { Clock } from '../shared/clock.ts';

/** Between two requests of one node that are handed on, in milliseconds. */
export const NODE_SPACING_MS = 200;
/** Requests of one node that wait; a further one is `RateLimited` (E28). */
export const NODE_QUEUE_MAX = 100;
/** Names in either list. */
export const ACCESS_NAMES_MAX = 10_000;

export function mayAsk({ public: open, allow, deny }: AccessSettings, node: string): boolean {
  return !deny.includes(node) && (open || allow.includes(node));
}

/** The settings after one of the list actions; undefined: the list is full. */
export function changed(
  settings: AccessSettings,
  list: 'allow' | 'deny',
  change: 'add' | 'remove',
  node: string,
): AccessSettings | undefined {
  const others = settings[list].filter((name) => name !== node);
  if (change === 'add' && others.length >= ACCESS_NAMES_MAX) return undefined;
  return { ...settings, [list]: change === 'add' ? [...others, node] : others };
}

interface Line {
  waiting: (() => void)[];
  timer: object | undefined;
}

/** One queue a node, one request of it every 200 ms. */
export class Throttle {
  readonly #clock: Clock;
  readonly #lines = new Map<string, Line>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves when it is this request's turn; undefined: too many wait. */
  turn(node: string): Promise<void> | undefined {
    const line = this.#lines.get(node);
    if (line === undefined) {
      const fresh: Line = { waiting: [], timer: undefined };
      this.#lines.set(node, fresh);
      this.#arm(node, fresh);
      return Promise.resolve();
    }
    if (line.waiting.length >= NODE_QUEUE_MAX) return undefined;
    return new Promise((resolve) => {
      line.waiting.push(resolve);
    });
  }

  close(): void {
    for (const { timer, waiting } of this.#lines.values()) {
      if (timer !== undefined) this.#clock.cancel(timer);
      for (const resolve of waiting) resolve();
    }
    this.#lines.clear();
  }

  #arm(node: string, line: Line): void {
    line.timer = this.#clock.schedule(() => {
      const next = line.waiting.shift();
      if (next === undefined) {
        this.#lines.delete(node);
        return;
      }
      this.#arm(node, line);
      next();
    }, NODE_SPACING_MS);
  }
}
