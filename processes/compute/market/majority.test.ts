/** What several runs of one job say together (compute-market.md §4.6). */
import { expect, it } from 'vitest';
import { decide, majorityOf } from './majority.ts';

/** Runs with these answers, and so many that may still come. */
function said(of: number, answers: string, open = 0): string {
  const numbers = Array.from(answers, (_, index) => index);
  const decision = decide(of, { answers: numbers, open }, (a, b) => answers[a] === answers[b]);
  return decision.kind === 'agreed'
    ? numbers.map((index) => (decision.winners.has(index) ? answers[index] : '-')).join('')
    : decision.kind;
}

it('CM26 more than half of all runs decide, those that are missing included', () => {
  expect([1, 2, 3, 4, 5, 6, 7].map(majorityOf)).toEqual([1, 2, 2, 3, 3, 4, 4]);
  expect(said(3, 'aa', 1)).toBe('aa');
  expect(said(3, 'aab')).toBe('aa-');
  expect(said(3, 'baa')).toBe('-aa');
  expect(said(5, 'abab', 1)).toBe('open');
  expect(said(5, 'ababb')).toBe('-b-bb');
  expect(said(4, 'aabb')).toBe('none');
  expect(said(4, 'aab')).toBe('none');
  expect(said(4, 'aab', 1)).toBe('open');
});

it('CM26 nothing counts once no majority can come any more, and not before', () => {
  expect(said(2, 'ab')).toBe('none');
  expect(said(2, 'a', 1)).toBe('open');
  expect(said(2, 'a')).toBe('none');
  expect(said(3, 'abc')).toBe('none');
  expect(said(3, 'ab', 1)).toBe('open');
  expect(said(3, 'a', 1)).toBe('open');
  expect(said(5, 'abc', 1)).toBe('none');
  expect(said(3, '', 3)).toBe('open');
  expect(said(3, '', 1)).toBe('none');
});

it('CM26 what is close to one another need not be so all round: whoever most are close to decides', () => {
  const numbers = [1, 2, 3, 9];
  const close = (a: number, b: number): boolean => Math.abs(numbers[a]! - numbers[b]!) <= 1;
  const decision = decide(4, { answers: [0, 1, 2, 3], open: 0 }, close);
  expect(decision).toEqual({ kind: 'agreed', winners: new Set([0, 1, 2]) });
});
