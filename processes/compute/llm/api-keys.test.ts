import { describe, expect, it } from 'vitest';
import { bearerOf, keptOf, keyRefusal, newKey, type ApiKey } from './api-keys.ts';
import { Rate } from './rate.ts';

const VECTOR = 'hnk_test_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc';
const HASH = 'c58474a7c53fbe982b3d8b09d739193927fbb5d1cbcbef6c109bdf1d38e754db';

describe('CM45 API keys', () => {
  it('CM45 a key is 32 random bytes; its hash is that of the vector', () => {
    expect(newKey('test', (bytes) => bytes.fill(7))).toBe(VECTOR);
    expect(keptOf(VECTOR)).toEqual({ hash: HASH, shown: 'BwcHBwcH' });
    for (const other of [
      '',
      'hnk_test_',
      `${VECTOR}A`,
      VECTOR.slice(1),
      `${VECTOR.slice(0, -1)}+`,
    ]) {
      expect(keptOf(other)).toBeUndefined();
    }
  });

  it('CM45 a key opens what it names, until it ends or is revoked', () => {
    const key: ApiKey = {
      hash: HASH,
      shown: 'BwcHBwcH',
      owner: 'alice',
      models: ['builtin:echo'],
      endpoints: ['chat'],
      rpm: 0,
      tpm: 0,
      dailyBudget: 0n,
      session: undefined,
      createdAt: 0,
      expiresAt: 1_000,
      revokedAt: undefined,
    };
    const asked = { model: 'builtin:echo', endpoint: 'chat' };
    expect(keyRefusal(key, asked, 999)).toBeUndefined();
    expect(keyRefusal(key, asked, 1_000)).toBe('expired');
    expect(keyRefusal({ ...key, revokedAt: 5 }, asked, 1)).toBe('revoked');
    expect(keyRefusal(key, { ...asked, model: 'gpt' }, 1)).toBe('model');
    expect(keyRefusal(key, { ...asked, endpoint: 'embeddings' }, 1)).toBe('endpoint');
    expect(
      keyRefusal({ ...key, models: [], endpoints: [] }, { model: 'x', endpoint: 'y' }, 1),
    ).toBeUndefined();
  });

  it('the header of clients is read in any case', () => {
    expect(bearerOf(`bearer  ${VECTOR}`)).toBe(VECTOR);
    expect(bearerOf('Basic abc')).toBeUndefined();
    expect(bearerOf(undefined)).toBeUndefined();
  });
});

describe('CM45 rate limits', () => {
  it('CM45 a bucket empties, says when there will be more, and fills evenly', () => {
    const rate = new Rate();
    for (let n = 0; n < 60; n += 1) expect(rate.take('a', 60, 1, 0).ok).toBe(true);
    expect(rate.take('a', 60, 1, 0)).toEqual({
      ok: false,
      limit: 60,
      remaining: 0,
      resetMs: 60_000,
      retryMs: 1_000,
    });
    expect(rate.take('b', 60, 1, 0)).toMatchObject({ ok: true, remaining: 59 });
    expect(rate.take('a', 60, 1, 999).ok).toBe(false);
    expect(rate.take('a', 60, 1, 1_000).ok).toBe(true);
    expect(rate.take('a', 60, 30, 32_000).ok).toBe(true);
  });

  it('what turns out to be less is given back, what turns out to be more is owed', () => {
    const rate = new Rate();
    rate.take('a', 1_000, 900, 0);
    rate.settle('a', 1_000, -800, 0);
    expect(rate.take('a', 1_000, 900, 0).ok).toBe(true);
    rate.settle('a', 1_000, 1_000, 0);
    expect(rate.take('a', 1_000, 1, 0).retryMs).toBe(60_060);
    // A request for more than a bucket holds waits for a full one, not for ever.
    expect(rate.take('c', 10, 1_000, 0).ok).toBe(true);
  });

  it('no limit is no limit, and a clock that goes back fills nothing', () => {
    const rate = new Rate();
    expect(rate.take('a', 0, 1e9, 0).ok).toBe(true);
    rate.take('b', 10, 10, 60_000);
    expect(rate.take('b', 10, 1, 0).ok).toBe(false);
  });
});
