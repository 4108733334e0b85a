/** Gates, scores, audits and comparisons: the pure parts of the oracle, with the vectors of compute-market.md §8 and §17. */
import { deflateRawSync, deflateSync, crc32 } from 'node:zlib';
import { describe, expect, it, test } from 'vitest';
import { capacityOf, RECEIPT_STATUS, saltOf } from '../../../contracts/compute.ts';
import { encodeRecords, STREAM } from '../../../wit/jobs/log-records.ts';
import { documentHash } from '../../../wit/jobs/result.ts';
import { parseJobSpec, specHash, type JobSpec } from '../../../wit/jobs/spec.ts';
import { auditRateBps, commitmentOf, doubled, isPicked, macOf, problemOfHour } from './audit.ts';
import { outcomeOfReruns } from './audits.ts';
import { closeTexts, compareRuns, type Outcome } from './compare.ts';
import { closeImages } from './compare-images.ts';
import { closeNumbers } from './compare-numbers.ts';
import { type Facts, judge } from './gates.ts';
import { inflate } from './inflate.ts';
import { isTame, LogReader } from './run-log.ts';
import { CHECKS, meteredOf, passes, payoutOf, scoreOf, type CheckName } from './score.ts';

const utf8 = new TextEncoder();
const JOB = '0xbfccfad3edce1f6fc6636f2d823a1e97267734cc2032aba540d6d7d8381d81f6';
const RECEIPT = '0x56a2c8c19f8483d195a9c8fb9aa0b0488bd2e3f5e9e09daba9da049d7ef543ea';
const NODE = saltOf('node');
const EXECUTOR = `0x${'e1'.repeat(20)}`;

const usage = {
  wallMs: 6_000,
  cpuMs: 5_900,
  gpuMs: 0,
  peakMemMiB: 120,
  peakVramMiB: 0,
  bytesIn: 6,
  bytesOut: 23,
  tokensIn: 0,
  tokensOut: 0,
};
const runtime = {
  arch: 'x86_64',
  driver: '',
  gpu: '',
  image: '',
  module: '',
  runner: 'builtin',
  runnerVersion: '1',
};

function specOf(part: Record<string, unknown> = {}): JobSpec {
  const text = JSON.stringify({
    v: 1,
    type: 'custom',
    kind: 'builtin',
    entry: { fn: 'sha256' },
    inputs: [],
    ...part,
  });
  const parsed = parseJobSpec(text);
  if (!parsed.ok) throw new Error(parsed.error.message);
  return parsed.value;
}

/** Everything right: a builtin that ran for six seconds. */
function facts(
  change: {
    spec?: JobSpec;
    receipt?: Partial<Facts['evidence']['result']['receipt']>;
    seen?: Partial<Facts['evidence']['seen']>;
    evidence?: Partial<Facts['evidence']>;
    result?: Partial<Facts['evidence']['result']>;
    facts?: Partial<Facts>;
  } = {},
): Facts {
  const spec = change.spec ?? specOf();
  const receipt = {
    jobId: JOB,
    nodeId: NODE,
    attempt: 0,
    specHash: specHash(spec),
    inputsRoot: saltOf('in'),
    outputsRoot: saltOf('out'),
    logsRoot: saltOf('log'),
    stdoutHash: saltOf('stdout'),
    runtimeHash: documentHash(runtime),
    usageHash: documentHash(usage),
    exitCode: 0,
    status: 0,
    startedAt: 1_000n,
    finishedAt: 1_006n,
    claimed: 100n,
    ...change.receipt,
  };
  return {
    spec,
    evidence: {
      jobId: JOB,
      attempt: 0,
      terms: undefined,
      spec: '',
      node: { name: 'bob.os', nodeId: NODE, executor: EXECUTOR },
      price: 100n,
      seen: {
        assignedAt: 990_000,
        startedAt: 1_000_500,
        receivedAt: 1_006_800,
        leaseAgrees: true,
        beatsSeen: true,
        ...change.seen,
      },
      result: {
        receipt,
        signature: `0x${'11'.repeat(65)}`,
        receiptHash: RECEIPT,
        outputs: [],
        logs: { count: 4, truncated: false },
        usage,
        runtime,
        ...change.result,
      },
      device: undefined,
      medianMs: undefined,
      cancelled: false,
      artifacts: '',
      inputs: undefined,
      logs: '',
      ...change.evidence,
    },
    chain: undefined,
    executor: EXECUTOR,
    receiptHash: RECEIPT,
    signer: EXECUTOR,
    roots: {
      inputs: saltOf('in'),
      outputs: { root: saltOf('out') },
      logs: { root: saltOf('log'), stdoutHash: saltOf('stdout') },
    },
    log: {
      count: 4,
      gapless: true,
      startsWithStart: true,
      exitCode: 0,
      truncated: false,
      marked: undefined,
    },
    otherReceipt: undefined,
    ...change.facts,
  };
}

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

