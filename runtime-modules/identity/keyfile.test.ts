/** The vectors of networking.md §18.5, byte for byte. The reference made them; they are not ours to change. */
import { createHash, randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import {
  changePassword,
  hasWeakSessionSecret,
  type Keyfile,
  KeyfileSecrets,
  openKeyfile,
  renewSessionSecret,
  sealKeyfile,
} from './keyfile.ts';
import { decodeKeyfile, encodeKeyfile, KEYFILE_BYTES_MAX } from './keyfile-format.ts';
import { deriveDiskKey, hashPassword } from './password.ts';
import { Secret } from './secret.ts';

const HASH = '0xf0899873c48cdd1d93221d3fa7d63c44f5b65e532dc98b0c991964ca31432b9a';
const PARTS = {
  seed: filled(32, 0x01),
  sessionSecret: filled(32, 0x33),
  fileKey: filled(32, 0x44),
};
const OWNER = { username: 'alice.os', routers: ['r1.os'] };

function filled(length: number, byte: number): Uint8Array {
  return new Uint8Array(length).fill(byte);
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const fromHex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));

/** The salt and nonces of the vectors, in the order they are asked for. */
function vectorEntropy(): (bytes: number) => Uint8Array {
  const values = [0x07, 0x0a, 0x0b, 0x0c];
  return (bytes) => filled(bytes, values.shift() ?? 0xff);
}

let sealedOnce: Promise<Keyfile> | undefined;
const vector = (): Promise<Keyfile> =>
  (sealedOnce ??= sealKeyfile(OWNER, PARTS, HASH, vectorEntropy()));

describe('password', () => {
  test.each([
    ['secret', 'alice.os', HASH],
    ['secret', 'a.os', '0xfb2e74a87975d1134d56bd3dd14910a9fb5b828ea43882ab0230cf7e31de7274'],
    [
      'correct horse',
      'longnodename.os',
      '0x569fa0c4c4fbfc31a2d44986cc88d144a28a508925039c6d8ab8fe4e1d43032d',
    ],
  ])('N43 argon2id of "%s" for %s', async (password, name, hash) => {
    expect(await hashPassword(password, name)).toBe(hash);
  });

  test('a node without a name has no hash', async () => {
    await expect(hashPassword('secret', '')).rejects.toThrow(RangeError);
  });

  test.each([
    [HASH, '5c929df5b022359611c97cd9fe1ce2f67bb24fade537d6de73de6ba2ca97bf60'],
    ['secret', 'f872626e1a2555c1b7447cdb3aa400abb71995882545916b2b26a5a06b6c4d8c'],
  ])('N43 PBKDF2 of %s', async (password, key) => {
    expect(hex(await deriveDiskKey(password, filled(32, 0x07)))).toBe(key);
  });

  test('F33 derivations take turns, off this thread', async () => {
    const order: string[] = [];
    const first = deriveDiskKey('a', filled(32, 1)).then(() => order.push('first'));
    const second = deriveDiskKey('b', filled(32, 1)).then(() => order.push('second'));
    // This thread goes on meanwhile: a turn of its event loop is over long before a million iterations are.
    await new Promise(setImmediate);
    order.push('this thread');
    await Promise.all([second, first]);
    expect(order).toEqual(['this thread', 'first', 'second']);
  });
});

