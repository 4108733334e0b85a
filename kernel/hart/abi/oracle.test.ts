/**
 * Ours against jco: the same core module behind generated types and values. Its export passes its argument to its import and
 * returns what comes back, so each value is lowered and lifted twice. Both must show the same values, and leave the same bytes.
 */
import { componentEmbed, componentNew, parse, transpile } from '@bytecodealliance/jco';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Trap } from '../../process-host.ts';
import { liftExport, lowerImport } from './call.ts';
import type { AbiContext, StringEncoding } from './context.ts';
import { flatten } from './layout.ts';
import { ResourceTable } from './resource-table.ts';
import { camelCase, isNullable } from './types.ts';
import type { CoreValue, FuncType, ValueType } from './types.ts';

const seed = 20_261_121;
const typesPerEncoding = 30;
const valuesPerType = 8;

const primitives = [
  'bool',
  'u8',
  's8',
  'u16',
  's16',
  'u32',
  's32',
  'u64',
  's64',
  'f32',
  'f64',
  'char',
  'string',
] as const;

const nameOf = (i: number) => `name-${'abcdefghijklmnopqrstuvwxyz'.charAt(i % 26)}${i}`;

const { type: anyType } = fc.letrec<{ type: ValueType }>((tie) => {
  const some = (min: number, max: number) =>
    fc.array(tie('type'), { minLength: min, maxLength: max });
  const names = fc
    .integer({ min: 1, max: 20 })
    .map((n) => Array.from({ length: n }, (_, i) => nameOf(i)));
  const maybe = fc.option(tie('type'), { nil: undefined });
  return {
    type: fc.oneof(
      { maxDepth: 3, withCrossShrink: true },
      fc.constantFrom(...primitives).map((kind) => ({ kind })),
      tie('type').map((element) => ({ kind: 'list' as const, element })),
      tie('type').map((type) => ({ kind: 'option' as const, type })),
      fc.record({ ok: maybe, err: maybe }).map((both) => ({ kind: 'result' as const, ...both })),
      some(1, 4).map((types) => ({ kind: 'tuple' as const, types })),
      some(1, 5).map((types) => ({
        kind: 'record' as const,
        fields: types.map((type, i) => ({ name: nameOf(i), type })),
      })),
      fc.array(maybe, { minLength: 1, maxLength: 5 }).map((types) => ({
        kind: 'variant' as const,
        cases: types.map((type, i) => ({ name: nameOf(i), type })),
      })),
      names.map((list) => ({ kind: 'enum' as const, names: list })),
      names.map((list) => ({ kind: 'flags' as const, names: list })),
    ),
  };
});

/** WIT text of a type; named types are appended to `declared`. */
function wit(type: ValueType, declared: string[]): string {
  const named = (keyword: string, members: string[]) => {
    const name = `t${declared.length}`;
    declared.push(`${keyword} ${name} { ${members.join(', ')} }`);
    return name;
  };
  switch (type.kind) {
    case 'list':
    case 'option':
      return `${type.kind}<${wit(type.kind === 'list' ? type.element : type.type, declared)}>`;
    case 'result': {
      const okText = type.ok === undefined ? '_' : wit(type.ok, declared);
      if (type.err !== undefined) return `result<${okText}, ${wit(type.err, declared)}>`;
      return type.ok === undefined ? 'result' : `result<${okText}>`;
    }
    case 'tuple':
      return `tuple<${type.types.map((one) => wit(one, declared)).join(', ')}>`;
    case 'record':
      return named(
        'record',
        type.fields.map((field) => `${field.name}: ${wit(field.type, declared)}`),
      );
    case 'variant':
      return named(
        'variant',
        type.cases.map((one) =>
          one.type === undefined ? one.name : `${one.name}(${wit(one.type, declared)})`,
        ),
      );
    case 'enum':
    case 'flags':
      return named(type.kind, [...type.names]);
    case 'own':
    case 'borrow':
      throw new Error('not generated');
    default:
      return type.kind;
  }
}

