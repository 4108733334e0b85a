/**
 * What browsers and programs follow over a WebSocket (compute-market.md §13): the whitepaper's events, numbered, to whoever subscribed to
 * their topic. The latest are kept for who comes back with `since`; what is too old, or came faster than a socket takes it, is a `gap`.
 */
import type { LogRecord } from '../../../wit/jobs/log-records.ts';
import type { JobEvent, JobProgress, JobRecord } from './record.ts';

/** Events kept for who comes back. */
export const KEPT_MAX = 5_000;
/** Events that wait for one socket. */
export const QUEUE_MAX = 1_000;
export const TOPICS_MAX = 200;
const LOG_CHARS_MAX = 64 * 1024;

export interface FeedEvent {
  readonly event: string;
  readonly seq: number;
  /** Who gets it: `jobs`, `job:<id>`, `node:<id>`, `network`. */
  readonly topics: readonly string[];
  /** Of jobs: whose. */
  readonly owner: string | undefined;
  readonly data: unknown;
}

/** One end. */
export interface FeedSocket {
  /** Resolves when the next may be sent; false: it is gone. */
  push(text: string): Promise<boolean>;
}

interface Subscriber {
  readonly socket: FeedSocket;
  readonly topics: Set<string>;
  /** Sees jobs of this owner; undefined: of everybody. */
  owner: string | undefined;
  readonly queue: FeedEvent[];
  /** Dropped since the last event that went out. */
  gap: { from: number; to: number } | undefined;
  sending: boolean;
}

export class Feed {
  readonly #subscribers = new Map<FeedSocket, Subscriber>();
  #kept: FeedEvent[] = [];
  #seq: number;

  /** @param now  also the first number, so that those of an earlier run are all smaller */
  constructor(now: () => number) {
    this.#seq = now() * 1_000;
  }

  get lastSeq(): number {
    return this.#seq;
  }

