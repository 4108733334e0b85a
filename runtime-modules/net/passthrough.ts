/**
 * Relaying for others (networking.md §8): a connection whose first unit is a routing request is joined with one that its target makes, or that
 * we make to it. What passes is ciphertext. A router takes at most `max` pairs; with 0, the default, it is none (N20).
 */
import type { NodeId } from '../../wit/types.ts';
import type { Clock } from '../shared/clock.ts';
import { PASSTHROUGH_IDLE_MS_MAX, PASSTHROUGH_WAITING_MS_MAX } from './limits.ts';
import type { Pki } from './pki.ts';
import { decodeRoutingRequest, isSigned } from './routing.ts';
import type { Dialler } from './dial.ts';
import type { Connection } from './transport.ts';

export interface PassthroughNeeds {
  readonly our: NodeId;
  readonly clock: Clock;
  readonly pki: Pki;
  readonly dialler: Pick<Dialler, 'reach' | 'offers'>;
  /** Whether that node is connected and asked us to be its router. */
  readonly routesFor: (name: NodeId) => boolean;
  /** Tells a node that `source` waits for it here. */
  readonly summon: (target: NodeId, source: NodeId) => void;
  readonly note: (reason: string) => void;
}

interface Pair {
  readonly source: NodeId;
  readonly target: NodeId;
  readonly sinceMs: number;
  readonly end: () => void;
}

interface Waiting extends Pair {
  readonly connection: Connection;
}

export class Passthroughs {
  readonly max: number;
  readonly #needs: PassthroughNeeds;
  /** By `source target`, oldest first. */
  readonly #waiting = new Map<string, Waiting>();
  readonly #active = new Set<Pair>();
  /** Targets that are being dialled. */
  #reaching = 0;
  #closed = false;

  constructor(needs: PassthroughNeeds, max: number) {
    this.#needs = needs;
    this.max = max;
  }

  /** Pairs that wait and that talk, for diagnostics. */
  pairs(): { readonly waiting: readonly Pair[]; readonly active: readonly Pair[] } {
    return { waiting: [...this.#waiting.values()], active: [...this.#active] };
  }

  /** Takes a connection over, whose first unit this is. */
  async accept(connection: Connection, unit: Uint8Array): Promise<void> {
    const checked = this.#check(unit);
    if (typeof checked === 'string') {
      this.#needs.note(checked);
      return connection.destroy();
    }
    const { source, target } = checked;
    const mirror = this.#take(target, source);
    this.#makeRoom();
    if (mirror !== undefined) return this.#join(connection, mirror.connection, source, target);
    const { dialler } = this.#needs;
    if (dialler.offers(target, connection.kind)) {
      if (this.#reaching >= this.max) {
        this.#needs.note('relay while as many as may be are being connected');
        return connection.destroy();
      }
      connection.attach(untilJoined());
      connection.pause();
      this.#reaching++;
      const reached = await dialler.reach(target, connection.kind);
      this.#reaching--;
      if (this.#closed && reached.ok) reached.value.destroy();
      if (this.#closed) return connection.destroy();
      if (reached.ok) return this.#join(connection, reached.value, source, target);
      this.#needs.note(`relay: ${reached.error}`);
      return connection.destroy();
    }
    if (!this.#needs.routesFor(target)) {
      this.#needs.note('relay to a node that we do not route for');
      return connection.destroy();
    }
    this.#wait(connection, source, target);
    this.#needs.summon(target, source);
  }

  /** The target said that it does not want to. */
  rejected(source: NodeId, target: NodeId): void {
    this.#take(source, target)?.connection.destroy();
  }

  close(): void {
    this.#closed = true;
    for (const each of [...this.#waiting.values(), ...this.#active]) each.end();
  }

  #check(unit: Uint8Array): { readonly source: NodeId; readonly target: NodeId } | string {
    if (this.max === 0) return 'routing request, and we are no router';
    const request = decodeRoutingRequest(unit);
    if (request === undefined) return 'malformed routing request';
    const { our, pki } = this.#needs;
    const { source, target } = request;
    const key = pki.key(source);
    if (key === undefined) return 'routing request of an unknown node';
    if (!isSigned(request, our, key)) return 'routing request is not signed by its source';
    if (pki.identity(target) === undefined) return 'routing request to an unknown node';
    if (target === source) return 'routing request of a node to itself';
    return { source, target };
  }

  #take(source: NodeId, target: NodeId): Waiting | undefined {
    const found = this.#waiting.get(`${source} ${target}`);
    this.#waiting.delete(`${source} ${target}`);
    return found;
  }

  /** The oldest goes: one that talks if it is strictly older than all that wait (N25). */
  #makeRoom(): void {
    while (this.#active.size + this.#waiting.size >= this.max) {
      const [waiting] = this.#waiting.values();
      const [active] = this.#active;
      const older =
        active !== undefined && (waiting === undefined || active.sinceMs < waiting.sinceMs);
      const oldest = older ? active : waiting;
      if (oldest === undefined) return;
      this.#needs.note('relay ended to make room');
      oldest.end();
    }
  }

  #wait(connection: Connection, source: NodeId, target: NodeId): void {
    this.#take(source, target)?.connection.destroy();
    const { clock } = this.#needs;
    const key = `${source} ${target}`;
    const end = (): void => {
      if (this.#waiting.get(key) === waiting) this.#waiting.delete(key);
      connection.destroy();
    };
    const waiting: Waiting = { source, target, sinceMs: clock.nowMs(), connection, end };
    this.#waiting.set(key, waiting);
    clock.schedule(() => {
      if (this.#waiting.get(key) === waiting) end();
    }, PASSTHROUGH_WAITING_MS_MAX);
    connection.attach({ ...untilJoined(), onEnd: end });
    // What it has to say is for the other.
    connection.pause();
  }

  #join(a: Connection, b: Connection, source: NodeId, target: NodeId): void {
    const { clock } = this.#needs;
    let lastMs = clock.nowMs();
    let timer: object | undefined;
    const look = (): void => {
      const leftMs = lastMs + PASSTHROUGH_IDLE_MS_MAX - clock.nowMs();
      if (leftMs <= 0) return pair.end();
      timer = clock.schedule(look, leftMs);
    };
    const pair: Pair = {
      source,
      target,
      sinceMs: lastMs,
      end: () => {
        this.#active.delete(pair);
        if (timer !== undefined) clock.cancel(timer);
        a.destroy();
        b.destroy();
      },
    };
    const joined = a.spliceWith(b, {
      onBytes: () => (lastMs = clock.nowMs()),
      onEnd: () => pair.end(),
    });
    if (!joined) {
      this.#needs.note('relay between two transports, or with an end that has gone');
      return pair.end();
    }
    this.#active.add(pair);
    look();
    a.resume();
    b.resume();
  }
}

/** Whatever comes waits in the connection: it is paused at once. */
function untilJoined(): Parameters<Connection['attach']>[0] {
  const nothing = (): void => undefined;
  return { onFrame: nothing, onLength: nothing, onDrain: nothing, onEnd: nothing };
}
