/**
 * A node we talk to (networking.md §7, §9): the messages that wait for it, and up to two links, one that it dialled and one that we did. Both
 * are read until one ends; both sides send on the one that the smaller name dialled (findings F29). What was not sent when a link dies goes
 * over the next one; when there is none to be had, every message ends as `offline`.
 */
import { SUSPENDED_SENDER_S } from '../../kernel/limits.ts';
import type { KernelMessage, NodeId, Result, SendErrorKind } from '../../wit/types.ts';
import type { Clock } from '../shared/clock.ts';
import type { Beat } from './beat.ts';
import type { Session } from './handshake.ts';
import { Inbox } from './inbox.ts';
import { BACKOFF_MS_MAX, BACKOFF_MS_MIN, SWITCH_MS, WAITING_SENDERS_MAX } from './limits.ts';
import { Link, type TooLong } from './link.ts';
import { laneOf, Outbox, type OutboxBudget } from './outbox.ts';
import type { Connection } from './transport.ts';

/** Links that died without having carried a message, one after another, before what waits is given up. */
const FRUITLESS_MAX = 3;

export type Role = 'initiator' | 'responder';

export interface PeerNeeds {
  readonly our: NodeId;
  readonly clock: Clock;
  readonly beat: Beat;
  readonly budget: OutboxBudget;
  readonly deliver: (message: KernelMessage) => void | Promise<void>;
  readonly failed: (message: KernelMessage, kind: SendErrorKind) => void;
  readonly tooLong: TooLong;
  /** Connects; `adopt` of this peer has been called when it resolves well. */
  readonly dial: () => Promise<Result<void, string>>;
  readonly note: (reason: string) => void;
  /** There is nothing here any more. */
  readonly gone: () => void;
}

interface WaitingSender {
  readonly message: KernelMessage;
  readonly lane: string;
  readonly resolve: () => void;
  readonly timer: object;
}

export class Peer {
  readonly name: NodeId;
  readonly #needs: PeerNeeds;
  readonly #outbox: Outbox;
  readonly #inbox: Inbox;
  /** The link that the smaller name dialled, and the other one. */
  readonly #preferred: Role;
  readonly #other: Role;
  readonly #links: { initiator?: Link; responder?: Link } = {};
  readonly #senders: WaitingSender[] = [];
  #sending: Link | undefined;
  #dialling = false;
  #fruitless = 0;
  #backoffMs = 0;
  #notBeforeMs = 0;
  #closed = false;
  lastMessageMs: number;

