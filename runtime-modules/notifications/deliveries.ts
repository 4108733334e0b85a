/** The queue of notifications: one at a time, spaced, each to every subscription; in memory only (runtime-modules.md §11). */
import { randomBytes } from 'node:crypto';
import type { KernelPort } from '../../kernel/module.ts';
import type { PushSubscription } from '../../wit/notifications-api.ts';
import type { Clock } from '../shared/clock.ts';
import type { ConnectionPool } from '../shared/outbound/connection-pool.ts';
import { exchange } from '../shared/outbound/exchange.ts';
import { Semaphore } from '../shared/semaphore.ts';
import { encryptPush, ephemeralKey, parseBrowserKeys } from './encryption.ts';
import {
  ANSWER_BYTES_MAX,
  DELIVERIES_MAX,
  DELIVERY_MS_MAX,
  QUEUE_MAX,
  SPACING_MS,
  TTL_S,
} from './limits.ts';
import type { Subscriptions } from './subscriptions.ts';
import type { VapidKeys } from './vapid.ts';

export interface DeliveriesNeeds {
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  readonly pool: ConnectionPool;
  readonly port: Pick<KernelPort, 'print'>;
  readonly subscriptions: Subscriptions;
  /** The keys at the time of sending. */
  readonly keys: () => VapidKeys | undefined;
}

/** What a push service made of it: it is gone when that browser will never take another. */
type Outcome =
  | { readonly kind: 'taken' | 'gone' }
  | { readonly kind: 'failed'; readonly why: string };

export class Deliveries {
  readonly #needs: DeliveriesNeeds;
  readonly #queue: Uint8Array[] = [];
  readonly #end = new AbortController();
  readonly #atOnce = new Semaphore(DELIVERIES_MAX);
  #timer: object | undefined;
  #lastMs = Number.NEGATIVE_INFINITY;
  #running: Promise<void> = Promise.resolve();

  constructor(needs: DeliveriesNeeds) {
    this.#needs = needs;
  }

  /** False: too many wait. */
  enqueue(payload: Uint8Array): boolean {
    if (this.#queue.length >= QUEUE_MAX) return false;
    this.#queue.push(payload);
    this.#arm();
    return true;
  }

  async close(): Promise<void> {
    this.#end.abort();
    this.#queue.length = 0;
    if (this.#timer !== undefined) this.#needs.clock.cancel(this.#timer);
    await this.#running;
  }

  #arm(): void {
    if (this.#timer !== undefined || this.#queue.length === 0 || this.#end.signal.aborted) return;
    const { clock } = this.#needs;
    const waitMs = Math.max(0, this.#lastMs + SPACING_MS - clock.nowMs());
    this.#timer = clock.schedule(() => void (this.#running = this.#next()), waitMs);
  }

  async #next(): Promise<void> {
    const payload = this.#queue.shift();
    this.#lastMs = this.#needs.clock.nowMs();
    try {
      if (payload !== undefined) await this.#toAll(payload);
    } catch (error) {
      this.#failed(error instanceof Error ? error.message : String(error));
    }
    this.#timer = undefined;
    this.#arm();
  }

  async #toAll(payload: Uint8Array): Promise<void> {
    const { subscriptions, keys } = this.#needs;
    const all = await subscriptions.all();
    const vapid = keys();
    if (vapid === undefined) return this.#failed('there are no keys');
    await Promise.all(
      all.map((subscription) =>
        this.#atOnce.run(async () => {
          const outcome = await this.#deliver(payload, subscription, vapid);
          if (outcome.kind === 'gone') await subscriptions.remove(subscription.endpoint);
          // What follows the origin of an endpoint is a secret of its browser.
          if (outcome.kind === 'failed')
            this.#failed(
              `${URL.parse(subscription.endpoint)?.origin ?? 'an endpoint'}: ${outcome.why}`,
            );
        }),
      ),
    );
  }

  async #deliver(
    payload: Uint8Array,
    { endpoint, keys }: PushSubscription,
    vapid: VapidKeys,
  ): Promise<Outcome> {
    const { clock, pool, wallMs } = this.#needs;
    const browser = parseBrowserKeys(keys.p256dh, keys.auth);
    const url = URL.parse(endpoint);
    if (!browser.ok || url === null) return { kind: 'gone' };
    const limit = new AbortController();
    const timer = clock.schedule(() => limit.abort(), DELIVERY_MS_MAX);
    const fresh = { ephemeral: ephemeralKey(), salt: randomBytes(16) };
    const outcome = await exchange(
      {
        method: 'POST',
        url,
        headers: [
          ['TTL', String(TTL_S)],
          ['Content-Type', 'application/octet-stream'],
          ['Content-Encoding', 'aes128gcm'],
          ['Authorization', vapid.authorization(url, wallMs() / 1000)],
        ],
        body: encryptPush(payload, browser.value, fresh),
      },
      {
        pool,
        owner: 'notifications',
        bodyBytesMax: ANSWER_BYTES_MAX,
        signal: AbortSignal.any([limit.signal, this.#end.signal]),
      },
    );
    clock.cancel(timer);
    if (this.#end.signal.aborted) return { kind: 'taken' };
    if (limit.signal.aborted)
      return { kind: 'failed', why: `no answer within ${DELIVERY_MS_MAX / 1000} s` };
    return outcome.ok ? outcomeOf(outcome.value.status) : { kind: 'failed', why: outcome.error };
  }

  #failed(why: string): void {
    this.#needs.port.print(0, `notifications: not delivered: ${why}`);
  }
}

function outcomeOf(status: number): Outcome {
  if (status === 404 || status === 410) return { kind: 'gone' };
  if (status >= 200 && status < 300) return { kind: 'taken' };
  return { kind: 'failed', why: `the push service answered ${status}` };
}
