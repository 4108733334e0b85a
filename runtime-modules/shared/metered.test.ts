import { expect, test } from 'vitest';
import type { RuntimeModule } from '../../kernel/module.ts';
import { packageId } from '../../wit/address.ts';
import { Accounts, RECOUNT_MS } from './accounts.ts';
import { metered } from './metered.ts';
import { parseQuotas } from './quotas.ts';
import { Bench, TestPort } from './testing.ts';

const P = packageId('p:q');

/** Takes in what it is sent; `disk` is what a count finds. */
function scene(): {
  bench: Bench<number>;
  accounts: Accounts;
  taken: number[];
  disk: { bytes: number };
  pass: (ms: number) => Promise<void>;
} {
  let now = 0;
  const disk = { bytes: 0 };
  const taken: number[] = [];
  const accounts = new Accounts(parseQuotas({ default: { bytes: 100 } }), () => now);
  const store: RuntimeModule<number> = {
    name: 'store',
    public: false,
    decode: (request) => ({ ok: true, value: request.blob?.bytes.length ?? 0 }),
    orderKey: () => undefined,
    handle: (bytes) => {
      taken.push(bytes);
      return Promise.resolve({ body: new TextEncoder().encode('"Ok"') });
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const book = accounts.book(() => Promise.resolve(disk.bytes));
  const module = metered(
    store,
    book,
    (bytes) => (bytes === 0 ? undefined : { package: P, bytes }),
    (text) => ({ body: new TextEncoder().encode(JSON.stringify(text)), send: 'always' }),
  );
  const pass = async (ms: number): Promise<void> => {
    now += ms;
    await new Promise(setImmediate);
  };
  return { bench: new Bench(module, new TestPort('store')), accounts, taken, disk, pass };
}

test('a metered module is asked in order and refused past the quota; what takes no room always passes', async () => {
  const { bench, accounts, taken, pass } = scene();
  const send = async (bytes: number): Promise<unknown> =>
    (await bench.ask({ from: 'a:p:q', body: '', blob: new Uint8Array(bytes) }))?.body;
  // Counts for the first time while it is used.
  expect(await send(10)).toBe('Ok');
  await pass(0);
  expect(await Promise.all([send(40), send(50), send(20), send(0), send(10)])).toEqual([
    'Ok',
    'Ok',
    'Disk quota exceeded (os error 122)',
    'Ok',
    'Ok',
  ]);
  expect(taken).toEqual([10, 40, 50, 0, 10]);
  expect(accounts.use(P).bytes).toBe(100);
});

test('what a store really takes replaces what was estimated, within seconds', async () => {
  const { bench, accounts, disk, pass } = scene();
  const send = async (bytes: number): Promise<unknown> =>
    (await bench.ask({ from: 'a:p:q', body: '', blob: new Uint8Array(bytes) }))?.body;
  await send(1);
  await pass(0);
  expect(await send(90)).toBe('Ok');
  expect(await send(90)).toMatch(/quota/);
  // The store has compacted its files.
  disk.bytes = 5;
  await pass(RECOUNT_MS);
  await send(90);
  await pass(0);
  expect(accounts.use(P).bytes).toBe(5);
  expect(await send(90)).toBe('Ok');
});
