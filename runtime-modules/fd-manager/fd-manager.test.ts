import * as fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { Bench, TestClock, TestPort } from '../shared/testing.ts';
import { divide } from './budget.ts';
import { fdManager, type FdManagerOptions, type FdManagerWork } from './index.ts';
import { readUlimit } from './ulimit.ts';

const VFS = 'vfs:distro:sys';
const KV = 'kv:distro:sys';
let ulimit: number;
let clock: TestClock;
let bench: Bench<FdManagerWork>;

async function start(options: FdManagerOptions = {}): Promise<void> {
  const port = new TestPort('fd-manager');
  clock = new TestClock();
  bench = new Bench(
    fdManager(options)({ port, clock, readUlimit: () => Promise.resolve(ulimit) }),
    port,
  );
  await clock.advance(0);
}
beforeEach(async () => {
  ulimit = 1024;
  await start();
});

const tell = (from: string, body: unknown) => bench.ask({ from, body });
const ask = async (body: unknown) => (await tell('any:p:q', body))?.body;

/** What was sent since the last call: process to limit. */
function told(): Record<string, number> {
  const sent = bench.port.sent.splice(0).map(({ target, message }) => {
    const text = message.kind === 'request' ? new TextDecoder().decode(message.request.body) : '{}';
    return [target.process, (JSON.parse(text) as { FdsLimit: number }).FdsLimit] as const;
  });
  return Object.fromEntries(sent);
}

test('M260 RequestFdsLimit is followed by a request with the limit, to everyone registered', async () => {
  expect(await tell(VFS, '"RequestFdsLimit"')).toBeUndefined();
  expect(told()).toEqual({ [VFS]: 891 });
  await tell(KV, '"RequestFdsLimit"');
  await tell('sqlite:distro:sys', '"RequestFdsLimit"');
  expect(told()).toEqual({ [VFS]: 297, [KV]: 297, 'sqlite:distro:sys': 297 });
});

test('M260 before the first reading 180 are divided, afterwards everybody hears of the change', async () => {
  const port = new TestPort('fd-manager');
  bench = new Bench(
    fdManager()({ port, clock, readUlimit: () => new Promise(() => undefined) }),
    port,
  );
  await tell(VFS, '"RequestFdsLimit"');
  expect(told()).toEqual({ [VFS]: 180 });
});

test('M260 the limit is read again every hour', async () => {
  await tell(VFS, '"RequestFdsLimit"');
  told();
  ulimit = 2048;
  await clock.advance(3_599_000);
  expect(told()).toEqual({});
  await clock.advance(1000);
  expect(told()).toEqual({ [VFS]: 1813 });
});

test('M261 GetState and GetProcessFdLimit; unknown is 0; nothing without an expected response', async () => {
  await tell(VFS, '"RequestFdsLimit"');
  await tell(VFS, '"FdsLimitHit"');
  expect(await ask('"GetState"')).toEqual({ GetState: { [VFS]: { limit: 891, hit_count: 2 } } });
  expect(await ask({ GetProcessFdLimit: VFS })).toEqual({ GetProcessFdLimit: 891 });
  expect(await ask({ GetProcessFdLimit: KV })).toEqual({ GetProcessFdLimit: 0 });
  const quiet = { from: VFS, body: '"GetState"', expectsResponse: false };
  expect(await bench.ask(quiet)).toBeUndefined();
});

test('M262 a hit raises the share of its sender and lowers the others', async () => {
  await tell(VFS, '"RequestFdsLimit"');
  await tell(KV, '"RequestFdsLimit"');
  expect(told()).toEqual({ [VFS]: 445, [KV]: 445 });
  await tell(VFS, '"FdsLimitHit"');
  expect(told()).toEqual({ [VFS]: 519, [KV]: 371 });
  await tell('never-registered:distro:sys', '"FdsLimitHit"');
  expect(told()).toEqual({});
});

test('M262 shares never exceed the budget', () => {
  fc.assert(
    fc.property(fc.nat(100_000), fc.array(fc.integer({ min: 1, max: 1000 })), (budget, hits) => {
      const shares = divide(budget, new Map(hits.map((each, n) => [`p${n}:k:q` as never, each])));
      expect([...shares.values()].reduce((sum, each) => sum + each, 0)).toBeLessThanOrEqual(budget);
    }),
  );
});

test('M263 --soft-ulimit limits, the node keeps running, and updates are refused aloud', async () => {
  await start({ softUlimit: 500 });
  await tell(VFS, '"RequestFdsLimit"');
  expect(told()).toEqual({ [VFS]: 500 });
  await tell('any:p:q', { UpdateUpdateUlimitSecs: 60 });
  await clock.advance(10_000_000);
  expect([told(), bench.port.prints.map(({ verbosity }) => verbosity)]).toEqual([{}, [0]]);
});

test('M260 the fraction and the interval take effect at the next reading', async () => {
  await tell(VFS, '"RequestFdsLimit"');
  await tell('any:p:q', { UpdateMaxFdsAsFractionOfUlimitPercentage: 50 });
  await tell('any:p:q', { UpdateUpdateUlimitSecs: 60 });
  await tell('any:p:q', { UpdateCullFractionDenominator: 4 });
  told();
  await clock.advance(3_600_000);
  expect(told()).toEqual({ [VFS]: 482 });
  ulimit = 2048;
  await clock.advance(60_000);
  expect(told()).toEqual({ [VFS]: 994 });
});

test('M260 only modules register; remote nodes and malformed bodies are ignored', async () => {
  const ignored: [string, unknown][] = [
    ['app:p:q', '"RequestFdsLimit"'],
    ['vfs:distro:evil', '"RequestFdsLimit"'],
    [`bob.os@${VFS}`, '"GetState"'],
    [VFS, { FdsLimit: 5 }],
    [VFS, '{"GetProcessFdLimit":"x"}'],
    [VFS, 'garbage'],
  ];
  for (const [from, body] of ignored) expect(await tell(from, body)).toBeUndefined();
  expect(bench.port.prints.map(({ verbosity }) => verbosity)).toEqual(ignored.map(() => 1));
  expect(await ask('"GetState"')).toEqual({ GetState: {} });
});

test('M260 a limit too low is said aloud and not divided', async () => {
  ulimit = 40;
  await start();
  await tell(VFS, '"RequestFdsLimit"');
  expect(told()).toEqual({ [VFS]: 180 });
  expect(bench.port.prints.map(({ verbosity }) => verbosity)).toEqual([0]);
});

test('M260 this machine tells its limit', async () => {
  expect(await readUlimit()).toBeGreaterThan(0);
});
