import { readdir, readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import type { GpuDevice } from '../../../wit/jobs/device.ts';
import { completeSpec, type JobSpec, parseJobSpec } from '../../../wit/jobs/spec.ts';
import {
  type Candidate,
  drawIndex,
  ineligible,
  ranked,
  scoreBps,
  unregistered,
  unsuited,
} from './matching.ts';
import { A_GPU, FakeGpu, specOf } from './testing/fake-gpu.ts';

const EXECUTOR = `0x${'11'.repeat(20)}`;
const JOB = '0xbfccfad3edce1f6fc6636f2d823a1e97267734cc2032aba540d6d7d8381d81f6';

function spec(more: Readonly<Record<string, unknown>> = {}): JobSpec {
  const made = completeSpec(specOf(more) as never);
  if (!made.ok) throw new Error(`${made.error.where}: ${made.error.message}`);
  return made.value;
}

function candidate(node: string, more: Partial<Candidate> = {}): Candidate {
  const state = new FakeGpu(node, EXECUTOR).state();
  return { node, state, seenAt: 0, reputation: 500, free: 2, price: 0n, local: false, ...more };
}

function withGpu(more: Partial<GpuDevice> = {}): Candidate {
  const base = candidate('g.os');
  const device = base.state.device!;
  return {
    ...base,
    state: { ...base.state, device: { ...device, gpus: [{ ...A_GPU, ...more }] } },
  };
}

const wanted = { spec: spec(), amount: 0n, excluded: [], now: 0 };
const why = (one: Candidate, more: Partial<typeof wanted> = {}): string | undefined =>
  ineligible(one, { ...wanted, ...more });

it('CM35 T30 whoever is not registered gets no paid job of any price, and is told so before anything is paid', () => {
  const stake = { on: true, slotsFree: 0, reservation: 100n, executor: EXECUTOR };
  const paid = candidate('a.os', { price: 100n, stake });
  expect(unregistered(paid)).toBeUndefined();
  expect(unregistered(candidate('a.os'))).toMatch(/not registered/);
  expect(unregistered({ ...paid, stake: { ...stake, on: false } })).toMatch(/takes no jobs/);
  expect(unregistered({ ...paid, price: 101n })).toMatch(/at stake/);
  const other = { ...stake, executor: `0x${'22'.repeat(20)}` };
  expect(unregistered({ ...paid, stake: other })).toMatch(/executor/);
});

it('CM35 each rule keeps a node out by itself', () => {
  const good = candidate('a.os');
  expect(why(good)).toBeUndefined();
  expect(why(good, { excluded: ['a.os'] as never })).toMatch(/failed or refused/);
  expect(why({ ...good, state: { ...good.state, paired: false } })).toMatch(/paired/);
  expect(why(good, { now: 180_001 })).toMatch(/heard of/);
  expect(why(good, { now: 180_000 })).toBeUndefined();
  expect(why({ ...good, reputation: 199 })).toMatch(/reputation/);
  expect(why({ ...good, reputation: 200 })).toBeUndefined();
  expect(why({ ...good, free: 0 })).toMatch(/slots/);
  expect(why(good, { spec: spec({ kind: 'command', entry: { cmd: ['true'] } }) })).toMatch(
    /runs no command/,
  );
  expect(why(good, { spec: spec({ require: { minIsolation: 'container' } }) })).toMatch(/isolate/);
  expect(why(good, { spec: spec({ require: { minIsolation: 'wasm' } }) })).toBeUndefined();
  expect(why(good, { spec: spec({ require: { arch: 'aarch64' } }) })).toMatch(/no aarch64/);
  expect(why(good, { spec: spec({ limits: { cpuMilli: 9_000 } }) })).toMatch(/cores/);
  expect(why(good, { spec: spec({ limits: { memMiB: 20_000 } }) })).toMatch(/memory/);
  expect(why(good, { spec: spec({ limits: { tmpMiB: 200_000 } }) })).toMatch(/disk/);
});

it('CM35 a GPU must be of the vendor, class, memory and capability that are asked for', () => {
  const needing = (need: object) => ({ spec: spec({ require: { gpu: need } }) });
  expect(why(candidate('a.os'), needing({ count: 1 }))).toMatch(/GPU/);
  expect(why(withGpu(), needing({ count: 1 }))).toBeUndefined();
  expect(why(withGpu(), needing({ count: 2 }))).toMatch(/GPU/);
  expect(why(withGpu(), needing({ vendor: 'amd' }))).toMatch(/GPU/);
  expect(why(withGpu(), needing({ classes: ['h100-80'] }))).toMatch(/GPU/);
  expect(why(withGpu(), needing({ minVramMiB: 24_565 }))).toMatch(/GPU/);
  expect(
    why(withGpu(), needing({ minVramMiB: 24_564, minComputeCap: '8.9', vendor: 'nvidia' })),
  ).toBeUndefined();
  expect(why(withGpu(), needing({ minComputeCap: '9.0' }))).toMatch(/GPU/);
  expect(why(withGpu({ computeCap: '10.0' }), needing({ minComputeCap: '9.0' }))).toBeUndefined();
  expect(why(withGpu(), { spec: spec({ limits: { vramMiB: 30_000 } }) })).toMatch(/GPU/);
  expect(why(withGpu({ slots: 0 }), needing({ count: 1 }))).toMatch(/take no jobs now/);
  expect(why(withGpu({ slots: 0 }), { spec: spec() })).toBeUndefined();
});

it('CM35 F38 a paid job needs stake, tier and exposure; a free one none', () => {
  const stake = { on: true, slotsFree: 1, reservation: 100n, executor: EXECUTOR };
  const paid = { amount: 100n as never };
  const at = (more: Partial<Candidate>): Candidate => ({
    ...candidate('a.os'),
    price: 100n,
    stake,
    ...more,
  });
  expect(why(at({}), paid)).toBeUndefined();
  expect(why({ ...candidate('a.os'), price: 100n }, paid)).toMatch(/not registered/);
  expect(why(at({ price: 101n }), paid)).toMatch(/more than the job pays/);
  expect(why(at({ stake: { ...stake, on: false } }), paid)).toMatch(/takes no jobs/);
  expect(why(at({ stake: { ...stake, slotsFree: 0 } }), paid)).toMatch(/stake allows/);
  expect(why(at({ stake: { ...stake, reservation: 99n } }), paid)).toMatch(/at stake/);
  expect(why(at({ stake: { ...stake, executor: `0x${'22'.repeat(20)}` } }), paid)).toMatch(
    /executor/,
  );
  expect(why(at({ stake: { ...stake, on: false } }))).toBeUndefined();
});

it('CM35 scores add up to 10000 at most', () => {
  const perfect = candidate('a.os', { reputation: 1_000, local: true });
  expect(scoreBps(perfect, 0n, undefined)).toBe(9_500n);
  const image = `x@sha256:${'a'.repeat(64)}`;
  const cached = {
    ...perfect,
    state: { ...perfect.state, cachedImages: [`sha256:${'a'.repeat(64)}`] },
  };
  expect(scoreBps(cached, 0n, image)).toBe(10_000n);
  expect(scoreBps(candidate('a.os', { price: 200n, free: 1 }), 100n, undefined)).toBe(
    2_000n + 1_500n + 750n,
  );
});

it('CM35 T17 the draw is the same for everybody, and by weight', () => {
  expect(drawIndex([1n], JOB, 0)).toBe(0);
  expect(drawIndex([], JOB, 0)).toBe(0);
  expect(drawIndex([5_000n, 3_000n, 2_000n], JOB, 0)).toBe(
    drawIndex([5_000n, 3_000n, 2_000n], JOB.toUpperCase().replace('0X', '0x'), 0),
  );
  const counts = [0, 0, 0];
  for (let attempt = 0; attempt < 3_000; attempt += 1) {
    const at = drawIndex([5_000n, 3_000n, 2_000n], JOB, attempt);
    counts[at] = (counts[at] ?? 0) + 1;
  }
  expect(counts[0]).toBeGreaterThan(1_350);
  expect(counts[0]).toBeLessThan(1_650);
  expect(counts[2]).toBeGreaterThan(480);
  expect(counts[2]).toBeLessThan(720);
});

it('CM35 one of the best three is drawn, the others follow by score, and nobody who may not have it', () => {
  const all = [
    candidate('worst.os', { reputation: 210 }),
    candidate('b.os', { reputation: 600 }),
    candidate('c.os', { reputation: 700 }),
    candidate('a.os', { reputation: 800 }),
    candidate('not.os', { reputation: 1_000, free: 0 }),
  ];
  const firsts = new Set<string>();
  for (let attempt = 0; attempt < 60; attempt += 1) {
    const order = ranked(all, wanted, { jobId: JOB, attempt }).map(({ node }) => node);
    expect(order).toHaveLength(4);
    expect(order).not.toContain('not.os');
    expect(order.at(-1)).toBe('worst.os');
    firsts.add(order[0]!);
    // The order in which they are known makes no difference.
    const turned = ranked(all.toReversed(), wanted, { jobId: JOB, attempt });
    expect(turned.map(({ node }) => node)).toEqual(order);
  }
  expect([...firsts].toSorted()).toEqual(['a.os', 'b.os', 'c.os']);
});

it('CM35 examples run on a small machine without a GPU, but for the one that is about GPUs', async () => {
  const folder = new URL('../../../extensions/gpu/examples/', import.meta.url);
  const base = candidate('small.os');
  const device = base.state.device!;
  const host = { ...device.host, cpuThreads: 2, memMiB: 2_048, diskFreeMiB: 4_096 };
  const runners = { builtin: true, wasm: true, command: true };
  const isolation = ['process', 'namespace', 'wasm'] as const;
  const small = { ...base.state, device: { ...device, host, runners, isolation } };
  const why: Record<string, string | undefined> = {};
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    const text = await readFile(new URL(`${entry.name}/spec.json`, folder), 'utf8');
    const parsed = parseJobSpec(text);
    if (!parsed.ok) throw new Error(`${entry.name}: ${parsed.error.message}`);
    why[entry.name] = unsuited(small, parsed.value);
  }
  const { 'torch-training': torch, ...others } = why;
  expect(torch).toBeTypeOf('string');
  expect(others).toMatchObject({ 'image-filter': undefined, 'train-network': undefined });
  expect(Object.values(others).filter((one) => one !== undefined)).toEqual([]);
});
