/**
 * What opening a keyfile does, step by step: each call of the real node:crypto and each thread is noted with the sizes it was given. A
 * password that took fewer steps than another would tell something by its time.
 */
import { expect, test, vi } from 'vitest';
import type { DiskKeyJob } from './password.ts';

const steps: string[] = [];

vi.mock('node:crypto', async (original) => {
  const real = await original<typeof import('node:crypto')>();
  const noted = <A extends unknown[], R>(name: string, call: (...args: A) => R) => {
    return (...args: A): R => {
      const sizes = args.filter((arg) => arg instanceof Uint8Array).map(({ length }) => length);
      steps.push([name, ...sizes].join(' '));
      return call(...args);
    };
  };
  return {
    ...real,
    createDecipheriv: noted('decipher', real.createDecipheriv),
    createPrivateKey: noted('private key', real.createPrivateKey),
    createPublicKey: noted('public key', real.createPublicKey),
    timingSafeEqual: noted('compare', real.timingSafeEqual),
  };
});
vi.mock('node:worker_threads', async (original) => {
  const real = await original<typeof import('node:worker_threads')>();
  return {
    ...real,
    Worker: class extends real.Worker {
      constructor(...args: ConstructorParameters<typeof real.Worker>) {
        const job = args[1]?.workerData as DiskKeyJob | undefined;
        steps.push(`derive ${job?.iterations}`);
        super(...args);
      }
    },
  };
});

const { openKeyfile, sealKeyfile } = await import('./keyfile.ts');
const { DISK_KEY_ITERATIONS } = await import('./password.ts');

const RIGHT = `0x${'5a'.repeat(32)}`;
const PARTS = {
  seed: new Uint8Array(32).fill(1),
  sessionSecret: new Uint8Array(32).fill(0x33),
  fileKey: new Uint8Array(32).fill(0x44),
};

test('N44 F33 a wrong password takes the very steps of the right one, however much of it is right', async () => {
  const keyfile = await sealKeyfile({ username: 'alice.os', routers: [] }, PARTS, RIGHT);
  const stepsOf = async (hash: string): Promise<readonly string[]> => {
    steps.length = 0;
    const opened = await openKeyfile(keyfile, hash);
    const taken = [...steps];
    expect(opened.ok ? 'opened' : opened.error).toBe(hash === RIGHT ? 'opened' : 'wrong-password');
    return taken;
  };
  const right = await stepsOf(RIGHT);
  expect(right).toEqual([
    `derive ${DISK_KEY_ITERATIONS}`,
    'decipher 32 12',
    'decipher 32 12',
    'decipher 32 12',
    'private key',
    'public key',
    'compare 16 16',
    'compare 35 35',
    'compare 16 16',
  ]);
  for (const wrong of [
    RIGHT.replace('0x5', '0x6'),
    RIGHT.replace(/a$/, 'b'),
    RIGHT.slice(0, -1),
    `0x${'00'.repeat(32)}`,
    '',
    'x'.repeat(10_000),
  ])
    expect(await stepsOf(wrong), wrong.slice(0, 80)).toEqual(right);
});

test('N44 a part that was changed takes them too: which one it was shows in the answer only', async () => {
  const keyfile = await sealKeyfile({ username: 'alice.os', routers: [] }, PARTS, RIGHT);
  const taken: string[][] = [];
  for (const part of ['net', 'jwt', 'file'] as const) {
    const flipped = Uint8Array.from(keyfile[part]);
    flipped[14]! ^= 1;
    steps.length = 0;
    const opened = await openKeyfile({ ...keyfile, [part]: flipped }, RIGHT);
    taken.push([...steps]);
    const error = part === 'net' ? 'wrong-password' : 'damaged';
    expect(opened).toEqual({ ok: false, error });
  }
  expect(taken[0]).toHaveLength(9);
  expect(taken).toEqual(taken.map(() => taken[0]));
});