describe('keyfile', () => {
  test('N43 the parts of the vector', async () => {
    const keyfile = await vector();
    expect(hex(keyfile.net)).toBe(
      '0a0a0a0a0a0a0a0a0a0a0a0a2f73af2a07558519f3051b370d2e02d5b6478100e17d31b7458b4f1457825c494c5be13e496929dc1e385b24c905fa4dfda30308f7ef4a958fb44902f40915a476f95c5701af6a6c0bf062e5e2e8c023261e6b93801f16503de238c1bdbfff6f85749c',
    );
    expect(hex(keyfile.jwt)).toBe(
      '0b0b0b0b0b0b0b0b0b0b0b0bde9485d52e068f392bef2f87867a3d8e7c9c1bd623211843a5a022b5f53aa7d327e6fb60a101c3345df446e5987e881d',
    );
    expect(hex(keyfile.file)).toBe(
      '0c0c0c0c0c0c0c0c0c0c0c0ccc045f19cca0200bb6eb0a1f76f81d20ffae26dab58881aedaa54cfed8d8864553e47752e330f4617dd23c4a779009a0',
    );
  });

  test('N43 the file of the vector: 878 bytes of compact JSON, and back', async () => {
    const bytes = encodeKeyfile(await vector());
    expect(bytes).toHaveLength(878);
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(
      '84b8d4b153aee8d1e35c90d80bafa2fb08a3c31b6f42d1af0d5b2854908725a9',
    );
    const decoded = decodeKeyfile(bytes);
    expect(decoded.ok && encodeKeyfile(decoded.value)).toEqual(bytes);
  });

  test('N43 the old bincode form is read', () => {
    const bytes = fromHex(
      '0800000000000000616c6963652e6f730100000000000000050000000000000072312e6f7302000000000000000102010000000000000003010000000000000004010000000000000005',
    );
    expect(decodeKeyfile(bytes)).toEqual({
      ok: true,
      value: {
        ...OWNER,
        salt: Uint8Array.of(1, 2),
        net: Uint8Array.of(3),
        jwt: Uint8Array.of(4),
        file: Uint8Array.of(5),
      },
    });
  });

  test('N43 a keyfile opens with its hash and no other', async () => {
    const opened = await openKeyfile(await vector(), HASH);
    if (!opened.ok) throw new Error(opened.error);
    expect(opened.value.seed).toEqual(PARTS.seed);
    expect(opened.value.sessionSecret).toEqual(PARTS.sessionSecret);
    expect(opened.value.fileKey).toEqual(PARTS.fileKey);
    expect(opened.value.networkingKey().asymmetricKeyType).toBe('ed25519');
    expect(await openKeyfile(await vector(), HASH.toUpperCase())).toEqual({
      ok: false,
      error: 'wrong-password',
    });
  });

  test('a blob that was changed or cut is damage, not a wrong password', async () => {
    const keyfile = await vector();
    const changed = Uint8Array.from(keyfile.file);
    changed[20]! ^= 1;
    for (const damaged of [
      { ...keyfile, file: changed },
      { ...keyfile, jwt: keyfile.jwt.subarray(0, 27) },
      { ...keyfile, file: keyfile.net },
    ]) {
      expect(await openKeyfile(damaged, HASH)).toEqual({ ok: false, error: 'damaged' });
    }
  });

  test('the password is changed, and everything that is random with it', async () => {
    const before = await vector();
    const changed = await changePassword(before, { from: HASH, to: 'other' });
    if (!changed.ok) throw new Error(changed.error);
    expect(changed.value.username).toBe('alice.os');
    expect(changed.value.salt).not.toEqual(before.salt);
    const opened = await openKeyfile(changed.value, 'other');
    expect(opened.ok && opened.value.seed).toEqual(PARTS.seed);
    expect((await openKeyfile(changed.value, HASH)).ok).toBe(false);
    expect(await changePassword(before, { from: 'other', to: 'x' })).toEqual({
      ok: false,
      error: 'wrong-password',
    });
  });

  test('F32 a session secret of 16 bits opens, is told from a good one, and is replaced', async () => {
    const weak = await sealKeyfile(
      OWNER,
      { ...PARTS, sessionSecret: Uint8Array.of(1, 2) },
      HASH,
      vectorEntropy(),
    );
    expect(hasWeakSessionSecret(weak)).toBe(true);
    expect(hasWeakSessionSecret(await vector())).toBe(false);
    const opened = await openKeyfile(weak, HASH);
    expect(opened.ok && opened.value.sessionSecret).toEqual(Uint8Array.of(1, 2));

    const renewed = await renewSessionSecret(weak, HASH);
    if (!renewed.ok) throw new Error(renewed.error);
    expect(hasWeakSessionSecret(renewed.value)).toBe(false);
    expect({ ...renewed.value, jwt: weak.jwt }).toEqual(weak);
    const again = await openKeyfile(renewed.value, HASH);
    expect(again.ok && again.value.sessionSecret).toHaveLength(32);
    expect(await renewSessionSecret(weak, 'other')).toEqual({ ok: false, error: 'wrong-password' });
  });

  test('F33 what was secret is overwritten, and a copy lives in keys that scripts cannot read', () => {
    const secrets = new KeyfileSecrets(PARTS);
    const { seed, sessionSecret, fileKey } = secrets;
    expect(new Set([seed.buffer, sessionSecret.buffer, fileKey.buffer]).size).toBe(1);
    const key = secrets.networkingKey();
    secrets[Symbol.dispose]();
    expect([seed, sessionSecret, fileKey].every((bytes) => bytes.every((byte) => byte === 0))).toBe(
      true,
    );
    expect(key.export({ format: 'raw-private' })).toEqual(Buffer.from(PARTS.seed));
  });

  test('hostile files are refused and never throw', async () => {
    const good = encodeKeyfile(await vector());
    const text = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
    const refused: Uint8Array[] = [
      new Uint8Array(),
      text(null),
      text([]),
      text(['a', [], [1], [2], [3]]),
      text(['a', [1], [1], [2], [3], [4]]),
      text(['a', [], [256], [2], [3], [4]]),
      text(['a', [], [1.5], [2], [3], [4]]),
      text(['a', [], '1', [2], [3], [4]]),
      fromHex('ffffffffffffffff'),
      fromHex(`01000000000000006100000000000000ff`),
      new Uint8Array(KEYFILE_BYTES_MAX + 1).fill(0x20),
    ];
    for (const bytes of refused) expect(decodeKeyfile(bytes).ok).toBe(false);
    const padded = new Uint8Array(KEYFILE_BYTES_MAX).fill(0x20);
    padded.set(good);
    expect(decodeKeyfile(padded).ok).toBe(true);

    const seed = randomBytes(4).readUInt32LE();
    let state = seed;
    const random = (below: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state % below;
    };
    const bincode = fromHex(
      '0800000000000000616c6963652e6f730100000000000000050000000000000072312e6f7302000000000000000102010000000000000003010000000000000004010000000000000005',
    );
    for (let round = 0; round < 2_000; round += 1) {
      const bytes = Uint8Array.from(round % 2 === 0 ? good : bincode);
      for (let edits = 1 + random(4); edits > 0; edits -= 1)
        bytes[random(bytes.length)] = random(256);
      const cut = bytes.subarray(0, random(4) === 0 ? random(bytes.length) : bytes.length);
      expect(() => decodeKeyfile(cut), `seed ${seed}`).not.toThrow();
    }
  });
});

test('a secret shows itself to nobody', async () => {
  const secret = new Secret({ password: 'hunter2' });
  const told = [
    String(secret),
    JSON.stringify({ secret }),
    inspect({ secret }, { showHidden: true, depth: 9 }),
    JSON.stringify(Object.assign({}, secret)),
  ].join(' ');
  expect(told).not.toContain('hunter2');
  expect(told).toContain('[secret]');
  expect(secret.reveal().password).toBe('hunter2');
});
