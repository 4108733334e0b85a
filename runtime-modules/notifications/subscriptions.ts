/** The browsers to notify, in memory and in the store; changes one after another, in memory once they are on disk. */
import { list } from '../../wit/codec.ts';
import { pushSubscription, type PushSubscription } from '../../wit/notifications-api.ts';
import type { Result } from '../../wit/types.ts';
import { Semaphore } from '../shared/semaphore.ts';
import { parseBrowserKeys } from './encryption.ts';
import { ENDPOINT_CHARS_MAX, SUBSCRIPTIONS_MAX, SUBSCRIPTION_MS_MAX } from './limits.ts';

const stored = list(pushSubscription);

/** One row of the node's store. Rejects when the disk does. */
export interface Row {
  read(): Promise<Uint8Array | undefined>;
  write(bytes: Uint8Array): Promise<void>;
}

export class Subscriptions {
  readonly #row: Row;
  readonly #oneByOne = new Semaphore(1);
  #present: readonly PushSubscription[] | undefined;

  constructor(row: Row) {
    this.#row = row;
  }

  /** Those stored; what cannot be read there counts as none. */
  async all(): Promise<readonly PushSubscription[]> {
    if (this.#present !== undefined) return this.#present;
    const bytes = await this.#row.read();
    const decoded = bytes === undefined ? undefined : stored.decode(bytes);
    return (this.#present ??= decoded?.ok === true ? decoded.value : []);
  }

  /** Adds or replaces one and forgets old ones. @param nowMs since 1970; an error says why it is refused */
  async add(subscription: PushSubscription, nowMs: number): Promise<Result<void, string>> {
    const wrong = refusalOf(subscription);
    if (wrong !== undefined) return { ok: false, error: wrong };
    const created_at = subscription.created_at === 0 ? nowMs : subscription.created_at;
    const added = { ...subscription, created_at };
    let full = false;
    await this.#change((present) => {
      const others = present.filter(
        ({ endpoint, created_at: since }) =>
          endpoint !== added.endpoint && nowMs - Number(since) <= SUBSCRIPTION_MS_MAX,
      );
      full = others.length >= SUBSCRIPTIONS_MAX;
      return full ? present : [...others, added];
    });
    return full
      ? { ok: false, error: `there are ${SUBSCRIPTIONS_MAX} subscriptions already` }
      : { ok: true, value: undefined };
  }

  async remove(endpoint: string): Promise<void> {
    await this.#change((present) => present.filter((each) => each.endpoint !== endpoint));
  }

  async clear(): Promise<void> {
    await this.#change(() => []);
  }

  #change(
    change: (present: readonly PushSubscription[]) => readonly PushSubscription[],
  ): Promise<void> {
    return this.#oneByOne.run(async () => {
      const next = change(await this.all());
      await this.#row.write(stored.encode(next));
      this.#present = next;
    });
  }
}

function refusalOf({ endpoint, keys }: PushSubscription): string | undefined {
  if (endpoint.length > ENDPOINT_CHARS_MAX)
    return `the endpoint is longer than ${ENDPOINT_CHARS_MAX} characters`;
  if (URL.parse(endpoint)?.protocol !== 'https:') return 'the endpoint is no https URL';
  const parsed = parseBrowserKeys(keys.p256dh, keys.auth);
  return parsed.ok ? undefined : parsed.error;
}