describe('T9 what a log says', () => {
  const record = (seq: number, text: string, stream: 1 | 2 | 3 = STREAM.system, atMs = seq) => ({
    seq,
    stream,
    atMs,
    bytes: utf8.encode(text),
  });
  const start = record(0, '{"ev":"start"}');
  const read = (...records: Parameters<typeof encodeRecords>[0]) => {
    const reader = new LogReader(undefined);
    const bytes = encodeRecords(records);
    // In pieces that cut records.
    for (let at = 0; at < bytes.length; at += 7)
      if (!reader.add(bytes.subarray(at, at + 7))) return undefined;
    return reader.end();
  };
  it('T9 only a last record of the runner itself is an exit', () => {
    expect(read(start, record(1, '{"ev":"exit","code":0}'))?.exitCode).toBe(0);
    expect(
      read(start, record(1, '{"ev":"exit","code":0}'), record(2, 'x', 1))?.exitCode,
    ).toBeUndefined();
    expect(read(start, record(1, '{"ev":"exit","code":0}', 1))?.exitCode).toBeUndefined();
    expect(read(start, record(1, '{"ev":"exit","code":"0"}'))?.exitCode).toBeUndefined();
  });
  it('gaps, repeats and times that run back are seen', () => {
    const end = (seq: number, atMs = 9): ReturnType<typeof record> =>
      record(seq, '{"ev":"exit","code":0}', 3, atMs);
    expect(read(start, end(1))?.gapless).toBe(true);
    expect(read(start, end(2))?.gapless).toBe(false);
    expect(read(start, record(0, 'x'), end(1))?.gapless).toBe(false);
    expect(read(start, record(1, 'x', 1, 5), end(2, 4))?.gapless).toBe(false);
  });
  it('bytes that are no records, or end in the middle', () => {
    const reader = new LogReader(undefined);
    expect(reader.add(Uint8Array.of(0, 0, 0, 0, 9, ...new Uint8Array(20)))).toBe(false);
    const cut = new LogReader(undefined);
    expect(cut.add(encodeRecords([start]).subarray(0, 5))).toBe(true);
    expect(cut.end()).toBeUndefined();
  });
  it('markers that could be tried forever are not', () => {
    for (const bad of ['(a+)+$', '(a|a)*b', '(?=a)', 'a*a*a*a*b', '(a)\\1']) {
      expect(isTame(bad), bad).toBe(false);
    }
    for (const good of ['^done$', 'loss=[0-9.]+', 'a*b+', 'x\\+y', '[(*+]']) {
      expect(isTame(good), good).toBe(true);
    }
  });
});

