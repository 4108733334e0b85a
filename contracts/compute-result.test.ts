import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { readRunEnd, runEnd } from './compute-result.ts';

const word = (digits: string): string => `0x${digits.repeat(32)}`;
const END = runEnd.stringify({
  receipt: {
    jobId: word('01'),
    nodeId: word('02'),
    attempt: 1,
    specHash: word('03'),
    inputsRoot: word('04'),
    outputsRoot: word('05'),
    logsRoot: word('06'),
    stdoutHash: word('07'),
    runtimeHash: word('08'),
    usageHash: word('09'),
    exitCode: -1,
    status: 1,
    startedAt: 5n,
    finishedAt: 6n,
    claimed: 2n ** 255n,
  },
  signature: `0x${'0a'.repeat(65)}`,
  receiptHash: word('0b'),
  logs: { count: 2, truncated: false },
  usage: {
    ...{ wallMs: 1, cpuMs: 2, gpuMs: 3, peakMemMiB: 4, peakVramMiB: 5 },
    ...{ bytesIn: 6, bytesOut: 2 ** 53 - 1, tokensIn: 8, tokensOut: 9 },
  },
  runtime: {
    ...{ arch: 'x86_64', driver: '', gpu: 'a "b" \\ c', image: '', module: 'm' },
    ...{ runner: 'wasm', runnerVersion: '1' },
  },
});
const PLAIN = END.replace(String.raw`a \"b\" \\ c`, 'é');

test('CM19 a result is read as its codec reads it, by whichever way', () => {
  for (const text of [END, PLAIN, PLAIN.replace('{', '{"later":[1],')]) {
    const read = runEnd.decode(text);
    if (!read.ok) throw new Error(read.error.path);
    expect(readRunEnd(text)).toEqual(read.value);
  }
});

test('CM19 what its codec does not take is not taken', () => {
  const value = JSON.parse(PLAIN) as Record<string, Record<string, unknown>>;
  const places = Object.entries(value).flatMap(
    ([outer, inner]): (readonly [string, string | undefined])[] =>
      typeof inner === 'object'
        ? Object.keys(inner).map((name) => [outer, name])
        : [[outer, undefined]],
  );
  const odd = fc.oneof(
    fc.constantFrom<unknown>(null, true, -1, 0, 1.5, 2 ** 32, 2 ** 53, '', '0', '01', '-1', 'x'),
    fc.constantFrom<unknown>(word('g1'), word('0A'), `0x${'0a'.repeat(20)}`, [], {}, undefined),
    fc.integer(),
    fc.string(),
  );
  let taken = 0;
  fc.assert(
    fc.property(fc.constantFrom(...places), odd, ([outer, name], replaced) => {
      const changed =
        name === undefined
          ? { ...value, [outer]: replaced }
          : { ...value, [outer]: { ...value[outer], [name]: replaced } };
      const text = JSON.stringify(changed);
      const read = runEnd.decode(text);
      const ours = readRunEnd(text);
      if (!read.ok) expect(ours).toBeUndefined();
      else expect(ours).toEqual(read.value);
      taken += read.ok ? 1 : 0;
    }),
    { numRuns: 1_000 },
  );
  expect(taken).toBeGreaterThan(10);
});