const integer = (bits: number, signed: boolean) =>
  fc.integer({
    min: signed ? -(2 ** (bits - 1)) : 0,
    max: signed ? 2 ** (bits - 1) - 1 : 2 ** bits - 1,
  });

function anyValue(type: ValueType): fc.Arbitrary<unknown> {
  const tagged = (tag: string, payload: ValueType | undefined) =>
    payload === undefined ? fc.constant({ tag }) : anyValue(payload).map((val) => ({ tag, val }));
  switch (type.kind) {
    case 'bool':
      return fc.boolean();
    case 'u8':
    case 'u16':
    case 'u32':
      return integer(Number(type.kind.slice(1)), false);
    case 's8':
    case 's16':
    case 's32':
      return integer(Number(type.kind.slice(1)), true);
    case 'u64':
      return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    case 's64':
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    case 'f32':
      return fc.float({ noNaN: true });
    case 'f64':
      return fc.double({ noNaN: true });
    case 'char':
      return fc.string({ unit: 'binary', minLength: 1, maxLength: 1 });
    case 'string':
      // Not empty: there jco makes up a pointer, where the specification asks realloc for one.
      return fc.oneof(
        fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }),
        fc.string({ minLength: 1, maxLength: 60 }),
      );
    case 'list':
      return type.element.kind === 'u8'
        ? fc.uint8Array({ maxLength: 20 })
        : fc.array(anyValue(type.element), { maxLength: 5 });
    case 'tuple':
      return fc.tuple(...type.types.map(anyValue));
    case 'record':
      return fc.record(
        Object.fromEntries(type.fields.map((one) => [camelCase(one.name), anyValue(one.type)])),
        { noNullPrototype: true },
      );
    case 'flags':
      return fc.record(
        Object.fromEntries(type.names.map((name) => [camelCase(name), fc.boolean()])),
        { noNullPrototype: true },
      );
    case 'enum':
      return fc.constantFrom(...type.names);
    case 'option':
      if (isNullable(type)) return fc.option(anyValue(type.type), { nil: undefined });
      return fc.oneof(tagged('none', undefined), tagged('some', type.type));
    case 'result':
      return fc.oneof(tagged('ok', type.ok), tagged('err', type.err));
    case 'variant':
      return fc.oneof(...type.cases.map((one) => tagged(one.name, one.type)));
    default:
      throw new Error('not generated');
  }
}

const list = (keyword: string, types: readonly string[]) =>
  types.length === 0 ? '' : `(${keyword} ${types.join(' ')})`;

/** The core module: forwards its parameters to `host`, which gets the return area at 16 where the result needs one. */
function wat(type: FuncType): string {
  const { params, results, indirectResult } = flatten(type, 'lift');
  const lowered = flatten(type, 'lower');
  const area = indirectResult ? '(i32.const 16)' : '';
  return `(module
    (import "$root" "host" (func $host ${list('param', lowered.params)} ${list('result', lowered.results)}))
    (memory (export "memory") 32)
    (global $next (mut i32) (i32.const 4096))
    (func (export "cabi_realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32) (result i32)
      (local $p i32)
      (local.set $p (i32.and
        (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
      (global.set $next (i32.add (local.get $p) (local.get $new)))
      (memory.copy (local.get $p) (local.get $old) (local.get $size))
      (local.get $p))
    (func (export "run") ${list('param', params)} ${list('result', results)}
      (call $host ${params.map((_, i) => `(local.get ${i})`).join(' ')} ${area}) ${area}))`;
}

interface Runner {
  /** Runs the guest on a value; what the host was given, what came back, and the memory after it. */
  run(value: unknown): { seen: unknown; result: unknown; memory: Uint8Array };
}

type Exports = Record<string, unknown>;

function memoryOf(exports: Exports): WebAssembly.Memory {
  const { memory } = exports;
  if (!(memory instanceof WebAssembly.Memory)) throw new Error('no memory');
  return memory;
}

