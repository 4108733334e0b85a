/** Who is audited, what reruns say together, and that cheating does not pay (compute-market.md §8, with the vectors of §17). */
import { describe, expect, it } from 'vitest';
import { capacityOf, saltOf } from '../../../contracts/compute.ts';
import { auditRateBps, commitmentOf, doubled, isPicked, macOf, problemOfHour } from './audit.ts';
import { outcomeOfReruns } from './audits.ts';
import { compareRuns, type Outcome } from './compare.ts';
import { JOB, RECEIPT, specOf } from './testing.ts';

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
