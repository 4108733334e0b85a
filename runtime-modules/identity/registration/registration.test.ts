/** Booting, importing and logging in, with a namespace that says what the test says. */
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HYPERMAP } from '../../../contracts/addresses.ts';
import { fromHex, toHex } from '../../../contracts/hex.ts';
import { personas } from '../../../contracts/chain/personas.ts';
import type { Clock } from '../../shared/clock.ts';
import { type Keyfile, sealKeyfile } from '../keyfile.ts';
import { decodeKeyfile, encodeKeyfile } from '../keyfile-format.ts';
import { hashPassword } from '../password.ts';
import { registeredIdentity } from '../registered.ts';
import { bootDigest, signerOf } from './boot-message.ts';
import { BOOT_ROUNDS_MAX, SIGNATURE_AGE_MS_MAX } from './limits.ts';
import { Namespace } from './namespace.ts';
import { type Extras, Registration } from './registration.ts';
import { BASE, bytesOf, FakeChain, signedBoot } from './testing.ts';

const { owner, alice } = personas;
const NOW_MS = 1_900_000_000_000;
const HASH = '0xf0899873c48cdd1d93221d3fa7d63c44f5b65e532dc98b0c991964ca31432b9a';
/** The vector of networking.md §18.6. */
const VECTOR = {
  username: 'alice.os',
  password_hash: HASH,
  timestamp: NOW_MS,
  direct: false,
  reset: false,
  chain_id: 8_453,
};
const VECTOR_SIGNATURE =
  '0x287f7d74927b5e3bf0fc3bde501caaa0ce457a417f5f8d7e260296fd9056878544c925a5ded70d71c29ece1aa09c58bbe7fc90f6f6c4e4bbfbfdb3600207c6d01b';

let home: string;
let chain: FakeChain;
let registration: Registration;
let nowMs: number;
let told: string[];
let kept: Extras[];
/** Waits end at once, and are counted. */
let waits: number;
const clock: Clock = {
  nowMs: () => 0,
  schedule: (action) => {
    waits += 1;
    return setImmediate(action);
  },
  cancel: () => undefined,
};

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'registration-'));
  chain = new FakeChain();
  nowMs = NOW_MS;
  told = [];
  kept = [];
  waits = 0;
  registration = fresh();
});
afterEach(async () => {
  registration[Symbol.dispose]();
  await rm(home, { recursive: true, force: true });
});

function fresh(): Registration {
  return new Registration({
    home,
    namespace: new Namespace(BASE, chain),
    clock,
    wallMs: () => nowMs,
    publicIp: () => Promise.resolve('203.0.113.7'),
    ports: { ws: 9_000, tcp: 10_000 },
    routers: ['default-router-1.hypr', 'default-router-2.hypr', 'default-router-3.hypr'],
    keep: (extras) => {
      kept.push(extras);
      return Promise.resolve();
    },
    tell: (line) => told.push(line),
  });
}

async function ownKey(): Promise<string> {
  return `0x${(await registration.networkingInfo()).publicKeyHex}`;
}

async function refusal(body: unknown): Promise<{ status: number; text: string }> {
  const booted = await registration.boot(bytesOf(body));
  if (booted.ok) throw new Error('booted');
  expect(await readdir(home)).toEqual([]);
  return booted.error;
}

