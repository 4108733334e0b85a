import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { validateComponent } from '../../kernel/image/validate.ts';
import { missing } from '../../test/support/tools.ts';
import { bootSolo, type Exchange, type SoloNode } from '../solo-node.ts';
import { BuildError } from './build-error.ts';
import { bundleScript } from './bundle-script.ts';
import { buildComponent, languageOf } from './component.ts';
import { repairExports } from './quickjs-exports.ts';

const guest = (name: string): string =>
  fileURLToPath(new URL(`../../test/guests/${name}`, import.meta.url));
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (exchange: Exchange): string => {
  if (exchange.kind !== 'response') throw new Error(exchange.kind);
  return new TextDecoder().decode(exchange.body);
};
const WAIT = { timeoutS: 20 };

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kit-test-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function source(name: string, content: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

async function withNode<T>(component: Uint8Array, use: (node: SoloNode) => Promise<T>): Promise<T> {
  await using node = await bootSolo(component);
  return await use(node); // Not without await: the node would be gone first.
}

test.each([
  ['echo.ts', 'hyperware:process@1', 2_100_000],
  ['echo.as.ts', 'hyperware:process@1', 6_000],
  ['echo.wat', 'hyperware:process@1', 3_000],
  ['echo-kinode-1.0.0.wat', 'kinode:process@1.0.0', 3_000],
  ['echo-kinode-0.8.0.wat', 'kinode:process@0.8.0', 3_000],
  ['echo-kinode-0.7.0.wat', 'kinode:process@0.7.0', 3_000],
])(
  'the guest %s builds, is of its generation, and echoes body and blob',
  async (name, generation, sizeMax) => {
    const component = await buildComponent(guest(name));
    expect(validateComponent(component).standard?.generation).toContain(generation);
    expect(component.length).toBeLessThan(sizeMax);
    await withNode(component, async (node) => {
      expect(text(await node.ask(bytes('first'), WAIT))).toBe('first');
      const blob = { mime: 'a/b', bytes: new Uint8Array(200_000).fill(7) };
      const second = await node.ask(new Uint8Array(100_000), { ...WAIT, blob });
      expect(second).toMatchObject({ kind: 'response', blob });
      expect(text(second).length).toBe(100_000);
      expect(text(await node.ask(bytes('third'), WAIT))).toBe('third');
    });
  },
);

test('a C guest builds and echoes', async (context) => {
  const built = await buildComponent(guest('echo.c')).catch((error: unknown) => error);
  if (built instanceof BuildError && built.code === 'toolchain-missing')
    missing(context, 'clang', 'there is no clang for wasm32');
  if (!(built instanceof Uint8Array)) throw built;
  expect(built.length).toBeLessThan(10_000);
  expect(validateComponent(built).imports.map((item) => item.provider)).toEqual(['standard']);
  await withNode(built, async (node) => {
    expect(text(await node.ask(bytes('from C'), WAIT))).toBe('from C');
  });
});

test('without a C toolchain the error names what to install', async () => {
  const { PATH } = process.env;
  process.env['PATH'] = folder;
  try {
    const built = await buildComponent(guest('echo.c')).catch((error: unknown) => error);
    expect(built).toMatchObject({ code: 'toolchain-missing' });
    expect(String(built)).toContain('clang lld wasi-libc libclang-rt-14-dev-wasm32');
  } finally {
    process.env['PATH'] = PATH;
  }
});

test('a library guest: async handlers, timers, state, refusals, wide integers, in a real component', async () => {
  const component = await buildComponent(guest('lib-echo.ts'));
  const randoms = await Promise.all(
    [1, 2].map(() =>
      withNode(component, async (node) => {
        const before = Date.now();
        const now = (JSON.parse(text(await node.ask(bytes('"Now"'), WAIT))) as { Now: number }).Now;
        expect(now).toBeGreaterThanOrEqual(before);
        expect(now).toBeLessThanOrEqual(Date.now());
        return text(await node.ask(bytes('"Random"'), WAIT));
      }),
    ),
  );
  expect(randoms[0]).not.toBe(randoms[1]); // A seed in the snapshot would make every process draw the same.
  await withNode(component, async (node) => {
    expect(text(await node.ask(bytes('{"Text":"añ漢字🙂"}'), WAIT))).toBe('{"Text":"añ漢字🙂"}');
    expect(text(await node.ask(bytes('"Count"'), WAIT))).toBe('{"Count":1}');
    const wide = '{"Big":18446744073709551615}';
    expect(text(await node.ask(bytes(wide), WAIT))).toBe(wide);
    expect(text(await node.ask(bytes('"Refuse"'), WAIT))).toBe(
      '{"Err":{"kind":"Never","message":"not today"}}',
    );
    expect(text(await node.ask(bytes('"Throw"'), WAIT))).toContain('"kind":"Internal"');
    // The first sleeps longer, so that it begins first and ends last: handlers interleave.
    const [slow, quick] = await Promise.all(
      [200, 20].map((ms) => node.ask(bytes(`{"Slow":${ms}}`), WAIT)),
    );
    expect([slow, quick].map((end) => end && text(end))).toEqual([
      '{"Slow":"1 4"}',
      '{"Slow":"2 3"}',
    ]);
    expect(text(await node.ask(bytes('"Count"'), WAIT))).toBe('{"Count":2}');
  });
});

test('async functions are lowered to our own helper, in both engines', async () => {
  const file = await source('lowered.ts', 'export const init = async () => { await null; };');
  for (const engine of ['quickjs', 'full'] as const) {
    const { code } = await bundleScript(file, engine, 'init');
    expect(code).toContain('Promise.async(__this, __arguments, generator)');
    expect(code).not.toContain('generator.next(value)');
  }
});

test('an error at run time ends the process with its message and stack among the printouts', async () => {
  const path = await source(
    'broken.ts',
    'export function init(): void { throw new Error("so it goes"); }',
  );
  await withNode(await buildComponent(path), async (node) => {
    expect(await node.ask(bytes('x'), WAIT)).toMatchObject({ kind: 'ended' });
    expect(node.prints.map((print) => print.text).join('\n')).toContain('so it goes');
  });
});

test('the full engine runs the same source', async () => {
  const component = await buildComponent(guest('lib-echo.ts'), { engine: 'full' });
  await withNode(component, async (node) => {
    expect(text(await node.ask(bytes('{"Text":"añ漢字🙂"}'), WAIT))).toBe('{"Text":"añ漢字🙂"}');
    expect(text(await node.ask(bytes('{"Slow":5}'), WAIT))).toBe('{"Slow":"1 2"}');
    expect(text(await node.ask(bytes('"Throw"'), WAIT))).toContain('"kind":"Internal"');
    expect(text(await node.ask(bytes('"Count"'), WAIT))).toBe('{"Count":1}');
  });
});

test('F1 a QuickJS component exports init and nothing else', async () => {
  const { component } = validateComponent(await buildComponent(guest('echo.ts')));
  const names = component.definitions.flatMap((item) =>
    item.kind === 'export' ? [item.name] : [],
  );
  expect(names).toEqual(['init']);
});

test('a component of another shape is refused, not repaired wrongly', async () => {
  const plain = await buildComponent(guest('echo.wat'));
  expect(() => repairExports(plain)).toThrow('unknown shape');
  expect(() => repairExports(plain.subarray(0, 100))).toThrow('unknown shape');
  expect(() => repairExports(new Uint8Array())).toThrow('unknown shape');
});

test('what does not compile is named, with file and line', async () => {
  const script = await source('bad.ts', 'export const x = ;\n');
  await expect(buildComponent(script)).rejects.toMatchObject({
    code: 'source',
    message: expect.stringContaining('bad.ts:1:18'),
  });
  const as = await source('bad.as.ts', 'export function main(our: string): void { nowhere(); }\n');
  await expect(buildComponent(as)).rejects.toMatchObject({
    code: 'source',
    message: expect.stringContaining('nowhere'),
  });
  const wat = await source('bad.wat', '(module (func (call $nowhere)))');
  await expect(buildComponent(wat)).rejects.toMatchObject({ code: 'source' });
  const foreign = await source(
    'foreign.wat',
    '(module (import "env" "x" (func)) (memory (export "memory") 1))',
  );
  await expect(buildComponent(foreign)).rejects.toMatchObject({ code: 'componentize' });
  const empty = await source('empty.ts', 'export const nothing = 1;\n');
  await expect(buildComponent(empty)).rejects.toMatchObject({ code: 'componentize' });
  await expect(buildComponent(join(folder, 'absent.wat'))).rejects.toMatchObject({
    code: 'source',
  });
  expect(() => languageOf('x.py')).toThrow('kit builds .ts');
});

test('component text is taken as it is', async () => {
  const path = await source('empty.wat', '(component)');
  expect([...(await buildComponent(path))]).toEqual([0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0]);
});

test.each([
  ['process-v1.wit', '75eeac273ca28078'],
  ['generations/kinode-1.0.0.wit', '493529b1ef69f253'],
  ['generations/kinode-0.8.0.wit', '71d9dbaf7298d02f'],
  ['generations/kinode-0.7.0.wit', 'c8dc8de9e850f27b'],
])(
  'the contract %s is frozen: its tokens, comments aside, are those of the reference',
  async (file, hash) => {
    const wit = await readFile(new URL(`../../wit/${file}`, import.meta.url), 'utf8');
    const tokens = wit
      .replaceAll(/\/\/.*$/gm, '')
      .replaceAll(/\s+/g, ' ')
      .replaceAll(/,\s*([)}])/g, ' $1')
      .trim();
    expect(createHash('sha256').update(tokens).digest('hex').slice(0, 16)).toBe(hash);
  },
);