  constructor(name: NodeId, needs: PeerNeeds) {
    this.name = name;
    this.#needs = needs;
    this.#preferred = needs.our < name ? 'initiator' : 'responder';
    this.#other = needs.our < name ? 'responder' : 'initiator';
    this.lastMessageMs = needs.clock.nowMs();
    this.#outbox = new Outbox(needs.budget);
    this.#inbox = new Inbox({
      deliver: needs.deliver,
      pressure: (high) => {
        for (const link of this.links) {
          if (high) link.pause();
          else link.resume();
        }
      },
    });
  }

  get links(): Link[] {
    return [this.#links.initiator, this.#links.responder].filter((link) => link !== undefined);
  }

  get isConnected(): boolean {
    return this.links.length > 0;
  }

  /** Whether it asked us, on a connection that lives, to be its router. */
  get wantsRouting(): boolean {
    return this.links.some(({ session }) => session.proxyRequest);
  }

  /** Takes a message. A promise while there is no room: it resolves when there is, or when the message has failed. */
  send(message: KernelMessage): void | Promise<void> {
    this.lastMessageMs = this.#needs.clock.nowMs();
    if (this.#outbox.size === 0 && this.#senders.length === 0 && this.#choose()?.sendNow(message))
      return undefined;
    const lane = laneOf(message);
    const behind = this.#senders.some((sender) => sender.lane === lane);
    if (!behind && this.#outbox.hasRoom(message)) {
      this.#outbox.push(message);
      return this.#work();
    }
    if (this.#senders.length >= WAITING_SENDERS_MAX) return this.#needs.failed(message, 'timeout');
    return new Promise((resolve) => {
      const timer = this.#needs.clock.schedule(() => {
        this.#senders.splice(this.#senders.indexOf(sender), 1);
        this.#needs.note('no room for a message in time');
        this.#needs.failed(message, 'timeout');
        resolve();
      }, SUSPENDED_SENDER_S * 1_000);
      const sender = { message, lane, resolve, timer };
      this.#senders.push(sender);
    });
  }

  /** A connection on which the peer has proved who it is. A second one of the same kind replaces the first (N34). */
  adopt(connection: Connection, session: Session, role: Role): void {
    if (this.#closed) return connection.destroy();
    const before = this.#links[role];
    delete this.#links[role];
    this.#backoffMs = 0;
    this.#notBeforeMs = 0;
    const link: Link = new Link(connection, session, role, {
      our: this.#needs.our,
      clock: this.#needs.clock,
      beat: this.#needs.beat,
      outbox: this.#outbox,
      sends: () => this.#choose() === link,
      receive: (message) => {
        this.lastMessageMs = this.#needs.clock.nowMs();
        this.#inbox.take(message);
      },
      tooLong: this.#needs.tooLong,
      room: () => this.#admit(),
      dead: (reason) => this.#dead(link, reason),
    });
    this.#links[role] = link;
    if (this.#inbox.isHigh) link.pause();
    // One that is closing has last things to send, and ends by itself.
    if (before?.state === 'open') before.destroy('replaced by a newer connection');
    this.#work();
  }

  /** Ends the links; what waits goes over new ones. */
  reconnect(reason: string): void {
    for (const link of this.links) link.destroy(reason);
  }

  /** Ends everything; what waits has failed when it returns. */
  close(reason: string): void {
    this.#closed = true;
    for (const link of this.links) link.destroy(reason);
    this.#inbox.close();
    this.#giveUp();
  }

  #work(): void {
    const link = this.#choose();
    if (link !== undefined) return link.pump();
    // What a closing link still sends is not to be overtaken.
    if (this.links.some(({ state }) => state === 'closing')) return;
    if (!this.#dialling && this.#outbox.waiting > 0) void this.#dial();
  }

  /** The link to send on. It changes when the one in use has been quiet, so that nothing overtakes what is under way. */
  #choose(): Link | undefined {
    const preferred = openOf(this.#links[this.#preferred]) ?? openOf(this.#links[this.#other]);
    const current = this.#sending;
    if (current?.state === 'open' && preferred !== undefined && preferred !== current) {
      const quietSince = current.quietSinceMs;
      const quiet = quietSince !== undefined && this.#needs.clock.nowMs() - quietSince >= SWITCH_MS;
      if (current.sent > 0 && !quiet) return current;
    }
    this.#sending = preferred;
    return preferred;
  }

  async #dial(): Promise<void> {
    if (this.#closed) return;
    const { clock } = this.#needs;
    if (clock.nowMs() < this.#notBeforeMs) {
      this.#needs.note('tried again too soon after a failure');
      return this.#giveUp();
    }
    this.#dialling = true;
    const dialled = await this.#needs.dial();
    this.#dialling = false;
    if (dialled.ok || this.#closed) return;
    this.#needs.note(dialled.error);
    this.#backoffMs = Math.min(BACKOFF_MS_MAX, Math.max(BACKOFF_MS_MIN, 2 * this.#backoffMs));
    this.#notBeforeMs = clock.nowMs() + this.#backoffMs;
    if (!this.isConnected) this.#giveUp();
  }

  /** An address or a key is new: the next message may try at once. */
  forgetFailures(): void {
    this.#backoffMs = 0;
    this.#notBeforeMs = 0;
  }

  #dead(link: Link, reason: string): void {
    this.#needs.note(reason);
    if (this.#links[link.role] === link) delete this.#links[link.role];
    if (this.#sending === link) this.#sending = undefined;
    this.#fruitless = link.sent + link.received > 0 ? 0 : this.#fruitless + 1;
    if (this.#closed) return;
    if (this.isConnected) return this.#work();
    if (this.#fruitless >= FRUITLESS_MAX) return this.#giveUp();
    if (this.#outbox.waiting === 0) return this.#leave();
    if (this.#fruitless === 0) return this.#work();
    // It may not have heard of us yet.
    this.#dialling = true;
    this.#needs.clock.schedule(
      () => {
        this.#dialling = false;
        if (!this.#closed) this.#work();
      },
      BACKOFF_MS_MIN * 2 ** this.#fruitless,
    );
  }

  /** Everything that waits ends as `offline`. */
  #giveUp(): void {
    this.#fruitless = 0;
    for (const message of this.#outbox.drain()) this.#needs.failed(message, 'offline');
    for (const { message, resolve, timer } of this.#senders.splice(0)) {
      this.#needs.clock.cancel(timer);
      this.#needs.failed(message, 'offline');
      resolve();
    }
    this.#leave();
  }

  #leave(): void {
    // While failures are remembered, so is the peer: the next message is not to dial at once.
    if (this.isConnected || this.#dialling || this.#outbox.size > 0) return;
    const leftMs = this.#notBeforeMs - this.#needs.clock.nowMs();
    if (leftMs <= 0 || this.#closed) this.#needs.gone();
    else this.#needs.clock.schedule(() => this.#leave(), leftMs);
  }

  /** Those for whom there is room now, each lane in its order. */
  #admit(): void {
    if (this.#senders.length === 0) return;
    const stuck = new Set<string>();
    for (const sender of this.#senders.splice(0)) {
      if (stuck.has(sender.lane) || !this.#outbox.hasRoom(sender.message)) {
        stuck.add(sender.lane);
        this.#senders.push(sender);
        continue;
      }
      this.#needs.clock.cancel(sender.timer);
      this.#outbox.push(sender.message);
      sender.resolve();
    }
  }
}

function openOf(link: Link | undefined): Link | undefined {
  return link?.state === 'open' ? link : undefined;
}
