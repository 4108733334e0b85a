/** What a component says of its imports is compared with what the host has, at loading (findings.md F8, F9, F11; bad input). */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { standardMismatch } from '../../kernel/hart/standard/signatures.ts';
import { refusal } from '../../kernel/image/testing.ts';
import { planComponent, type HostFunction } from '../../kernel/image/plan.ts';
import { readComponent } from '../../kernel/image/read-component.ts';
import { rulesOf } from '../../kernel/hart/generations.ts';
import { STANDARD_IMPORT, component } from '../support/engine-components.ts';
import { FUNCTIONS, ofCore, ofText } from '../support/engine-guests.ts';
import { EngineBench } from '../support/engine-host.ts';

const bench = new EngineBench();
afterAll(() => bench[Symbol.dispose]());

const WIT = join(import.meta.dirname, '..', '..', 'wit');

/** A component that imports every function of a generation, by its WIT. */
async function importsAll(file: string, world: string, name: string): Promise<Uint8Array> {
  const witSource = await readFile(join(WIT, file), 'utf8');
  const functions = FUNCTIONS.filter((one) => new RegExp(`^ {4}${one}: func`, 'm').test(witSource));
  const count: Readonly<Record<string, string>> = {
    'print-to-terminal': '(param i32 i32 i32)',
    'set-on-exit': '(param i32 i32 i32)',
    'clear-state': '',
    'has-blob': '(result i32)',
    spawn: `(param${' i32'.repeat(14)})`,
    'send-response': `(param${' i32'.repeat(14)})`,
  };
  const two = [
    'set-state',
    'save-capabilities',
    'drop-capabilities',
    'send-requests',
    'send-and-await-response',
  ];
  const text = functions.map((one) => {
    const type = count[one] ?? (two.includes(one) ? '(param i32 i32)' : '(param i32)');
    return `(import "${name}" "${one}" (func ${type}))`;
  });
  return ofCore(
    `(module ${text.join('\n')} (memory (export "memory") 1)
      (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
      (func (export "init") (param i32 i32)))`,
    { witSource, world },
  );
}

describe.each([
  ['process-v1.wit', 'process-v1', 'hyperware:process/standard@1.0.0', 19],
  ['generations/kinode-1.0.0.wit', 'process-v1', 'kinode:process/standard@1.0.0', 19],
  ['generations/kinode-0.8.0.wit', 'process-v0', 'kinode:process/standard@0.8.0', 16],
  ['generations/kinode-0.7.0.wit', 'process', 'kinode:process/standard@0.7.0', 15],
] as const)('%s', (file, world, name, count) => {
  test(`F9 every function of ${name} has the types of its WIT`, async () => {
    const bytes = await importsAll(file, world, name);
    const { functions } = planComponent(readComponent(bytes));
    const imported = functions.filter(
      (one): one is HostFunction & { kind: 'import' } => one.kind === 'import',
    );
    expect(imported.length).toBe(count);
    // Loading compares them too; here each on its own, so that a failure names it.
    for (const one of imported)
      expect(standardMismatch(one.interface, one.name, one.type, rulesOf(one.interface)!)).toBe(
        undefined,
      );
    expect((await bench.engine.load(bytes)).hash).toMatch(/^[0-9a-f]{64}$/);
  });
});

test('F9 a generation has no functions and types of a later one', () => {
  const type = { params: [], result: { kind: 'bool' } } as const;
  const refused = (
    version: string,
    name: string,
    given: Parameters<typeof standardMismatch>[2],
  ): string | undefined =>
    standardMismatch(
      `kinode:process/standard@${version}`,
      name,
      given,
      rulesOf(`kinode:process/standard@${version}`)!,
    );
  expect(refused('1.0.0', 'has-blob', type)).toBe(undefined);
  expect(refused('0.8.0', 'has-blob', type)).toMatch(/has no function "has-blob"/);
  expect(refused('0.7.0', 'drop-capabilities', type)).toMatch(/has no function/);
  expect(refused('1.0.0', 'toString', type)).toMatch(/has no function/);
});

/** A component that lowers one function of an instance import whose type it makes up. */
function claims(name: string, body: string, func: string): string {
  return component({
    before: `(import "${name}" (instance $claimed ${body}))
      (alias export $claimed "${func}" (func $f))
      (core func (canon lower (func $f) (memory $memory) (realloc $realloc)))`,
    core: '(func (export "init") (param i32 i32))',
  }).replace(name.startsWith('hyperware') ? STANDARD_IMPORT : '', '');
}

