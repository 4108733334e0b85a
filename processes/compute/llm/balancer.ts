/** Which backend gets a request (compute-market.md §12.5): the lesser loaded of two, and none that fails. Times in milliseconds. */

/** Failures in a row that close a backend, and an answer that takes this long to begin is one. */
const FAILURES_MAX = 3;
const FIRST_TOKEN_MS_MAX = 30_000;
/** How long it stays closed at first, and at most. */
const OPEN_MS = 15_000;
const OPEN_MS_MAX = 300_000;
/** Weight of the newest time to the first token in the average, in tenths. */
const NEWEST_TENTHS = 2;
/** The same prompts go to the same backend while its load is at most this part of the average, in percent. */
const AFFINITY_PERCENT = 125;

export interface Backend {
  readonly id: string;
  /** Requests that it can take at once, in proportion to others. */
  readonly weight: number;
}

interface State {
  backend: Backend;
  inFlight: number;
  failures: number;
  firstTokenMs: number;
  /** Closed until then; 0: open. */
  closedUntil: number;
  closedForMs: number;
  /** One request finds out whether a closed backend has come back. */
  trying: boolean;
}

/** A request on its way; say how it went, once. */
export interface Ticket {
  readonly backend: Backend;
  /** The first byte of the answer is there. */
  begun(nowMs: number): void;
  done(outcome: 'ok' | 'failed' | 'left', nowMs: number): void;
}

export class Balancer {
  readonly #states = new Map<string, State>();
  readonly #random: () => number;

  /** @param random from 0 to below 1 */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** The backends from now on; what is known of those that stay is kept. */
  set(backends: readonly Backend[]): void {
    const before = new Map(this.#states);
    this.#states.clear();
    for (const backend of backends) {
      const known = before.get(backend.id);
      // The same object: requests that are under way end in it.
      if (known !== undefined) known.backend = backend;
      this.#states.set(backend.id, known ?? fresh(backend));
    }
  }

  /**
   * The backend for a request, or undefined when there is none.
   * @param affinity  a hash of the prompt's beginning: equal ones share what a backend has in its cache
   * @param among     backends that have the model, and were not tried yet; default: all
   */
  pick(
    nowMs: number,
    affinity: number | undefined,
    among?: ReadonlySet<string>,
  ): Ticket | undefined {
    const open = [...this.#states.values()].filter(
      (state) => (among?.has(state.backend.id) ?? true) && isOpen(state, nowMs),
    );
    if (open.length === 0) return undefined;
    const state = this.#favourite(open, affinity) ?? this.#better(open);
    if (state.closedUntil > 0) state.trying = true;
    state.inFlight += 1;
    return ticketOf(state, nowMs);
  }

  /** When the first closed one of these backends may be tried again; undefined while one is open. */
  nextTryMs(nowMs: number, among?: ReadonlySet<string>): number | undefined {
    const states = [...this.#states.values()].filter(
      ({ backend }) => among?.has(backend.id) ?? true,
    );
    if (states.length === 0 || states.some((state) => isOpen(state, nowMs))) return undefined;
    return Math.min(...states.map((state) => state.closedUntil));
  }

  /** The backend that prompts with this beginning go to, as long as it is not much busier than the others. */
  #favourite(open: readonly State[], affinity: number | undefined): State | undefined {
    if (affinity === undefined) return undefined;
    // Rendezvous hashing: a backend more or less moves only its own share of prompts.
    const scored = open.map((state) => ({ state, score: mixed(affinity, state.backend.id) }));
    const { state } = scored.reduce((a, b) => (b.score > a.score ? b : a));
    const total = open.reduce((sum, one) => sum + loadOf(one), 0);
    return loadOf(state) * 100 * open.length <= total * AFFINITY_PERCENT ? state : undefined;
  }

  /** Of two drawn at random the one with less to do; of equals the quicker. */
  #better(open: readonly State[]): State {
    const first = open[Math.floor(this.#random() * open.length)]!;
    const second = open[Math.floor(this.#random() * open.length)]!;
    const difference = loadOf(first) - loadOf(second);
    if (difference !== 0) return difference < 0 ? first : second;
    return first.firstTokenMs <= second.firstTokenMs ? first : second;
  }
}

function fresh(backend: Backend): State {
  return {
    backend,
    inFlight: 0,
    failures: 0,
    firstTokenMs: 0,
    closedUntil: 0,
    closedForMs: OPEN_MS,
    trying: false,
  };
}

const isOpen = ({ closedUntil, trying }: State, nowMs: number): boolean =>
  closedUntil === 0 || (nowMs >= closedUntil && !trying);

const loadOf = ({ inFlight, backend }: State): number =>
  (inFlight + 1) / Math.max(1, backend.weight);

function ticketOf(state: State, startMs: number): Ticket {
  let over = false;
  let late = false;
  return {
    backend: state.backend,
    begun(nowMs) {
      const took = nowMs - startMs;
      late = took > FIRST_TOKEN_MS_MAX;
      state.firstTokenMs = (state.firstTokenMs * (10 - NEWEST_TENTHS) + took * NEWEST_TENTHS) / 10;
    },
    done(outcome, nowMs) {
      if (over) return;
      over = true;
      state.inFlight -= 1;
      state.trying = false;
      // A client that leaves says nothing about the backend.
      if (outcome === 'left') return;
      if (outcome === 'ok' && !late) {
        state.failures = 0;
        state.closedUntil = 0;
        state.closedForMs = OPEN_MS;
        return;
      }
      state.failures += 1;
      const wasClosed = state.closedUntil > 0;
      if (!wasClosed && state.failures < FAILURES_MAX) return;
      if (wasClosed) state.closedForMs = Math.min(OPEN_MS_MAX, state.closedForMs * 2);
      state.closedUntil = nowMs + state.closedForMs;
    },
  };
}

/** FNV-1a over the id, begun with the prompt's hash. */
function mixed(affinity: number, id: string): number {
  let hash = (0x811c_9dc5 ^ affinity) >>> 0;
  for (let at = 0; at < id.length; at += 1) {
    hash = Math.imul(hash ^ id.charCodeAt(at), 0x0100_0193) >>> 0;
  }
  return hash;
}