describe('boot', () => {
  test('N46 the digest and the signer of the vector', () => {
    const digest = bootDigest(
      { chainId: 8_453, hypermap: HYPERMAP },
      { ...VECTOR, passwordHash: HASH, timestampMs: NOW_MS },
    );
    expect(toHex(digest)).toBe(
      '0x3ff4f45aa4c58698505360ace48e44940fab4df3dd4075d235df58962b23a7b9',
    );
    expect(signerOf(digest, fromHex(VECTOR_SIGNATURE)!)).toBe(owner.address);
    for (const at of [0, 32, 64]) {
      const other = fromHex(VECTOR_SIGNATURE)!;
      other[at]! ^= 1;
      expect(signerOf(digest, other)).not.toBe(owner.address);
    }
    expect(signerOf(digest, new Uint8Array(65))).toBeUndefined();
    expect(signerOf(digest, new Uint8Array(64))).toBeUndefined();
  });

  test('N46 F31 the vector boots when account 0 owns the name and the key on chain is ours', async () => {
    chain.set('alice.os', owner.address, { '~net-key': await ownKey() });
    const body = { ...VECTOR, owner: owner.address, signature: VECTOR_SIGNATURE };
    const booted = await registration.boot(bytesOf(body));
    if (!booted.ok) throw new Error(booted.error.text);
    expect(booted.value.keyfile).toMatchObject({
      username: 'alice.os',
      routers: ['default-router-1.hypr', 'default-router-2.hypr', 'default-router-3.hypr'],
    });
    expect(booted.value.routing).toMatchObject({ kind: 'routers' });
    expect((await stat(join(home, '.keys'))).mode & 0o777).toBe(0o600);
    const identity = registeredIdentity(await registration.done);
    expect(identity.name).toBe('alice.os');
    expect(`0x${identity.publicKeyHex}`).toBe(await ownKey());
    expect(await identity.unlock(HASH)).toBe(true);
    expect(waits).toBe(0);
    // And nothing more.
    const again = await registration.boot(bytesOf(body));
    expect(again.ok ? 0 : again.error.status).toBe(409);
  });

  test('N46 it is refused to everybody but the owner, after asking several times', async () => {
    chain.set('alice.os', alice.address, { '~net-key': await ownKey() });
    const { status, text } = await refusal({
      ...VECTOR,
      owner: alice.address,
      signature: VECTOR_SIGNATURE,
    });
    expect([status, text]).toEqual([401, 'Recovered address does not match owner.']);
    expect(waits).toBe(BOOT_ROUNDS_MAX - 1);
  });

  test('F31 a name with another key on chain does not boot: a signature made for another node, or an older one', async () => {
    chain.set('alice.os', owner.address, { '~net-key': `0x${'ab'.repeat(32)}` });
    const { status, text } = await refusal({
      ...VECTOR,
      owner: owner.address,
      signature: VECTOR_SIGNATURE,
    });
    expect(status).toBe(401);
    expect(text).toContain('networking key');
  });

  test('F31 a name that somebody else minted first, and one that a reset of the chain took away', async () => {
    const body = await signedBoot(alice.privateKey, VECTOR);
    chain.set('alice.os', owner.address, { '~net-key': `0x${'cd'.repeat(32)}` });
    expect((await refusal(body)).text).toBe('Recovered address does not match owner.');
    chain.clear();
    expect(await refusal(body)).toMatchObject({
      status: 401,
      text: 'Nobody has the name alice.os.',
    });
  });

  test.each([-SIGNATURE_AGE_MS_MAX - 1, SIGNATURE_AGE_MS_MAX + 1])(
    'F31 a signature that is %i ms off is refused without asking the chain',
    async (off) => {
      nowMs = NOW_MS + off;
      chain.set('alice.os', owner.address, { '~net-key': await ownKey() });
      const { status, text } = await refusal({
        ...VECTOR,
        owner: owner.address,
        signature: VECTOR_SIGNATURE,
      });
      expect(status).toBe(401);
      expect(text).toContain('outdated');
      expect(chain.reads).toBe(0);
    },
  );

  test.each([-SIGNATURE_AGE_MS_MAX, SIGNATURE_AGE_MS_MAX])(
    'F31 one that is %i ms off is good',
    async (off) => {
      nowMs = NOW_MS + off;
      chain.set('alice.os', owner.address, { '~net-key': await ownKey() });
      const booted = await registration.boot(
        bytesOf({ ...VECTOR, owner: owner.address, signature: VECTOR_SIGNATURE }),
      );
      expect(booted.ok).toBe(true);
    },
  );

  test('F31 the chain id and the contract are those of the configured chain', async () => {
    chain.set('alice.os', alice.address, { '~net-key': await ownKey() });
    const otherId = await signedBoot(alice.privateKey, { ...VECTOR, chain_id: 1 });
    expect((await refusal(otherId)).text).toBe(
      'Signed for chain 1, but this node uses chain 8453.',
    );
    const otherChain = await signedBoot(alice.privateKey, VECTOR, {
      chainId: 1,
      verifyingContract: HYPERMAP,
    });
    expect((await refusal(otherChain)).text).toContain('does not match owner');
    const otherContract = await signedBoot(alice.privateKey, VECTOR, {
      chainId: 8_453,
      verifyingContract: `0x${'11'.repeat(20)}`,
    });
    expect((await refusal(otherContract)).text).toContain('does not match owner');
  });

  test('F31 what was signed is what is booted: name, hash, direct and reset', async () => {
    const body = await signedBoot(alice.privateKey, VECTOR);
    chain.set('alice.os', alice.address, { '~net-key': await ownKey() });
    chain.set('bob.os', alice.address, { '~net-key': await ownKey() });
    for (const other of [
      { username: 'bob.os' },
      { password_hash: `0x${'00'.repeat(32)}` },
      { direct: true },
      { reset: true },
      { timestamp: NOW_MS + 1 },
    ])
      expect((await refusal({ ...body, ...other })).text).toContain('does not match owner');
  });

  test('F31 each signature once, also in its other form', async () => {
    chain.set('alice.os', owner.address, { '~net-key': await ownKey() });
    const body = { ...VECTOR, owner: owner.address, signature: VECTOR_SIGNATURE };
    // The address is missing, so it fails after the signature was found good.
    const direct = await signedBoot(owner.privateKey, { ...VECTOR, direct: true });
    expect((await refusal(direct)).text).toContain('no address');
    chain.set('alice.os', owner.address, {
      '~net-key': await ownKey(),
      '~ip': '0x7f000001',
      '~ws-port': '0x2328',
    });
    expect((await refusal(direct)).text).toBe('This signature has been used already.');
    const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
    const s = BigInt(`0x${String(direct['signature']).slice(66, 130)}`);
    const v = String(direct['signature']).endsWith('1b') ? '1c' : '1b';
    const mirrored = `${String(direct['signature']).slice(0, 66)}${(order - s).toString(16).padStart(64, '0')}${v}`;
    expect((await refusal({ ...direct, signature: mirrored })).status).toBe(401);
    expect((await registration.boot(bytesOf(body))).ok).toBe(true);
  });

  test('F35 providers that disagree decide nothing, and are named', async () => {
    chain.error = { kind: 'disagree', providers: ['one.example', 'two.example'] };
    const { status, text } = await refusal({
      ...VECTOR,
      owner: owner.address,
      signature: VECTOR_SIGNATURE,
    });
    expect(status).toBe(502);
    expect(text).toContain('one.example and two.example disagree');
  });

  test('F31 the owner may be a contract, which says itself what it signed (ERC-1271)', async () => {
    const account = `0x${'ac'.repeat(20)}`;
    chain.set('alice.os', account, { '~net-key': await ownKey() });
    const body = { ...VECTOR, owner: account, signature: '0xfeed' };
    expect((await refusal(body)).text).toContain('does not match owner');
    chain.other = ({ to, data }) =>
      to.toLowerCase() === account && data.startsWith('0x1626ba7e') && data.includes('feed')
        ? `0x1626ba7e${'0'.repeat(56)}`
        : undefined;
    expect((await registration.boot(bytesOf(body))).ok).toBe(true);
  });

  test('§14 what is no boot: bodies, hashes, names, signatures', async () => {
    const good = { ...VECTOR, owner: owner.address, signature: VECTOR_SIGNATURE };
    const of = async (other: object): Promise<number> =>
      (await refusal({ ...good, ...other })).status;
    expect(await of({ signature: 'nonsense' })).toBe(404);
    expect(await of({ password_hash: '0x12' })).toBe(401);
    expect(await of({ username: '~net-key.alice.os' })).toBe(401);
    expect(await of({ username: 'Alice.os' })).toBe(401);
    expect(await of({ custom_routers: ['not a name'] })).toBe(400);
    expect(await of({ custom_routers: [] })).toBe(400);
    expect(await of({ custom_base_l2_access_providers: ['{"url":"file:///etc"}'] })).toBe(400);
    expect(await of({ timestamp: 'now' })).toBe(400);
    const huge = await registration.boot(new Uint8Array(16_385));
    expect(huge.ok ? 0 : huge.error.status).toBe(413);
  });

  test('§14 a direct node has its address from the chain', async () => {
    chain.set('alice.os', alice.address, {
      '~net-key': await ownKey(),
      '~ip': '0xcb007107',
      '~ws-port': '0x2328',
      '~tcp-port': '0x0000',
    });
    const body = await signedBoot(alice.privateKey, { ...VECTOR, direct: true });
    const booted = await registration.boot(bytesOf(body));
    expect(booted.ok && booted.value.routing).toEqual({
      kind: 'direct',
      ip: '203.0.113.7',
      ports: { ws: 9_000 },
    });
    expect(booted.ok && booted.value.keyfile.routers).toEqual([]);
  });

  test('N45 one key for a session, another for the next', async () => {
    const first = await registration.networkingInfo();
    expect(await registration.networkingInfo()).toEqual(first);
    using next = fresh();
    expect((await next.networkingInfo()).publicKeyHex).not.toBe(first.publicKeyHex);
  });
});