function ours(core: Uint8Array, type: FuncType, encoding: StringEncoding): Runner {
  const module = new WebAssembly.Module(new Uint8Array(core));
  return {
    run(value) {
      let exports: Exports = {};
      let seen: unknown;
      const call = (name: string, args: CoreValue[]) => (exports[name] as Function)(...args);
      const ctx: AbiContext = {
        memory: () => memoryOf(exports).buffer,
        realloc: (...args) => call('cabi_realloc', args),
        encoding,
        resources: new ResourceTable(),
        trap(message) {
          throw new Trap(message);
        },
      };
      const host = lowerImport(type, ctx, ([argument]) => {
        seen = argument;
        return argument;
      });
      exports = new WebAssembly.Instance(module, { $root: { host } }).exports;
      const run = liftExport({ type, ctx, coreFn: (...args) => call('run', args) });
      const result = run([value]);
      return { seen, result, memory: new Uint8Array(memoryOf(exports).buffer) };
    },
  };
}

async function theirs(
  core: Uint8Array,
  source: string,
  stringEncoding: 'utf8' | 'utf16',
): Promise<Runner> {
  const embedded = await componentEmbed({
    binary: core,
    witSource: source,
    world: 'w',
    stringEncoding,
  });
  const { files } = await transpile(await componentNew(embedded, []), {
    name: 'oracle',
    instantiation: 'sync',
    wasiShim: false,
  });
  const text = Buffer.from(files['oracle.js'] ?? '').toString('base64');
  const { instantiate } = await import(/* @vite-ignore */ `data:text/javascript;base64,${text}`);
  const modules = new Map<string, WebAssembly.Module>();
  for (const [name, bytes] of Object.entries(files))
    if (name.endsWith('.wasm')) modules.set(name, new WebAssembly.Module(new Uint8Array(bytes)));
  return {
    run(value) {
      let memory: WebAssembly.Memory | undefined;
      let seen: unknown;
      const host = (argument: unknown) => {
        seen = argument;
        return argument;
      };
      const { run } = instantiate(
        (name: string) => modules.get(name),
        { host: { default: host } },
        (module: WebAssembly.Module, imports: WebAssembly.Imports) => {
          const instance = new WebAssembly.Instance(module, imports);
          if (instance.exports['memory'] !== undefined && 'run' in instance.exports)
            memory = memoryOf(instance.exports);
          return instance;
        },
      );
      const result: unknown = run(value);
      return { seen, result, memory: new Uint8Array(memory?.buffer ?? new ArrayBuffer(0)) };
    },
  };
}

/** jco gives lists of numbers as typed arrays, and a `val` where there is none. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return value;
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<unknown>);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, one]) => one !== undefined)
      .map(([key, one]) => [key, plain(one)]),
  );
}

// jco itself cannot do latin1+utf16; call.test.ts holds ours against the specification.
for (const encoding of ['utf8', 'utf16'] as const) {
  test(`F9 values and memory are those of jco, ${encoding}, seed ${seed}`, async () => {
    const types = fc.sample(anyType, { numRuns: typesPerEncoding, seed: seed + encoding.length });
    for (const generated of types) {
      // In a tuple, so that jco does not throw what a result holds.
      const whole: ValueType = { kind: 'tuple', types: [generated] };
      const declared: string[] = [];
      const text = wit(whole, declared);
      const source = `package t:t; world w { ${declared.join(' ')} import host: func(x: ${text}) -> ${text}; export run: func(x: ${text}) -> ${text}; }`;
      const type: FuncType = { params: [{ name: 'x', type: whole }], result: whole };
      const core = await parse(wat(type));
      const jco = await theirs(core, source, encoding);
      const own = ours(core, type, encoding);
      for (const value of fc.sample(anyValue(whole), { numRuns: valuesPerType, seed })) {
        const mine = own.run(value);
        const jcos = jco.run(value);
        expect(plain(mine.seen), source).toEqual(plain(value));
        expect(plain(mine.result), source).toEqual(plain(value));
        expect(plain(jcos.result), source).toEqual(plain(value));
        expect(Buffer.compare(mine.memory, jcos.memory), source).toBe(0);
      }
    }
  });
}