describe('CM25', () => {
  const secret = `0x${'99'.repeat(32)}`;
  it('CM25 commitment, pick and rate are those of the vectors', () => {
    expect(commitmentOf(secret)).toBe(
      '0xc884f020b32e240cf4f3e343a7acbdaeca64e682dd59888d8c1c0ba2cecfe69b',
    );
    expect(macOf(secret, JOB, RECEIPT)).toBe(
      'cd8d9a8599ae2b3215f3673081891002c2647652507f52ecf1657a98fc02f97e',
    );
    expect(isPicked(secret, JOB, RECEIPT, 8_029)).toBe(false);
    expect(isPicked(secret, JOB, RECEIPT, 8_030)).toBe(true);
    const units = 1_000_000n;
    // In the page's formula half the stake is taken.
    expect(auditRateBps(10n * units, 500n * units)).toBe(500);
    expect(auditRateBps(100n * units, 500n * units)).toBe(3_334);
    expect(auditRateBps(1_000n * units, 500n * units)).toBe(10_000);
    expect(doubled(500)).toBe(1_000);
    expect(doubled(6_000)).toBe(10_000);
  });
  it('CM25 everybody can see that an audit which was due was skipped, or that the secret is another one', () => {
    const pick = { jobId: JOB, receiptHash: RECEIPT, rateBps: 9_000 };
    const hour = { commitment: commitmentOf(secret), secret, picks: [{ ...pick, audited: true }] };
    expect(problemOfHour(hour)).toBeUndefined();
    const skipped = { ...hour, picks: [{ ...pick, audited: false }] };
    expect(problemOfHour(skipped)).toMatch(/was due/);
    expect(problemOfHour({ ...skipped, secret: undefined })).toBeUndefined();
    expect(problemOfHour({ ...hour, secret: `0x${'98'.repeat(32)}` })).toMatch(/committed/);
    expect(
      problemOfHour({ ...hour, picks: [{ ...pick, rateBps: 500, audited: false }] }),
    ).toBeUndefined();
  });
});

describe('CM26 what reruns say together', () => {
  const [one, other] = [`0x${'01'.repeat(20)}`, `0x${'02'.repeat(20)}`];
  const base = {
    untilMs: 100,
    told: true,
    operator: undefined,
    outcome: undefined,
    outputsRoot: undefined,
  };
  const all = (
    ...reruns: readonly Partial<Parameters<typeof outcomeOfReruns>[0][number]>[]
  ): Parameters<typeof outcomeOfReruns>[0] =>
    reruns.map((each, rerun) => ({ ...base, rerun, ...each }));
  const failed = { outcome: 'undecided', operator: one } as const;
  const different = { outcome: 'different', operator: one, outputsRoot: 'a' } as const;

  it('CM26 one that failed is followed by another, at most three times; one that nobody could make is the last', () => {
    expect(outcomeOfReruns(all(failed), 1, 0)).toBe('go-on');
    expect(outcomeOfReruns(all(failed, failed), 1, 0)).toBe('go-on');
    expect(outcomeOfReruns(all(failed, failed, failed), 1, 0)).toBe('inconclusive');
    expect(outcomeOfReruns(all({ outcome: 'undecided' }), 1, 0)).toBe('inconclusive');
    expect(outcomeOfReruns(all(failed, { outcome: 'undecided' }), 1, 0)).toBe('inconclusive');
    // Two that ran and cannot be compared: a third tells no more.
    const odd = { ...failed, outputsRoot: 'a' };
    expect(outcomeOfReruns(all(odd), 1, 0)).toBe('inconclusive');
  });

  it('CM26 one that is late is waited for until its time, and no longer', () => {
    expect(outcomeOfReruns(all({}), 1, 99)).toBe('go-on');
    expect(outcomeOfReruns(all({}), 1, 100)).toBe('inconclusive');
  });

  it('CM26 against a run there have to be as many as are asked for, of different operators', () => {
    expect(outcomeOfReruns(all(failed, different), 1, 0)).toBe('differed');
    expect(outcomeOfReruns(all(different), 2, 0)).toBe('go-on');
    expect(outcomeOfReruns(all(different, different), 2, 0)).toBe('go-on');
    expect(outcomeOfReruns(all(different, { ...different, operator: other }), 2, 0)).toBe(
      'differed',
    );
    expect(outcomeOfReruns(all(different, { outcome: 'same', operator: other }), 2, 0)).toBe(
      'agreed',
    );
  });
});