const PARTS = {
  seed: new Uint8Array(32).fill(1),
  sessionSecret: new Uint8Array(32).fill(0x33),
  fileKey: new Uint8Array(32).fill(0x44),
};
/** Of the seed of 32 ones. */
const KEY = '0x8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c';

function sealed(parts = PARTS): Promise<Keyfile> {
  return sealKeyfile({ username: 'alice.os', routers: ['r1.os'] }, parts, HASH);
}

function importBody(bytes: Uint8Array, hash = HASH): Uint8Array {
  return bytesOf({ password_hash: hash, keyfile: Buffer.from(bytes).toString('base64') });
}

async function importStatus(body: Uint8Array): Promise<number> {
  const imported = await registration.importKeyfile(body);
  return imported.ok ? 302 : imported.error.status;
}

describe('import', () => {
  test('N44 a wrong password is 401, the right one brings the keyfile', async () => {
    chain.set('alice.os', owner.address, { '~net-key': KEY });
    const bytes = encodeKeyfile(await sealed());
    expect(await importStatus(importBody(bytes, await hashPassword('wrong', 'alice.os')))).toBe(
      401,
    );
    expect(await importStatus(importBody(bytes, 'not even a hash'))).toBe(401);
    expect(await readdir(home)).toEqual([]);
    expect(await importStatus(importBody(bytes))).toBe(302);
    expect(Buffer.from(await readFile(join(home, '.keys')))).toEqual(Buffer.from(bytes));
  });

  test('N44 truncated and bit-flipped keyfiles are refused, wherever the bit is', async () => {
    chain.set('alice.os', owner.address, { '~net-key': KEY });
    const keyfile = await sealed();
    const bytes = encodeKeyfile(keyfile);
    expect(await importStatus(importBody(bytes.subarray(0, bytes.length - 9)))).toBe(400);
    expect(await importStatus(bytesOf({ password_hash: HASH, keyfile: 'no base64!' }))).toBe(400);
    for (const part of ['salt', 'net', 'jwt', 'file'] as const) {
      const flipped = Uint8Array.from(keyfile[part]);
      flipped[flipped.length >> 1]! ^= 4;
      const status = await importStatus(importBody(encodeKeyfile({ ...keyfile, [part]: flipped })));
      expect([part, status]).toEqual([part, part === 'salt' || part === 'net' ? 401 : 400]);
    }
    // The name is not authentic: it is refused where it is none, and where the chain has another key for it.
    for (const username of ['alice\r\nSet-Cookie: a', 'ALICE.os', ''])
      expect(await importStatus(importBody(encodeKeyfile({ ...keyfile, username })))).toBe(400);
    expect(await importStatus(importBody(encodeKeyfile({ ...keyfile, username: 'eve.os' })))).toBe(
      500,
    );
    expect(await readdir(home)).toEqual([]);
  });

  test('§14 a keyfile whose key was reset on chain is refused, and what is there stays', async () => {
    chain.set('alice.os', owner.address, { '~net-key': `0x${'ab'.repeat(32)}` });
    await writeFile(join(home, '.keys'), 'what was there');
    expect(await importStatus(importBody(encodeKeyfile(await sealed())))).toBe(500);
    expect(await readFile(join(home, '.keys'), 'utf8')).toBe('what was there');
  });

  test('the keyfile it replaces is kept beside it', async () => {
    chain.set('alice.os', owner.address, { '~net-key': KEY });
    await writeFile(join(home, '.keys'), 'what was there');
    expect(await importStatus(importBody(encodeKeyfile(await sealed())))).toBe(302);
    expect((await readdir(home)).toSorted()).toEqual(['.keys', '.keys.replaced-20300317T174640Z']);
    expect(await readFile(join(home, '.keys.replaced-20300317T174640Z'), 'utf8')).toBe(
      'what was there',
    );
  });

  test('whose keyfile it is can be asked without importing it', async () => {
    const vetted = await registration.vet(importBody(encodeKeyfile(await sealed())));
    expect(vetted.ok && vetted.value.publicKeyHex).toBe(KEY.slice(2));
    expect(await readdir(home)).toEqual([]);
    expect(registration.isDone).toBe(false);
  });
});

