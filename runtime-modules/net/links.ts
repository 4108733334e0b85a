/**
 * All peers (networking.md §7, §9): who is talked to, how many, and who goes when there are too many. Finds the peer of a message, or says at
 * once that there is none.
 */
import type { KernelMessage, NodeId, Result, SendErrorKind } from '../../wit/types.ts';
import type { Clock } from '../shared/clock.ts';
import { Beat } from './beat.ts';
import type { Session } from './handshake.ts';
import { LOOK_MS, type TooLong } from './link.ts';
import { OutboxBudget } from './outbox.ts';
import { Peer, type Role } from './peer.ts';
import type { Pki } from './pki.ts';
import type { Connection } from './transport.ts';

export type Adopt = (connection: Connection, session: Session, role: Role) => void;

export interface LinksNeeds {
  readonly our: NodeId;
  readonly clock: Clock;
  readonly pki: Pki;
  readonly deliver: (message: KernelMessage) => void | Promise<void>;
  readonly failed: (message: KernelMessage, kind: SendErrorKind) => void;
  readonly tooLong: TooLong;
  readonly dial: (name: NodeId, adopt: Adopt) => Promise<Result<void, string>>;
  readonly note: (reason: string) => void;
  /** There were more peers than may be. */
  readonly limitHit: () => void;
  /** A peer that is not to go for others: a router of ours, or one we route for. */
  readonly keeps: (peer: Peer) => boolean;
}

export class Links {
  readonly #needs: LinksNeeds;
  readonly #peers = new Map<NodeId, Peer>();
  readonly #budget = new OutboxBudget();
  readonly #beat: Beat;
  #max: number;
  #closed = false;

  constructor(needs: LinksNeeds, max: number) {
    this.#needs = needs;
    this.#beat = new Beat(needs.clock, LOOK_MS);
    this.#max = max;
  }

  get max(): number {
    return this.#max;
  }

  /** Bytes that wait for all peers. */
  get waitingBytes(): number {
    return this.#budget.used;
  }

  get(name: NodeId): Peer | undefined {
    return this.#peers.get(name);
  }

  all(): Peer[] {
    return [...this.#peers.values()];
  }

  /** Fewer peers from now on, or more. Those over it go, the one silent for longest first. */
  limit(max: number): void {
    this.#max = Math.max(1, max);
    this.#cull(undefined);
  }

  send(message: KernelMessage): void | Promise<void> {
    const name = message.target.node;
    const known = this.#peers.get(name);
    if (known !== undefined) return known.send(message);
    if (this.#closed || this.#needs.pki.identity(name) === undefined) {
      this.#needs.note('message to an unknown node');
      return this.#needs.failed(message, 'offline');
    }
    return this.#open(name).send(message);
  }

  readonly adopt: Adopt = (connection, session, role) => {
    if (this.#closed) return connection.destroy();
    const peer = this.#peers.get(session.peer) ?? this.#open(session.peer);
    peer.adopt(connection, session, role);
  };

  /** Ends every peer; what waits fails. */
  close(): void {
    this.#closed = true;
    for (const peer of this.all()) peer.close('the node shuts down');
    this.#peers.clear();
  }

  #open(name: NodeId): Peer {
    const { our, clock, deliver, failed, tooLong, note } = this.#needs;
    const peer: Peer = new Peer(name, {
      our,
      clock,
      beat: this.#beat,
      budget: this.#budget,
      deliver,
      failed,
      tooLong,
      note,
      dial: () => this.#needs.dial(name, this.adopt),
      gone: () => {
        if (this.#peers.get(name) === peer) this.#peers.delete(name);
      },
    });
    this.#peers.set(name, peer);
    this.#cull(peer);
    return peer;
  }

  #cull(except: Peer | undefined): void {
    while (this.#peers.size > this.#max) {
      const oldest = this.all()
        .filter((peer) => peer !== except && !this.#needs.keeps(peer))
        .toSorted((a, b) => a.lastMessageMs - b.lastMessageMs)[0];
      if (oldest === undefined) return;
      this.#peers.delete(oldest.name);
      oldest.close('made room for another peer');
      this.#needs.limitHit();
    }
  }
}
