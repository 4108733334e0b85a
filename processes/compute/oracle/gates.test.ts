/** Gates and scores of one run: what passes, and what is paid for it (compute-market.md §8). */
import { describe, expect, it } from 'vitest';
import { RECEIPT_STATUS, saltOf } from '../../../contracts/compute.ts';
import { encodeRecords, STREAM } from '../../../wit/jobs/log-records.ts';
import { documentHash } from '../../../wit/jobs/result.ts';
import { type Facts, judge } from './gates.ts';
import { LogReader } from './run-log.ts';
import { CHECKS, meteredOf, passes, payoutOf, scoreOf, type CheckName } from './score.ts';
import { facts, runtime, specOf, usage } from './testing.ts';

const utf8 = new TextEncoder();

const gatesOf = (given: Facts): string[] => judge(given).gates.map(({ gate }) => gate);
const verdictOf = (given: Facts): boolean => {
  const { score, gates } = judge(given);
  return passes(score, gates.length);
};

it('a run of which everything is right passes with the whole score and is paid its price', () => {
  expect(judge(facts())).toEqual({
    gates: [],
    score: { scoreBps: 10_000, checks: 63 },
    payout: 100n,
  });
});

describe('CM23', () => {
  const all = Object.fromEntries(CHECKS.map(({ name }) => [name, true])) as Record<
    CheckName,
    boolean
  >;
  it.each(CHECKS.map(({ name, bps }, bit) => ({ name, bps, bit })))(
    'CM23 $name failing alone costs $bps',
    ({ name, bps, bit }) => {
      expect(scoreOf({ ...all, [name]: false })).toEqual({
        scoreBps: 10_000 - bps,
        checks: 63 & ~(1 << bit),
      });
    },
  );
  it('CM23 the weights are the whole', () => {
    expect(CHECKS.reduce((sum, { bps }) => sum + bps, 0)).toBe(10_000);
    expect(scoreOf(all)).toEqual({ scoreBps: 10_000, checks: 63 });
  });

  it.each([
    ['G2', 'a receipt by another key', facts({ facts: { signer: `0x${'99'.repeat(20)}` } })],
    ['G2', 'one that is no signature', facts({ facts: { signer: undefined } })],
    ['G2', 'of another job', facts({ receipt: { jobId: saltOf('other') } })],
    ['G2', 'of another attempt', facts({ receipt: { attempt: 1 } })],
    ['G2', 'of another node', facts({ receipt: { nodeId: saltOf('other') } })],
    ['G3', 'of another spec', facts({ receipt: { specHash: saltOf('other') } })],
    ['G3', 'of other inputs', facts({ receipt: { inputsRoot: saltOf('other') } })],
    ['G4', 'other outputs', facts({ receipt: { outputsRoot: saltOf('other') } })],
    ['G4', 'another output in the log', facts({ receipt: { stdoutHash: saltOf('other') } })],
    ['G4', 'another log', facts({ receipt: { logsRoot: saltOf('other') } })],
    [
      'G4',
      'artifacts that are not there',
      facts({
        facts: {
          roots: {
            inputs: saltOf('in'),
            outputs: { problem: 'gone' },
            logs: { root: saltOf('log') },
          },
        },
      }),
    ],
    [
      'G5',
      'a required output that is missing',
      facts({ spec: specOf({ outputs: { required: ['r.json'] } }) }),
    ],
    [
      'G5',
      'an output that climbs',
      facts({ result: { outputs: [{ path: '../x', size: 1, sha256: 'ab'.repeat(32) }] } }),
    ],
    [
      'G5',
      'too much of it',
      facts({ result: { outputs: [{ path: 'x', size: 2 ** 40, sha256: 'ab'.repeat(32) }] } }),
    ],
    ['G6', 'an end before the start', facts({ receipt: { finishedAt: 999n } })],
    ['G6', 'a start before the assignment', facts({ receipt: { startedAt: 984n } })],
    ['G6', 'an end after the receipt came', facts({ receipt: { finishedAt: 1_013n } })],
    [
      'G6',
      'an end long after its time',
      facts({ receipt: { finishedAt: 1_091n }, seen: { receivedAt: 1_091_000 } }),
    ],
    [
      'G6',
      'out of time before the time',
      facts({ receipt: { status: RECEIPT_STATUS.timeout, exitCode: -9 } }),
    ],
    ['G7', 'another receipt', facts({ facts: { otherReceipt: saltOf('another') } })],
    ['G8', 'more claimed than the price', facts({ receipt: { claimed: 101n } })],
    ['G8', 'cancelled by nobody', facts({ receipt: { status: RECEIPT_STATUS.cancelled } })],
    ['G8', 'success with a code', facts({ receipt: { exitCode: 1 } })],
  ])('CM23 %s: %s is rejected whatever the score', (gate, _, given) => {
    expect(gatesOf(given)).toContain(gate);
    expect(verdictOf(given)).toBe(false);
    expect(passes({ scoreBps: 10_000, checks: 63 }, 1)).toBe(false);
  });

  it('CM23 the margins of G6 are inside', () => {
    expect(gatesOf(facts({ receipt: { startedAt: 985n }, seen: { startedAt: 985_000 } }))).toEqual(
      [],
    );
    expect(gatesOf(facts({ receipt: { finishedAt: 1_012n } }))).toEqual([]);
  });
});

