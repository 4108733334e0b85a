import { expect, it } from 'vitest';
import { afterFailure, backoffMs, type Trial } from './retry.ts';

const trial: Trial = {
  attempt: 0,
  maxAttempts: 3,
  failures: [],
  deadline: undefined,
  attemptMs: 1_000,
};

it('CM14 attempts are 5, 10 and 20 seconds apart, a fifth more or less', () => {
  expect([1, 2, 3].map((attempt) => backoffMs(attempt, 0.5))).toEqual([5_000, 10_000, 20_000]);
  expect(backoffMs(1, 0)).toBe(4_000);
  expect(backoffMs(1, 0.999_999)).toBe(6_000);
  expect(backoffMs(50, 0.5)).toBe(300_000);
});

it('the fault decides whether there is another attempt', () => {
  expect(afterFailure('NODE_LOST', trial, 0)).toBe('retry');
  expect(afterFailure('REJECTED', trial, 0)).toBe('retry');
  expect(afterFailure('EXIT_NONZERO', trial, 0)).toBe('final');
  expect(afterFailure('INPUT_HASH_MISMATCH', trial, 0)).toBe('final');
  expect(afterFailure('NODE_LOST', { ...trial, attempt: 1 }, 0)).toBe('retry');
  expect(afterFailure('NODE_LOST', { ...trial, attempt: 2 }, 0)).toBe('exhausted');
  expect(afterFailure('NODE_LOST', { ...trial, deadline: 1_000 }, 0)).toBe('retry');
  expect(afterFailure('NODE_LOST', { ...trial, deadline: 999 }, 0)).toBe('too-late');
});

it('three nodes that see the same exit code are believed', () => {
  const failure = (node: string, exitCode: number) => ({
    node,
    exitCode,
    code: 'EXIT_NONZERO' as const,
  });
  const failures = ['a.os', 'b.os', 'c.os'].map((node) => failure(node, 3));
  const many = { ...trial, maxAttempts: 10, attempt: 3 };
  expect(afterFailure('NODE_LOST', { ...many, failures }, 0)).toBe('same-symptom');
  expect(
    afterFailure('NODE_LOST', { ...many, failures: [...failures.slice(1), failure('a.os', 4)] }, 0),
  ).toBe('retry');
  expect(
    afterFailure(
      'NODE_LOST',
      { ...many, failures: ['a.os', 'a.os', 'a.os'].map((node) => failure(node, 3)) },
      0,
    ),
  ).toBe('retry');
});
