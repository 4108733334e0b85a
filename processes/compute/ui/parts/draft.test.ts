import { expect, test } from 'vitest';
import { type Draft, EMPTY, FUNCTIONS, specOf, textOf, wordsOf } from './draft.ts';
import { ago, bytes, duration, hyper } from './format.ts';
import { routeOf } from './route.ts';

const made = (part: Partial<Draft>): unknown => {
  const read = specOf({ ...EMPTY, ...part });
  return read.ok ? read.spec : read.problem;
};

test('what is typed makes a spec that is complete', () => {
  expect(
    made({
      fn: 'echo',
      args: '{"text":"a"}',
      timeoutS: '9',
      gpus: '2',
      vramMiB: '100',
      label: ' x ',
    }),
  ).toMatchObject({
    kind: 'builtin',
    entry: { fn: 'echo', args: { text: 'a' } },
    limits: { timeoutS: 9, memMiB: 1_024 },
    require: { gpu: { count: 2, minVramMiB: 100 } },
    label: 'x',
  });
  expect(made({ replicas: '3' })).toMatchObject({ verify: { mode: 'exact', replicas: 3 } });
  expect(made({ replicas: '3', verify: 'image' })).toMatchObject({
    verify: { mode: 'image', replicas: 3 },
  });
  const image = `example.org/a@sha256:${'ab'.repeat(32)}`;
  expect(made({ kind: 'container', image, command: `python -c 'print("a b")'` })).toMatchObject({
    image,
    entry: { cmd: ['python', '-c', 'print("a b")'] },
  });
  for (const [fn, args] of FUNCTIONS) expect(made({ fn, args })).toMatchObject({ kind: 'builtin' });
});

test('CM1 what is wrong is said in a sentence', () => {
  expect(made({ args: '[' })).toBe('the arguments are no JSON object');
  expect(made({ timeoutS: 'x' })).toBe('the time limit is a whole number');
  expect(made({ replicas: 'x' })).toBe('the number of runs is a whole number');
  expect(made({ replicas: '8' })).toMatch(/^verify\.replicas/);
  expect(made({ timeoutS: '0' })).toMatch(/^limits\.timeoutS/);
  expect(made({ kind: 'wasm' })).toBe('choose a WebAssembly component');
  expect(made({ kind: 'container', image: 'debian' })).toMatch(/digest/);
  expect(made({ kind: 'spec', text: '{"v":1.5}' })).toMatch(/no JSON that can be hashed/);
});

test('a form becomes a spec that makes the same job', () => {
  const draft = { ...EMPTY, fn: 'echo', args: '{"text":"a"}' };
  expect(made({ kind: 'spec', text: textOf(draft) })).toEqual(made(draft));
});

test('words of a command', () => {
  expect(wordsOf(` a  "b c" 'd "e"' $HOME;f `)).toEqual(['a', 'b c', 'd "e"', '$HOME;f']);
});

test('numbers and addresses as people read them', () => {
  expect([hyper('1'), hyper('1234567000000'), hyper('1999999', 2)]).toEqual([
    '0.000001',
    '1 234 567',
    '1.99',
  ]);
  expect([bytes(0), bytes(1_536), bytes(20_000_000)]).toEqual(['0 B', '1.5 KB', '19 MB']);
  expect([duration(12), duration(65_000), duration(7_260_000)]).toEqual([
    '12 ms',
    '1 min 5 s',
    '2 h 1 min',
  ]);
  expect([ago(0, 5_000), ago(0, 120_000)]).toEqual(['just now', '2 min ago']);
  const jobId = `0x${'ab'.repeat(32)}`;
  expect(routeOf(`#jobs/${jobId}`)).toEqual({ place: 'jobs', jobId });
  expect(routeOf('#jobs/../x')).toEqual({ place: 'jobs', jobId: undefined });
  expect(routeOf('#elsewhere').place).toBe('jobs');
});
