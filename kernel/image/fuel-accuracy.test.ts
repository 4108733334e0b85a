/** Generated programs: what is charged against what an independent count says was executed, and results against the original's. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { assemble, callExport, Metered, plain } from './fuel-harness.ts';

/** A statement over locals 0 and 1; `jump` goes to an enclosing label (a block's end, a loop's next round), chosen modulo how many. */
type Statement =
  | { kind: 'add'; local: number; value: number }
  | { kind: 'emit'; local: number }
  | { kind: 'if'; local: number; bit: number; then: Statement[]; otherwise: Statement[] }
  | { kind: 'block'; body: Statement[] }
  | { kind: 'loop'; rounds: number; body: Statement[] }
  | { kind: 'switch'; local: number; cases: Statement[][] }
  | { kind: 'jump'; to: number; when: { local: number; bit: number } | undefined; value: boolean }
  | { kind: 'call'; callee: number; indirect: boolean }
  | { kind: 'fill'; length: number }
  | { kind: 'return' };

const FUNCTIONS = 4;
/** Programs that run longer are not tried. */
const EXECUTED_MAX = 20_000;
const local = fc.nat(1);
const bit = fc.constantFrom(1, 2, 4, 8);
const { statement } = fc.letrec<{ statement: Statement; list: Statement[] }>((tie) => ({
  list: fc.array(tie('statement'), { maxLength: 6, size: 'max', depthIdentifier: 'code' }),
  statement: fc.oneof(
    { depthSize: 'large', maxDepth: 5, depthIdentifier: 'code' },
    fc.record({ kind: fc.constant('add' as const), local, value: fc.nat(9) }),
    fc.record({ kind: fc.constant('emit' as const), local }),
    fc.record({
      kind: fc.constant('jump' as const),
      to: fc.nat(5),
      when: fc.option(fc.record({ local, bit }), { nil: undefined, freq: 6 }),
      value: fc.boolean(),
    }),
    fc.record({
      kind: fc.constant('call' as const),
      callee: fc.nat(FUNCTIONS),
      indirect: fc.boolean(),
    }),
    fc.record({ kind: fc.constant('fill' as const), length: fc.nat(40) }),
    fc.constant({ kind: 'return' as const }),
    fc.record({
      kind: fc.constant('if' as const),
      local,
      bit,
      then: tie('list'),
      otherwise: tie('list'),
    }),
    fc.record({ kind: fc.constant('block' as const), body: tie('list') }),
    fc.record({
      kind: fc.constant('loop' as const),
      rounds: fc.integer({ min: 1, max: 9 }),
      body: tie('list'),
    }),
    fc.record({
      kind: fc.constant('switch' as const),
      local,
      cases: fc.array(tie('list'), { minLength: 1, maxLength: 4 }),
    }),
  ),
}));
const program = fc.array(fc.array(statement, { maxLength: 9, size: 'max' }), {
  minLength: FUNCTIONS,
  maxLength: FUNCTIONS,
});

/** The program's text. Function i calls only later ones, so it ends; the last is tiny and reached by direct calls only. */
function toText(functions: readonly Statement[][]): string {
  const bodies = functions.map((body, index) => {
    let loops = 0;
    const label = (labels: readonly string[], to: number): string =>
      labels[to % labels.length] ?? '';
    let blocks = 0;
    const write = (list: readonly Statement[], labels: readonly string[]): string =>
      list.map((statement) => writeOne(statement, labels)).join('\n');
    const test = (on: { local: number; bit: number }): string =>
      `(i32.and (local.get ${on.local}) (i32.const ${on.bit}))`;
    const writeOne = (s: Statement, labels: readonly string[]): string => {
      switch (s.kind) {
        case 'add':
          return `(local.set ${s.local} (i32.add (local.get ${s.local}) (i32.const ${s.value})))`;
        case 'emit':
          return `(global.set $out (i32.add (i32.mul (global.get $out) (i32.const 31)) (local.get ${s.local})))`;
        case 'if':
          return `(if ${test(s)} (then ${write(s.then, labels)}) (else ${write(s.otherwise, labels)}))`;
        case 'block': {
          const name = `$b${blocks++}`;
          return `(block ${name} ${write(s.body, [...labels, name])})`;
        }
        case 'loop': {
          const name = `$l${loops}`;
          const counter = 2 + loops++;
          const next = `(br_if ${name} (i32.gt_s (local.tee ${counter} (i32.sub (local.get ${counter}) (i32.const 1))) (i32.const 0)))`;
          // A jump to a loop's label goes round again, so it must count too.
          const text = write(s.body, [...labels, `${name}#${counter}`]);
          return `(local.set ${counter} (i32.const ${s.rounds})) (loop ${name} ${text} ${next})`;
        }
        case 'switch': {
          const names = s.cases.map(() => `$b${blocks++}`);
          const end = `$b${blocks++}`;
          let text = `(br_table ${names.join(' ')} ${end} (i32.and (local.get ${s.local}) (i32.const 3)))`;
          s.cases.forEach((body, n) => {
            text = `(block ${names[n]} ${text}) ${write(body, [...labels, end])} (br ${end})`;
          });
          // The first case is innermost; each block's end is where its case starts.
          return `(block ${end} ${text})`;
        }
        case 'jump': {
          if (labels.length === 0) return '';
          const [name, counter] = label(labels, s.to).split('#');
          if (counter !== undefined) {
            return `(br_if ${name} (i32.gt_s (local.tee ${counter} (i32.sub (local.get ${counter}) (i32.const 1))) (i32.const 0)))`;
          }
          return s.when ? `(br_if ${name} ${test(s.when)})` : `(br ${name})`;
        }
        case 'call': {
          const callee = index + 1 + s.callee;
          if (callee > FUNCTIONS) return '';
          return s.indirect && callee < FUNCTIONS
            ? `(call_indirect (type $none) (i32.const ${callee}))`
            : `(call $f${callee})`;
        }
        case 'fill':
          return `(memory.fill (i32.const 8) (i32.const 1) (i32.const ${s.length}))`;
        case 'return':
          return '(return)';
      }
    };
    const text = write(body, []);
    const locals = ['i32', 'i32', ...Array<string>(loops).fill('i32')].join(' ');
    return `(func $f${index} (export "f${index}") (local ${locals})
      (local.set 0 (i32.add (global.get $out) (i32.const ${index}))) ${text})`;
  });
  return `(module (type $none (func)) (memory 1) (global $out (export "out") (mut i32) (i32.const 0))
    (table funcref (elem $f0 $f1 $f2 $f3)) ${bodies.join('\n')}
    (func $f${FUNCTIONS} (global.set $out (i32.add (global.get $out) (i32.const 7)))))`;
}