describe('T8 simulation', () => {
  const run = (outputsRoot: string): Outcome => ({
    status: 0,
    exitCode: 0,
    outputsRoot,
    outputs: [],
  });
  /** Jobs until an audit differs from the provider's result; undefined after `most`. */
  async function caughtAfter(
    seed: number,
    output: (job: number) => string,
    most: number,
  ): Promise<number | undefined> {
    const secret = saltOf(`secret ${seed}`);
    const rate = auditRateBps(1n, 1_000n);
    for (let job = 1; job <= most; job += 1) {
      const [jobId, receiptHash] = [saltOf(`job ${seed} ${job}`), saltOf(`receipt ${seed} ${job}`)];
      if (!isPicked(secret, jobId, receiptHash, rate)) continue;
      const found = await compareRuns(
        specOf(),
        run(output(job)),
        run(saltOf('right')),
        async () => undefined,
      );
      if (found === 'different') return job;
    }
    return undefined;
  }
  it('T8 a provider of garbage at the least rate is caught within the expected number of jobs, an honest one never', async () => {
    let jobs = 0;
    for (let seed = 0; seed < 300; seed += 1)
      jobs += (await caughtAfter(seed, (job) => saltOf(`garbage ${job}`), 400)) ?? Infinity;
    // One of twenty is audited.
    expect(jobs / 300).toBeGreaterThan(16);
    expect(jobs / 300).toBeLessThan(24);
    for (let seed = 0; seed < 50; seed += 1)
      expect(await caughtAfter(seed, () => saltOf('right'), 200)).toBeUndefined();
  });
  it('F38 cheating loses money at every price that a stake allows', () => {
    for (const stake of [100n, 1_000n, 10_000n, 100_000n]) {
      const { reservation } = capacityOf(stake * 1_000_000n);
      for (let part = 1n; part <= 100n; part += 1n) {
        const price = (reservation * part) / 100n;
        const rate = BigInt(auditRateBps(price, reservation));
        // What is gained where nobody looks, and lost where somebody does.
        const gain = price * (10_000n - rate) - reservation * rate;
        expect(gain, `${price} of ${reservation}`).toBeLessThan(0n);
      }
    }
  });
});

