/** The locks that keep requests in order: whatever overlaps, who came first is first, and who is alone is alone. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { PathOrder } from '../vfs/path-order.ts';
import { Gate } from './gate.ts';
import { KeyedLock } from './keyed-lock.ts';

interface Span {
  readonly start: number;
  readonly end: number;
}

/** Runs works that last some microtasks, each begun some microtasks after the one before. @returns when each started and ended */
async function spans(
  works: readonly { readonly lasts: number; readonly gap: number; readonly fails: boolean }[],
  run: (index: number, work: () => Promise<void>) => Promise<void>,
): Promise<Span[]> {
  let now = 0;
  const found: Span[] = [];
  const pass = async (turns: number): Promise<void> => {
    for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
  };
  const ended: Promise<void>[] = [];
  for (const [index, { lasts, gap, fails }] of works.entries()) {
    ended.push(
      run(index, async () => {
        const start = (now += 1);
        await pass(lasts);
        found[index] = { start, end: (now += 1) };
        if (fails) throw new Error('of the work');
      }).catch(() => undefined),
    );
    await pass(gap);
  }
  await Promise.all(ended);
  return found;
}

const timing = { lasts: fc.nat(6), gap: fc.nat(4), fails: fc.boolean() };

/** Of every two works that exclude each other, the one asked for first ends before the other starts. */
function inOrder(
  found: readonly Span[],
  excludes: (first: number, second: number) => boolean,
): void {
  for (let second = 0; second < found.length; second += 1)
    for (let first = 0; first < second; first += 1)
      if (excludes(first, second))
        expect(found[first]!.end, `${first} before ${second}`).toBeLessThan(found[second]!.start);
}

test('F19 M11 a gate: an exclusive use is alone, and nobody overtakes it', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ ...timing, alone: fc.boolean() }), { maxLength: 12 }),
      async (works) => {
        const gate = new Gate();
        const found = await spans(works, (index, work) =>
          works[index]!.alone ? gate.exclusive(work) : gate.shared(work),
        );
        expect(found).toHaveLength(works.length);
        inOrder(found, (first, second) => works[first]!.alone || works[second]!.alone);
        // Who may share starts in order, too.
        for (let index = 1; index < found.length; index += 1)
          expect(found[index - 1]!.start).toBeLessThan(found[index]!.start);
        expect(gate.idle).toBe(true);
      },
    ),
    { numRuns: 500 },
  );
});

test('M11 a keyed lock: equal keys are used one after another, in order', async () => {
  const keys = fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.record({ ...timing, keys }), { maxLength: 12 }), async (works) => {
      const lock = new KeyedLock();
      const found = await spans(works, (index, work) => lock.run(works[index]!.keys, work));
      expect(found).toHaveLength(works.length);
      for (const [second, { start }] of found.entries())
        for (const [first, { end }] of found.entries()) {
          if (first >= second) continue;
          if (!works[first]!.keys.some((key) => works[second]!.keys.includes(key))) continue;
          // Of several keys the order is that of each; alone they are in any case.
          expect(end < start || found[second]!.end < found[first]!.start).toBe(true);
        }
      const single = (index: number): boolean => works[index]!.keys.length === 1;
      inOrder(
        found,
        (first, second) =>
          works.every((_, index) => single(index)) &&
          works[first]!.keys[0] === works[second]!.keys[0],
      );
    }),
    { numRuns: 500 },
  );
});

test('M11 an order of paths: a folder and what is below it wait for each other, other paths overlap', async () => {
  const path = fc.constantFrom('d', 'd/a', 'd/a/x', 'd/b', 'da', '');
  await fc.assert(
    fc.asyncProperty(fc.array(fc.record({ ...timing, path }), { maxLength: 12 }), async (works) => {
      const order = new PathOrder();
      const found = await spans(works, (index, work) =>
        order.run('p:q:r', [works[index]!.path], work),
      );
      const holds = (a: string, b: string): boolean => a === '' || a === b || b.startsWith(`${a}/`);
      inOrder(found, (first, second) => {
        const [a, b] = [works[first]!.path, works[second]!.path];
        return holds(a, b) || holds(b, a);
      });
    }),
    { numRuns: 500 },
  );
});