  /** Whether anybody would see it. */
  isWatched(topic: string): boolean {
    for (const { topics } of this.#subscribers.values()) if (topics.has(topic)) return true;
    return false;
  }

  /** From now on these topics go there too, from `since` on. @returns false for too many */
  subscribe(
    socket: FeedSocket,
    wanted: {
      readonly topics: readonly string[];
      readonly owner: string | undefined;
      readonly since: number | undefined;
    },
  ): boolean {
    const known = this.#subscribers.get(socket);
    const subscriber: Subscriber = known ?? {
      socket,
      topics: new Set(),
      owner: wanted.owner,
      queue: [],
      gap: undefined,
      sending: false,
    };
    subscriber.owner = wanted.owner;
    for (const topic of wanted.topics) subscriber.topics.add(topic);
    if (subscriber.topics.size > TOPICS_MAX) return false;
    this.#subscribers.set(socket, subscriber);
    if (wanted.since !== undefined) this.#replay(subscriber, wanted.since, wanted.topics);
    return true;
  }

  unsubscribe(socket: FeedSocket, topics?: readonly string[]): void {
    if (topics === undefined) this.#subscribers.delete(socket);
    else for (const topic of topics) this.#subscribers.get(socket)?.topics.delete(topic);
  }

  publish(event: string, topics: readonly string[], data: unknown, owner?: string): void {
    this.#seq += 1;
    const made = { event, seq: this.#seq, topics, owner, data };
    this.#kept.push(made);
    if (this.#kept.length >= 2 * KEPT_MAX) this.#kept = this.#kept.slice(-KEPT_MAX);
    for (const subscriber of this.#subscribers.values()) {
      if (sees(subscriber, made)) this.#enqueue(subscriber, made);
    }
  }

  // ---- the events

  job(job: JobRecord, event: JobEvent): void {
    const { jobId, owner, state, substate, attempt, payment } = job;
    const topics = ['jobs', `job:${jobId}`];
    this.publish(
      'job_status_update',
      topics,
      { jobId, status: state, substate: substate ?? null, attempt, timestamp: event.at },
      owner,
    );
    if (event.patch.payment?.state !== undefined) {
      const { amount, price, payout, settleTx } = payment;
      const data = { jobId, state: payment.state, amount, price, payout: payout ?? null };
      this.publish('payment_update', topics, { ...data, tx: settleTx ?? null }, owner);
    }
    if (event.patch.verdict !== undefined && event.patch.verdict !== null) {
      this.publish('verdict', topics, { jobId, attempt, ...(job.verdict as object) }, owner);
    }
    const node = job.node ?? undefined;
    if (node !== undefined && (state === 'running' || event.was === 'running')) {
      const busy = state === 'running';
      const { nodeId } = node;
      const data = { nodeId, status: busy ? 'busy' : 'online', currentJob: busy ? jobId : null };
      this.publish('node_status_update', [`node:${nodeId}`], data);
    }
  }

  progress({ jobId, owner }: JobRecord, progress: JobProgress): void {
    this.publish('job_progress', [`job:${jobId}`, 'jobs'], { jobId, ...progress }, owner);
  }

  logged({ jobId, owner, attempt }: JobRecord, records: readonly LogRecord[]): void {
    const topic = `job:${jobId}`;
    if (!this.isWatched(topic)) return;
    const decoder = new TextDecoder();
    const shown = records.map(({ seq, stream, atMs, bytes }) => ({
      seq,
      stream,
      atMs,
      text: decoder.decode(bytes).slice(0, LOG_CHARS_MAX),
    }));
    this.publish('job_log', [topic], { jobId, attempt, records: shown }, owner);
  }

  node(nodeId: string, status: string): void {
    this.publish('node_status_update', [`node:${nodeId}`, 'network'], {
      nodeId,
      status,
      currentJob: null,
    });
  }

  // ---- one socket

  #replay(subscriber: Subscriber, since: number, topics: readonly string[]): void {
    const oldest = this.#kept[0]?.seq ?? this.#seq + 1;
    if (since + 1 < oldest && since < this.#seq) {
      subscriber.gap = { from: since + 1, to: oldest - 1 };
    }
    const fresh = new Set(topics);
    for (const event of this.#kept) {
      const missed = event.seq > since && event.topics.some((topic) => fresh.has(topic));
      if (missed && sees(subscriber, event)) this.#enqueue(subscriber, event);
    }
    void this.#drain(subscriber);
  }

  #enqueue(subscriber: Subscriber, event: FeedEvent): void {
    if (subscriber.queue.length >= QUEUE_MAX) {
      // What is oldest goes: who is slow wants to know how it is now.
      const dropped = subscriber.queue.shift()!;
      subscriber.gap = { from: subscriber.gap?.from ?? dropped.seq, to: dropped.seq };
    }
    subscriber.queue.push(event);
    void this.#drain(subscriber);
  }

  async #drain(subscriber: Subscriber): Promise<void> {
    if (subscriber.sending) return;
    subscriber.sending = true;
    try {
      for (;;) {
        const { gap } = subscriber;
        const next = gap === undefined ? subscriber.queue.shift() : undefined;
        if (gap === undefined && next === undefined) return;
        subscriber.gap = undefined;
        const text =
          next === undefined
            ? JSON.stringify({ event: 'gap', ...gap })
            : JSON.stringify({ event: next.event, seq: next.seq, data: next.data });
        if (!(await subscriber.socket.push(text))) {
          this.#subscribers.delete(subscriber.socket);
          return;
        }
      }
    } catch {
      // The module does not take it now; who does not keep up is let go, and comes back with `since`.
      this.#subscribers.delete(subscriber.socket);
    } finally {
      subscriber.sending = false;
    }
  }
}

function sees({ topics, owner }: Subscriber, event: FeedEvent): boolean {
  if (event.owner !== undefined && owner !== undefined && event.owner !== owner) return false;
  return event.topics.some((topic) => topics.has(topic));
}