describe('comparing two runs', () => {
  const run = (root: string, part: Partial<Outcome> = {}): Outcome => ({
    status: 0,
    exitCode: 0,
    outputsRoot: saltOf(root),
    outputs: [],
    ...part,
  });
  const none = async (): Promise<undefined> => undefined;
  it('exact: equal roots, and how it ended', async () => {
    const spec = specOf();
    expect(await compareRuns(spec, run('a'), run('a'), none)).toBe('same');
    expect(await compareRuns(spec, run('a'), run('b'), none)).toBe('different');
    const failed = (exitCode: number): Outcome => run('x', { status: 1, exitCode });
    expect(await compareRuns(spec, failed(1), failed(1), none)).toBe('same');
    expect(await compareRuns(spec, failed(1), failed(2), none)).toBe('different');
    expect(await compareRuns(spec, failed(1), run('a'), none)).toBe('different');
    expect(await compareRuns(spec, run('a'), run('a', { status: 6 }), none)).toBe('undecided');
    const unverifiable = specOf({ verify: { mode: 'none' } });
    expect(await compareRuns(unverifiable, run('a'), run('b'), none)).toBe('undecided');
  });
  it('tolerance: numbers that are close, files that are the same ones', async () => {
    const spec = specOf({ verify: { mode: 'tolerance', absPpb: 1_000, relPpb: 0 } });
    const file = (sha256: string) => ({ path: 'm.json', size: 1, sha256: sha256.repeat(32) });
    const texts: Record<string, string> = { aa: '{"loss": 0.25}', bb: '{"loss":0.2500009}' };
    const read = async (_: string, { sha256 }: { sha256: string }): Promise<Uint8Array> =>
      utf8.encode(texts[sha256.slice(0, 2)]);
    const one = run('a', { outputs: [file('aa')] });
    expect(await compareRuns(spec, one, run('b', { outputs: [file('bb')] }), read)).toBe('same');
    texts['bb'] = '{"loss":0.250002}';
    expect(await compareRuns(spec, one, run('b', { outputs: [file('bb')] }), read)).toBe(
      'different',
    );
    expect(await compareRuns(spec, one, run('b', { outputs: [file('bb')] }), none)).toBe(
      'undecided',
    );
    expect(await compareRuns(spec, one, run('b'), read)).toBe('different');
  });
  it('tolerance is exact at its edge, both absolute and relative', () => {
    const close = (a: string, b: string, absPpb: bigint, relPpb: bigint): boolean =>
      closeNumbers('x.json', utf8.encode(a), utf8.encode(b), { absPpb, relPpb });
    expect(close('1.000000001', '1', 1n, 0n)).toBe(true);
    expect(close('1.0000000011', '1', 1n, 0n)).toBe(false);
    expect(close('1e3', '1000.000001', 0n, 1n)).toBe(true);
    expect(close('1e3', '1000.0000011', 0n, 1n)).toBe(false);
    expect(close('[1,2]', '[1,2,3]', 10n ** 12n, 0n)).toBe(false);
    expect(close('{"a":1}', '{"b":1}', 10n ** 12n, 0n)).toBe(false);
    expect(close('"1"', '"2"', 10n ** 12n, 0n)).toBe(false);
    expect(close('1e999', '1e998', 10n ** 12n, 0n)).toBe(false);
    expect(close('no', 'no ', 10n ** 12n, 0n)).toBe(false);
  });
  it('tolerance reads arrays of NumPy', () => {
    const npy = (descr: string, shape: string, data: ArrayBufferView): Uint8Array => {
      const head = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape}), }\n`;
      const lead = Buffer.from([
        0x93,
        0x4e,
        0x55,
        0x4d,
        0x50,
        0x59,
        1,
        0,
        head.length & 255,
        head.length >> 8,
      ]);
      const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
      return Uint8Array.from(Buffer.concat([lead, Buffer.from(head), bytes]));
    };
    const tolerance = { absPpb: 1_000n, relPpb: 0n };
    const close = (a: Uint8Array, b: Uint8Array): boolean => closeNumbers('a.npy', a, b, tolerance);
    const floats = (...values: number[]): Uint8Array =>
      npy('<f8', `${values.length},`, Float64Array.from(values));
    expect(close(floats(0.5, -3), floats(0.5000005, -3))).toBe(true);
    expect(close(floats(0.5, -3), floats(0.500002, -3))).toBe(false);
    expect(close(floats(1), floats(1, 1))).toBe(false);
    expect(close(floats(NaN, Infinity), floats(NaN, Infinity))).toBe(true);
    expect(close(floats(Infinity), floats(-Infinity))).toBe(false);
    expect(close(floats(NaN), floats(1))).toBe(false);
    const singles = (value: number): Uint8Array => npy('<f4', '1,', Float32Array.of(value));
    expect(close(singles(1e-8), singles(2e-8))).toBe(true);
    expect(close(singles(1), floats(1))).toBe(false);
    const integers = (value: number): Uint8Array => npy('<i4', '1,', Int32Array.of(value));
    expect(close(integers(-5), integers(-5))).toBe(true);
    expect(close(integers(-5), integers(-4))).toBe(false);
    expect(close(utf8.encode('no array'), utf8.encode('no array'))).toBe(false);
  });
  it('image: a little noise is the same, a stripe is not', () => {
    const [width, height] = [64, 64];
    const pixels = (noise: (at: number) => number): Uint8Array =>
      Uint8Array.from({ length: width * height * 3 }, (_, at) =>
        Math.max(0, Math.min(255, (at * 7) % 200) + noise(at)),
      );
    const ppm = (data: Uint8Array): Uint8Array =>
      Uint8Array.from(Buffer.concat([Buffer.from(`P6\n${width} ${height}\n255\n`), data]));
    const plain = pixels(() => 0);
    expect(closeImages(ppm(plain), ppm(pixels((at) => at % 2)))).toBe(true);
    expect(closeImages(ppm(plain), ppm(pixels((at) => (at < 300 ? 50 : 0))))).toBe(false);
    expect(
      closeImages(
        ppm(plain),
        png(
          width,
          height,
          pixels((at) => at % 3),
        ),
      ),
    ).toBe(true);
    expect(
      closeImages(
        png(width, height, plain),
        png(
          width,
          height,
          pixels(() => 20),
        ),
      ),
    ).toBe(false);
    expect(closeImages(ppm(plain), ppm(plain).subarray(1))).toBe(false);
    expect(closeImages(png(width, height, plain).subarray(0, 200), ppm(plain))).toBe(false);
  });
  it('text: the first words, or nine tenths of it', () => {
    const words = (count: number, last = 'same'): Uint8Array =>
      utf8.encode(Array.from({ length: count }, (_, at) => (at < 32 ? `w${at}` : last)).join(' '));
    expect(closeTexts(words(60), words(60, 'other'))).toBe(true);
    expect(
      closeTexts(
        utf8.encode('a'.repeat(90) + 'b'.repeat(10)),
        utf8.encode('a'.repeat(90) + 'c'.repeat(10)),
      ),
    ).toBe(true);
    expect(
      closeTexts(
        utf8.encode('a'.repeat(89) + 'b'.repeat(11)),
        utf8.encode('a'.repeat(89) + 'c'.repeat(11)),
      ),
    ).toBe(false);
    expect(closeTexts(utf8.encode('yes'), utf8.encode('no'))).toBe(false);
    expect(closeTexts(utf8.encode(''), utf8.encode(''))).toBe(true);
  });
});

test('inflate undoes deflate at every level, and never makes more than it may', () => {
  const text = Buffer.from('the same again and again, '.repeat(500) + Math.PI);
  for (const level of [0, 1, 6, 9])
    expect(Buffer.from(inflate(deflateRawSync(text, { level }), text.length)!)).toEqual(text);
  expect(Buffer.from(inflate(deflateRawSync(Buffer.from('ab')), 2)!).toString()).toBe('ab');
  expect(inflate(deflateRawSync(text), text.length - 1)).toBeUndefined();
  expect(inflate(Uint8Array.of(7, 1, 2, 3), 100)).toBeUndefined();
  expect(inflate(new Uint8Array(), 100)).toBeUndefined();
});

/** Eight bits, three channels, each row by another filter. */
function png(width: number, height: number, rgb: Uint8Array): Uint8Array {
  const stride = width * 3;
  const rows = Buffer.alloc((stride + 1) * height);
  const before = (row: number, at: number): number =>
    row < 0 || at < 0 ? 0 : rgb[row * stride + at]!;
  for (let row = 0; row < height; row += 1) {
    const filter = row % 5;
    rows[row * (stride + 1)] = filter;
    for (let at = 0; at < stride; at += 1) {
      const [left, above] = [before(row, at - 3), before(row - 1, at)];
      const corner = at < 3 ? 0 : before(row - 1, at - 3);
      const guess = left + above - corner;
      const nearest = [left, above, corner].toSorted(
        (a, b) => Math.abs(guess - a) - Math.abs(guess - b),
      )[0]!;
      const predicted = [0, left, above, (left + above) >> 1, nearest][filter]!;
      rows[row * (stride + 1) + 1 + at] = rgb[row * stride + at]! - predicted;
    }
  }
  const chunk = (kind: string, data: Uint8Array): Buffer => {
    const body = Buffer.concat([Buffer.from(kind), data]);
    const frame = Buffer.alloc(8 + body.length);
    frame.writeUInt32BE(data.length);
    body.copy(frame, 4);
    frame.writeUInt32BE(crc32(body), 4 + body.length);
    return frame;
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  const lead = Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]);
  const data = deflateSync(rows);
  return Uint8Array.from(
    Buffer.concat([
      lead,
      chunk('IHDR', head),
      chunk('IDAT', data.subarray(0, 50)),
      chunk('IDAT', data.subarray(50)),
      chunk('IEND', Buffer.alloc(0)),
    ]),
  );
}
