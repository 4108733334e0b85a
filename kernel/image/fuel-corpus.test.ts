/** Modules as toolchains emit them, and damaged ones: the rewrite refuses or gives what compiles, nothing else. */
import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { componentize } from 'componentize-qjs';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { ImageError } from '../engine.ts';
import { ByteReader } from './fuel-bytes.ts';
import { assemble, Metered } from './fuel-harness.ts';
import { instrument } from './fuel.ts';

const WIT = `package test:corpus;
world corpus { export count: func(text: string) -> u32; }`;
const SOURCE = `export function count(text) { return [...text].filter((c) => /[a-z]/.test(c)).length; }`;

const CORE_MODULE = 1;
const COMPONENT = 4;

/** The core modules of a component, nested ones included. */
function coreModules(component: ByteReader): Uint8Array[] {
  component.skip(8);
  const found: Uint8Array[] = [];
  while (component.pos < component.end) {
    const id = component.byte();
    const section = component.slice(component.u32());
    if (id === CORE_MODULE) found.push(section.bytes.slice(section.pos, section.end));
    else if (id === COMPONENT) found.push(...coreModules(section));
  }
  return found;
}

let modules: Uint8Array[] = [];
beforeAll(async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'fuel-corpus-'));
  const witPath = join(folder.path, 'corpus.wit');
  writeFileSync(witPath, WIT);
  const { component } = await componentize({ jsSource: SOURCE, witPath, sync: true });
  modules = coreModules(new ByteReader(component));
});

test('F11 every core module of a QuickJS component is carried, and keeps its imports and exports', async () => {
  expect(modules.length).toBeGreaterThan(5);
  for (const module of modules) {
    const before = await WebAssembly.compile(module.slice());
    const output = instrument(module);
    const after = await WebAssembly.compile(output.slice());
    expect(output.length).toBeLessThan(1.4 * module.length + 2048);
    expect(WebAssembly.Module.exports(after)).toEqual(WebAssembly.Module.exports(before));
    const imports = WebAssembly.Module.imports(before);
    expect(WebAssembly.Module.imports(after).slice(0, imports.length)).toEqual(imports);
    expect(WebAssembly.Module.imports(after)[imports.length]).toMatchObject({
      module: 'hl',
      name: 'fuel',
    });
  }
});

const SMALL = `(module (import "a" "f" (func $f (param i32) (result i64))) (memory 1 2) (table 3 funcref) (global $g (mut i32) (i32.const 1))
  (elem (i32.const 0) $run $f) (data "ab") (export "run" (func $run))
  (func $run (param i32) (result i32) (local i64 f32)
    (block $out (result i32)
      (loop $again (drop (br_if $out (i32.const 5) (local.get 0))) (local.set 1 (call $f (global.get $g)))
        (memory.copy (i32.const 0) (i32.const 1) (i32.const 2)) (br_table $again $again (local.get 0)))
      (if (result i32) (local.get 0) (then (memory.grow (i32.const 1))) (else (call_indirect (param i32) (result i32) (local.get 0) (i32.const 0))))))
  (func (result v128) (i8x16.add (v128.const i64x2 1 2) (v128.load (i32.const 0)))))`;

test('F10 damaged modules are refused with an ImageError or stay as valid as they were', async () => {
  const small = await assemble(SMALL);
  const shims = modules.filter((module) => module.length < 5000);
  expect(shims.length).toBeGreaterThan(1);
  const seen = { refused: 0, invalid: 0, valid: 0 };
  const edit = fc.record({
    at: fc.nat(),
    value: fc.nat(255),
    kind: fc.constantFrom('set', 'cut', 'insert', 'drop'),
  });
  fc.assert(
    fc.property(
      fc.constantFrom(small, small, small, ...shims),
      fc.array(edit, { minLength: 1, maxLength: 3 }),
      (module, edits) => {
        let bytes = [...module];
        for (const { at, value, kind } of edits) {
          const index = at % Math.max(1, bytes.length);
          if (kind === 'set') bytes[index] = value;
          else if (kind === 'insert') bytes.splice(index, 0, value);
          else if (kind === 'drop') bytes.splice(index, 1);
          else if (value < 20) bytes = bytes.slice(0, index);
        }
        const damaged = new Uint8Array(bytes);
        const valid = WebAssembly.validate(damaged);
        let output: Uint8Array;
        try {
          output = instrument(damaged);
        } catch (error) {
          expect(error).toBeInstanceOf(ImageError);
          seen.refused++;
          return;
        }
        seen[valid ? 'valid' : 'invalid']++;
        // An invalid one may become valid: names that are no UTF-8 are dropped, for example.
        if (valid) expect(WebAssembly.validate(output.slice())).toBe(true);
      },
    ),
    { numRuns: 8000 },
  );
  expect(Math.min(...Object.values(seen))).toBeGreaterThan(100);
});

test('F4 the small module of this file runs as it did', async () => {
  const guest = new Metered(await assemble(SMALL), { imports: { a: { f: () => 1n } } });
  expect(guest.call('run', 1)).toBe(5);
});