describe('login', () => {
  const login = (hash = HASH): ReturnType<Registration['login']> =>
    registration.login(bytesOf({ password_hash: hash }));

  test('§14 404 without a keyfile, 401 for a wrong password, then the node', async () => {
    chain.set('alice.os', owner.address, { '~net-key': KEY });
    const none = await login();
    expect(none.ok ? 0 : none.error.status).toBe(404);
    await writeFile(join(home, '.keys'), encodeKeyfile(await sealed()));
    const wrong = await login(`0x${'00'.repeat(32)}`);
    expect(wrong.ok ? 0 : wrong.error.status).toBe(401);
    const right = await login();
    expect(right.ok && right.value.routing).toEqual({ kind: 'routers', routers: ['r1.os'] });
  });

  test('F32 a session secret of 16 bits is replaced on disk before anybody logs in with it', async () => {
    chain.set('alice.os', owner.address, { '~net-key': KEY });
    const weak = await sealed({ ...PARTS, sessionSecret: Uint8Array.of(1, 2) });
    await writeFile(join(home, '.keys'), encodeKeyfile(weak), { mode: 0o644 });
    const entered = await login();
    if (!entered.ok) throw new Error(entered.error.text);
    const { keyfile, secrets } = entered.value;
    expect(secrets.sessionSecret.length).toBe(32);
    expect(Buffer.from(secrets.fileKey)).toEqual(Buffer.from(PARTS.fileKey));
    const onDisk = decodeKeyfile(await readFile(join(home, '.keys')));
    expect(onDisk.ok && encodeKeyfile(onDisk.value)).toEqual(encodeKeyfile(keyfile));
    expect((await stat(join(home, '.keys'))).mode & 0o777).toBe(0o600);
    expect(await readdir(home)).toEqual(['.keys']);
  });

  test('a home that was here before starts without its chain, and says so; a lying chain does not', async () => {
    await writeFile(join(home, '.keys'), encodeKeyfile(await sealed()));
    chain.error = { kind: 'disagree', providers: ['a', 'b'] };
    const lied = await login();
    expect(lied.ok ? 0 : lied.error.status).toBe(502);
    chain.error = { kind: 'unreachable', reason: 'no provider answers' };
    const entered = await login();
    expect(entered.ok && entered.value.routing).toEqual({ kind: 'routers', routers: ['r1.os'] });
    expect(told).toEqual([
      'The chain cannot be asked: no provider answers. Starting with what the keyfile says.',
    ]);
  });

  test('F33 the secrets are zeros once the identity has them', async () => {
    chain.set('alice.os', owner.address, { '~net-key': KEY });
    await writeFile(join(home, '.keys'), encodeKeyfile(await sealed()));
    const entered = await login();
    if (!entered.ok) throw new Error(entered.error.text);
    const { secrets } = entered.value;
    expect(secrets.seed.every((byte) => byte === 1)).toBe(true);
    const identity = registeredIdentity(entered.value);
    for (const bytes of [secrets.seed, secrets.fileKey, secrets.sessionSecret])
      expect(bytes.every((byte) => byte === 0)).toBe(true);
    expect(identity.fileKey.reveal().export()).toEqual(Buffer.from(PARTS.fileKey));
    expect(JSON.stringify(identity)).not.toContain('44444444');
  });
});

describe('what anybody may send', () => {
  const seed = Date.now() % 1_000_000;

  test(`no body and no answer of a provider makes it throw, or be somebody (seed ${seed})`, async () => {
    let state = seed;
    const random = (below: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const good = JSON.stringify({ ...VECTOR, owner: owner.address, signature: VECTOR_SIGNATURE });
    chain.call = () => {
      const length = random(3) === 0 ? random(64) : 64 * random(12);
      const digits = Array.from({ length }, () =>
        random(3) === 0 ? random(16).toString(16) : '0',
      );
      return Promise.resolve({ ok: true, value: `0x${digits.join('')}` });
    };
    for (let round = 0; round < 400; round++) {
      const body = new TextEncoder().encode(good);
      for (let flips = random(4); flips > 0; flips--) body[random(body.length)] = random(256);
      const cut = body.subarray(0, random(5) === 0 ? random(body.length) : body.length);
      expect((await registration.boot(cut)).ok).toBe(false);
      expect((await registration.importKeyfile(cut)).ok).toBe(false);
    }
    expect(await readdir(home)).toEqual([]);
  });
});
