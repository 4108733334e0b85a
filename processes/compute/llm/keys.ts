/** The keys of this service: made for the operator, found by what a client sends (compute-market.md §12.4; threat 26). */
import { bool, list, option, record, text, u32, u64, type Decoded } from '../../../wit/codec.ts';
import { wideNumber } from '../../../contracts/compute-json.ts';
import { Refusal } from '../../lib/errors.ts';
import { type ApiKey, keptOf, newKey } from './api-keys.ts';

export const keyWish = record({
  owner: text,
  /** Models and endpoints that it opens; missing: all. */
  models: option(list(text)),
  endpoints: option(list(text)),
  /** A minute; missing or 0: no limit of its own. */
  rpm: option(u32),
  tpm: option(u32),
  /** Millionths of HYPER a day; missing or 0: what the ledger has. */
  dailyBudget: option(wideNumber),
  /** Milliseconds since 1970; missing: never. */
  expiresAt: option(u64),
  /** Only in its name, to tell them apart. */
  test: option(bool),
});
export type KeyWish = Decoded<typeof keyWish>;

const KEYS_MAX = 10_000;
const OWNER = /^[A-Za-z0-9][A-Za-z0-9._:@-]{0,79}$/;
const SCOPES_MAX = 256;
/** Characters of a hash that name a key to its operator. */
const ID_CHARS = 16;

export const idOf = ({ hash }: ApiKey): string => hash.slice(0, ID_CHARS);

const randomBytes = (bytes: Uint8Array): Uint8Array => {
  bytes.set(crypto.getRandomValues(new Uint8Array(bytes.length)));
  return bytes;
};

export interface KeysNeeds {
  readonly put: (key: ApiKey) => Promise<void>;
  readonly nowMs: () => number;
}

export class Keys {
  readonly #needs: KeysNeeds;
  /** By hash: what is looked up tells nothing of a key, however long it takes. */
  readonly #keys = new Map<string, ApiKey>();

  constructor(needs: KeysNeeds, kept: Iterable<ApiKey>) {
    this.#needs = needs;
    for (const key of kept) this.#keys.set(key.hash, key);
  }

  get all(): readonly ApiKey[] {
    return [...this.#keys.values()];
  }

  /** The key that a text is; revoked ones too. */
  find(secret: string | undefined): ApiKey | undefined {
    const kept = secret === undefined ? undefined : keptOf(secret);
    return kept === undefined ? undefined : this.#keys.get(kept.hash);
  }

  /**
   * A new key; its text is nowhere but in the answer.
   * @param session  the job whose vouchers pay for it
   * @throws Refusal
   */
  async make(
    wish: KeyWish,
    session?: string,
  ): Promise<{ readonly key: string; readonly id: string }> {
    const { owner, models = [], endpoints = [] } = wish;
    if (!OWNER.test(owner))
      throw new Refusal('BadRequest', 'owner: letters, digits and . _ : @ -, at most 80');
    if (models.length + endpoints.length > SCOPES_MAX)
      throw new Refusal('BadRequest', `at most ${SCOPES_MAX} models and endpoints`);
    if (this.#keys.size >= KEYS_MAX) throw new Refusal('Conflict', `there are ${KEYS_MAX} keys`);
    const secret = newKey(wish.test === true ? 'test' : 'live', randomBytes);
    const key: ApiKey = {
      ...keptOf(secret)!,
      owner,
      models,
      endpoints,
      rpm: wish.rpm ?? 0,
      tpm: wish.tpm ?? 0,
      dailyBudget: wish.dailyBudget ?? 0n,
      session,
      createdAt: this.#needs.nowMs(),
      expiresAt: wish.expiresAt === undefined ? undefined : Number(wish.expiresAt),
      revokedAt: undefined,
    };
    await this.#needs.put(key);
    this.#keys.set(key.hash, key);
    return { key: secret, id: idOf(key) };
  }

  /** Opens nothing from now on. @throws Refusal */
  async revoke(id: string): Promise<void> {
    const key = this.all.find((one) => idOf(one) === id);
    if (key === undefined) throw new Refusal('NotFound', 'no such key');
    if (key.revokedAt !== undefined) return;
    const revoked = { ...key, revokedAt: this.#needs.nowMs() };
    this.#keys.set(key.hash, revoked);
    await this.#needs.put(revoked);
  }
}