it('CM23 a container that is over within a second misses valid_timing for that alone, and passes', () => {
  const spec = specOf({ kind: 'container', image: `a@sha256:${'ab'.repeat(32)}`, entry: {} });
  const of = (wallMs: number, finishedAt: bigint): Facts => {
    const took = { ...usage, wallMs };
    const ran = { ...runtime, image: spec.image! };
    const receipt = { finishedAt, usageHash: documentHash(took), runtimeHash: documentHash(ran) };
    const seen = { receivedAt: 1_000_500 + wallMs };
    return facts({ spec, receipt, seen, result: { usage: took, runtime: ran } });
  };
  const timing = 1 << CHECKS.findIndex(({ name }) => name === 'valid_timing');
  // Its milliseconds count: whole seconds of a receipt say neither more nor less.
  for (const [wallMs, finishedAt] of [
    [999, 1_000n],
    [999, 1_001n],
    [400, 1_000n],
  ] as const) {
    const quick = of(wallMs, finishedAt);
    expect(judge(quick)).toMatchObject({
      gates: [],
      score: { scoreBps: 8_500, checks: 63 & ~timing },
    });
    expect(verdictOf(quick)).toBe(true);
  }
  expect(judge(of(1_000, 1_001n)).score.scoreBps).toBe(10_000);
  expect(judge(of(1_000, 1_000n)).score.scoreBps).toBe(10_000);
});

it('CM24 8000 passes, 7999 does not', () => {
  expect(passes({ scoreBps: 8_000, checks: 0 }, 0)).toBe(true);
  expect(passes({ scoreBps: 7_999, checks: 0 }, 0)).toBe(false);
  // Logs alone may be missing by the score.
  expect(judge(facts({ facts: { log: undefined } })).score.scoreBps).toBe(10_000 - 2_000 - 2_500);
});

describe('CM22', () => {
  it('CM22 a program that prints success and ends with 1 is failed, and pays for its time', () => {
    const reader = new LogReader('success');
    const line = (seq: number, stream: 1 | 2 | 3, text: string) => ({
      seq,
      stream,
      atMs: seq,
      bytes: utf8.encode(text),
    });
    const records = [
      line(0, STREAM.system, '{"ev":"start"}'),
      line(1, STREAM.stdout, 'success ✅ completed done\n'),
      line(2, STREAM.system, '{"ev":"exit","code":1}'),
    ];
    expect(reader.add(encodeRecords(records))).toBe(true);
    const log = reader.end()!;
    expect(log).toMatchObject({ exitCode: 1, marked: true, gapless: true, startsWithStart: true });
    const told = facts({ facts: { log } });
    // The receipt says 0 and the log says 1.
    expect(judge(told).score.scoreBps).toBe(7_500);
    expect(verdictOf(told)).toBe(false);
    const honest = facts({ facts: { log }, receipt: { status: 1, exitCode: 1 } });
    // 6 of 60 seconds of 100; the least for such a job is 500, and no more than the price.
    expect(judge(honest)).toMatchObject({ gates: [], payout: 100n });
    expect(verdictOf(honest)).toBe(true);
  });

  it('CM22 charged by time: the least, the part, the price', () => {
    const charge = {
      status: 1,
      mode: 0,
      price: 600_000n,
      minPrice: 500n,
      claimed: 600_000n,
      timeoutS: 60,
    };
    expect(payoutOf({ ...charge, elapsedMs: 0 })).toBe(500n);
    expect(payoutOf({ ...charge, elapsedMs: 6_000 })).toBe(60_000n);
    expect(payoutOf({ ...charge, elapsedMs: 6_001 })).toBe(60_010n);
    expect(payoutOf({ ...charge, elapsedMs: 600_000 })).toBe(600_000n);
    expect(payoutOf({ ...charge, elapsedMs: 6_000, claimed: 7n })).toBe(7n);
    expect(payoutOf({ ...charge, elapsedMs: 6_000, status: 0 })).toBe(600_000n);
    expect(payoutOf({ ...charge, elapsedMs: 6_000, status: 0, mode: 1 })).toBe(60_000n);
    expect(payoutOf({ ...charge, elapsedMs: 6_000, status: 6 })).toBe(0n);
    expect(meteredOf({ ...charge, elapsedMs: -1 })).toBe(500n);
  });
});