const standard = 'hyperware:process/standard@1.0.0';
test.each([
  [
    'an unknown function of standard',
    standard,
    '(export "mint" (func))',
    'mint',
    /has no function "mint"/,
  ],
  [
    'a function of standard with another parameter',
    standard,
    '(export "set-state" (func (param "bytes" string)))',
    'set-state',
    /"set-state" as \(list<u8>\)/,
  ],
  [
    'one with another result',
    standard,
    '(export "has-blob" (func (result u32)))',
    'has-blob',
    /"has-blob" as \(\) -> bool/,
  ],
  [
    'one of the same flat type',
    standard,
    '(export "clear-state" (func (param "x" (tuple u8))))',
    'clear-state',
    /"clear-state" as \(\)/,
  ],
  [
    'an unknown function of WASI',
    'wasi:random/random@0.2.0',
    '(export "f" (func))',
    'f',
    /has no function "f"/,
  ],
  [
    'a function of WASI of other types',
    'wasi:random/random@0.2.0',
    '(export "get-random-bytes" (func (param "len" string) (result (list u8))))',
    'get-random-bytes',
    /as \(u64\) -> list<u8>/,
  ],
  [
    'a resource where another belongs',
    'wasi:io/poll@0.2.0',
    '(export "other" (type $p (sub resource))) (export "[method]pollable.block" (func (param "self" (borrow $p))))',
    '[method]pollable.block',
    /pollable/,
  ],
] as const)('F9 refused by name: %s', async (_what, name, body, func, message) => {
  const bytes = await ofText(claims(name, body, func));
  await expect(bench.engine.load(bytes)).rejects.toThrow(refusal('unsupported-import', message));
});

/** The smallest process with something more in its core module. */
function withCore(core: string): string {
  return `(component (core module $m ${core}
      (memory (export "memory") 1)
      (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
      (func (export "init") (param i32 i32)))
    (core instance $i (instantiate $m))
    (alias core export $i "memory" (core memory $memory))
    (alias core export $i "cabi_realloc" (core func $realloc))
    (func $init (param "our" string) (canon lift (core func $i "init") (memory $memory) (realloc $realloc)))
    (export "init" (func $init)))`;
}

test.each([
  ['exceptions', '(tag $t)', /exception/],
  ['catching without tags', '(func (block $h (try_table (catch_all $h))))', /exception|try_table/],
  ['several memories', '(memory 1)', /multi-memory/],
  ['64-bit memories', '(table i64 1 funcref)', /memory64/],
  ['shared memory', '(func (drop (i32.atomic.load (i32.const 0))))', /atomic|thread|shared/],
  ['garbage collection', '(type $s (struct (field i32)))', /GC|garbage/],
] as const)('F11 the engine refuses by name: %s', async (_what, core, message) => {
  const bytes = await ofText(withCore(core));
  await expect(bench.engine.load(bytes)).rejects.toThrow(refusal('unsupported-feature', message));
});

test('F11 SIMD, bulk memory, reference types, tail calls and multiple values run', async () => {
  const core = `
    (table $t 4 funcref) (func $one (result i32) (i32.const 1)) (elem declare func $one)
    (func $two (result i32 i32) (i32.const 1) (i32.const 2))
    (func $tail (result i32) (return_call $one))
    (func $all
      (table.set $t (i32.const 0) (ref.func $one))
      (memory.fill (i32.const 0) (i32.const 1) (i32.const 64))
      (if (i32.ne (i32x4.extract_lane 0 (i32x4.splat (call $tail))) (i32.const 1)) (then unreachable))
      (if (i32.ne (i32.add (call $two)) (i32.const 3)) (then unreachable))
      (if (i32.ne (call_indirect $t (result i32) (i32.const 0)) (i32.const 1)) (then unreachable)))
    (start $all)`;
  expect(await (await bench.start(await ofText(withCore(core)))).ended).toEqual({
    kind: 'returned',
  });
});

test.each([
  `a'],x=require('child_process').execSync('id'),exports0['go`,
  'a"b',
  'a\\nb',
  'a`${1}`',
  'a\\u{2028}b',
])('F1 the engine refuses names that are no names: %s', async (name) => {
  const text = name.replaceAll('"', '\\"');
  for (const core of [
    `(func (export "${text}"))`,
    `(import "${text}" "f" (func))`,
    `(import "m" "${text}" (func))`,
  ]) {
    // Only the binary is to be refused: what provides the import does not matter.
    const bytes = await ofText(
      withCore(core)
        .replace(
          '(instantiate $m)',
          '(instantiate $m (with "m" (instance $n)) (with "X" (instance $n)))',
        )
        .replaceAll('"X"', `"${text}"`)
        .replace(
          '(core instance $i',
          '(core module $N) (core instance $n (instantiate $N)) (core instance $i',
        ),
    );
    await expect(bench.engine.load(bytes)).rejects.toThrow(refusal('unsafe-name', /./));
  }
});