/** Where control goes after a statement: on, to a label (by depth from outside), or out of the function. */
type Flow = number | 'on' | 'return';

/** Runs the program by its meaning and counts instructions: all but block, loop, else, end. */
function interpret(functions: readonly Statement[][]): { out: number; executed: number } {
  let out = 0;
  let executed = 0;
  const run = (index: number): void => {
    if (executed > EXECUTED_MAX) throw new RangeError('runs too long');
    if (index === FUNCTIONS) {
      out = (out + 7) | 0;
      executed += 4;
      return;
    }
    const locals = [(out + index) | 0, 0];
    executed += 4;
    const at = (n: number): number => locals[n] ?? 0;
    const runList = (
      list: readonly Statement[],
      labels: readonly ({ left: number } | undefined)[],
    ): Flow => {
      for (const statement of list) {
        const flow = runOne(statement, labels);
        if (flow !== 'on') return flow;
      }
      return 'on';
    };
    const runOne = (s: Statement, labels: readonly ({ left: number } | undefined)[]): Flow => {
      const depth = labels.length;
      switch (s.kind) {
        case 'add':
          executed += 4;
          locals[s.local] = (at(s.local) + s.value) | 0;
          return 'on';
        case 'emit':
          executed += 6;
          out = (Math.imul(out, 31) + at(s.local)) | 0;
          return 'on';
        case 'if':
          executed += 4;
          return runList((at(s.local) & s.bit) !== 0 ? s.then : s.otherwise, labels);
        case 'block': {
          const flow = runList(s.body, [...labels, undefined]);
          return flow === depth ? 'on' : flow;
        }
        case 'loop': {
          const counter = { left: s.rounds };
          executed += 2;
          for (;;) {
            if (executed > EXECUTED_MAX) throw new RangeError('runs too long');
            const flow = runList(s.body, [...labels, counter]);
            if (flow === depth) continue;
            if (flow !== 'on') return flow;
            executed += 7;
            if (--counter.left <= 0) return 'on';
          }
        }
        case 'switch': {
          executed += 4;
          const body = s.cases[at(s.local) & 3];
          if (!body) return 'on';
          const flow = runList(body, [...labels, undefined]);
          if (flow === 'on') executed += 1;
          return flow === depth ? 'on' : flow;
        }
        case 'jump': {
          if (depth === 0) return 'on';
          const to = s.to % depth;
          const counter = labels[to];
          if (counter) {
            executed += 7;
            return --counter.left <= 0 ? 'on' : to;
          }
          if (!s.when) {
            executed += 1;
            return to;
          }
          executed += 4;
          return (at(s.when.local) & s.when.bit) !== 0 ? to : 'on';
        }
        case 'call':
          if (index + 1 + s.callee > FUNCTIONS) return 'on';
          executed += s.indirect && index + 1 + s.callee < FUNCTIONS ? 2 : 1;
          run(index + 1 + s.callee);
          return 'on';
        case 'fill':
          executed += 4 + (s.length >> 4);
          return 'on';
        case 'return':
          executed += 1;
          return 'return';
      }
    };
    runList(body(index), []);
  };
  const body = (index: number): Statement[] => functions[index] ?? [];
  run(0);
  return { out, executed };
}

function tryInterpret(functions: readonly Statement[][]): ReturnType<typeof interpret> | undefined {
  try {
    return interpret(functions);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

test('F4 every executed instruction is paid for, and not much more, in generated programs', async () => {
  let largest = 0;
  await fc.assert(
    fc.asyncProperty(program, async (functions) => {
      const module = await assemble(toText(functions));
      const expected = tryInterpret(functions);
      fc.pre(expected !== undefined);
      const original = plain(module);
      callExport(original, 'f0');
      const metered = new Metered(module);
      metered.call('f0');
      expect(original['out']).toMatchObject({ value: expected.out });
      expect(metered.exports['out']).toMatchObject({ value: expected.out });
      expect(metered.charged).toBeGreaterThanOrEqual(expected.executed);
      expect(metered.charged).toBeLessThanOrEqual(6 * expected.executed + 64);
      largest = Math.max(largest, expected.executed);

      // The same sum however often it is interrupted: nothing charged is lost between local and global.
      const interrupted = new Metered(module, { quantum: 7 });
      interrupted.call('f0');
      expect(interrupted.exports['out']).toMatchObject({ value: expected.out });
      expect(interrupted.charged).toBe(metered.charged);
      if (metered.charged > 500) expect(interrupted.yields).toBeGreaterThan(0);
    }),
    { numRuns: 1500 },
  );
  expect(largest).toBeGreaterThan(500);
});
