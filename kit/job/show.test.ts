import { expect, test } from 'vitest';
import { isDecided, type JobView } from './job-record.ts';
import { JobError } from './job-error.ts';
import { MarketApi } from './market-api.ts';
import { bar, clock, hyper, millionths, Progress, stateText } from './show.ts';

test('amounts are read and written without losing a millionth', () => {
  expect([hyper(0n), hyper('1'), hyper('2500000'), hyper('123456789012345678')]).toEqual([
    '0 HYPER',
    '0.000001 HYPER',
    '2.5 HYPER',
    '123456789012.345678 HYPER',
  ]);
  expect([millionths('2.5'), millionths('0.000001'), millionths('7')]).toEqual([
    2_500_000n,
    1n,
    7_000_000n,
  ]);
  for (const bad of ['', '-1', '1.0000001', '1e3', '.5', '1,5'])
    expect(millionths(bad)).toBe(undefined);
});

test('a bar is never longer than it is, and times are those of a clock', () => {
  expect(bar(0)).toBe(`[${'-'.repeat(24)}]   0 %`);
  expect(bar(9_000_000)).toBe(`[${'#'.repeat(24)}] 100 %`);
  expect([clock(7_000), clock(3_723_000)]).toEqual(['0:07', '1:02:03']);
});

const job = (more: Partial<JobView>): JobView => ({
  jobId: '0x1',
  intentId: '',
  coordinator: '',
  state: 'running',
  substate: null,
  attempt: 0,
  maxAttempts: 3,
  // What is not looked at here.
  spec: {} as JobView['spec'],
  specHash: '',
  payment: { state: 'free', amount: '0', price: '0', payout: null, fundTx: null, settleTx: null },
  node: { name: 'bob.os', executor: null },
  progress: null,
  result: null,
  error: null,
  reason: null,
  times: { started: 1 },
  ...more,
});

function shown(isTTY: boolean, work: (progress: Progress) => void): string {
  let text = '';
  work(new Progress({ isTTY, columns: 60, write: (more) => void (text += more) }, () => 5_001));
  return text;
}

test('without a terminal there is a line for each change and each tenth', () => {
  const text = shown(false, (progress) => {
    progress.job(job({ state: 'escrowed', node: null }));
    progress.job(job({ state: 'escrowed', node: null }));
    for (const ppm of [10_000, 50_000, 120_000, 130_000]) {
      progress.job(job({ progress: { ppm } }));
    }
    progress.job(job({ state: 'completed' }));
  });
  expect(text.split('\n')).toEqual([
    'escrowed',
    'running at bob.os, 1 %',
    'running at bob.os, 12 %',
    'completed at bob.os',
    '',
  ]);
});

test('at a terminal one line is drawn again, and logs stand above it', () => {
  const text = shown(true, (progress) => {
    progress.job(job({ progress: { ppm: 500_000, note: 'half \u001b[31m' } }));
    progress.log({ seq: 0, stream: 1, text: 'evil \u001b]0;title\u0007\n' });
    progress.job(job({ state: 'completed' }));
  });
  const pieces = text.split('\r\u001b[2K');
  expect(pieces[0]).toMatch(/^\[#{12}-{12}\] {2}50 % {2}running at bob\.os/);
  expect(pieces[0]!.length).toBeLessThan(60);
  expect(pieces[1]).toBe('| evil ?]0;title?\ncompleted at bob.os\n');
});

test('a login goes over TLS, or stays on this machine', () => {
  for (const good of [
    'localhost:8080',
    'http://127.0.0.1:1',
    'https://node.example.org',
    'http://[::1]:2',
  ])
    expect(new MarketApi(good).node).toMatch(/^https?:/);
  expect(() => new MarketApi('http://node.example.org')).toThrow(JobError);
  expect(() => new MarketApi('http://127.0.0.1.example.org')).toThrow(/use https/);
});

test('a job that waits says for whom, and one whose result is verified is decided though it is not paid yet', () => {
  const waits = (waiting: JobView['waiting']): string =>
    stateText(job({ state: 'escrowed', node: null, waiting: waiting ?? null }));
  expect(waits(null)).toBe('escrowed');
  expect(waits([])).toBe('escrowed: no provider is connected');
  const one = { node: 'a.os', why: 'all its slots are taken' };
  expect(waits([one])).toBe('escrowed: nobody can run it now (a.os: all its slots are taken)');
  expect(waits([one, one, one, one])).toMatch(/; …\)$/);
  const error = { code: 'NODE_LOST', message: 'gone' };
  expect(stateText(job({ state: 'running', error }))).toBe('running, after NODE_LOST: gone');
  expect(stateText(job({ state: 'failed', error }))).toBe('failed: NODE_LOST: gone');
  const money = job({}).payment;
  const states = [
    job({ state: 'verifying', payment: { ...money, state: 'escrowed' } }),
    job({ state: 'verifying', payment: { ...money, state: 'disputed' } }),
    job({ state: 'verifying', payment: { ...money, state: 'proposed' } }),
    job({ state: 'failed', payment: { ...money, state: 'refunding' } }),
    job({ state: 'refunded', payment: { ...money, state: 'refunded' } }),
  ];
  expect(states.map(isDecided)).toEqual([false, false, true, false, true]);
});
