import { print } from '@bytecodealliance/jco-transpile/wasm-tools';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Component, DefinedType, Definition } from './component.ts';
import { readComponent } from './read-component.ts';
import { ByteReader } from './reader.ts';
import {
  assemble,
  bytes,
  echoComponent,
  HEAD,
  leb,
  MODULE_HEAD,
  processBytes,
  quickJsComponent,
  refusal,
} from './testing.ts';

const read = async (text: string): Promise<readonly Definition[]> =>
  readComponent(await assemble(text)).definitions;
/** The types a component defines. */
const types = async (text: string): Promise<DefinedType[]> =>
  (await read(text)).flatMap((d) => (d.kind === 'type' ? [d.type] : []));
type Counts = Record<string, number>;

/** How many definitions of each kind a component has, then each one nested in it. */
function countDefinitions(component: Component, into: Counts[] = []): Counts[] {
  const counts: Counts = {};
  into.push(counts);
  for (const definition of component.definitions) {
    counts[definition.kind] = (counts[definition.kind] ?? 0) + 1;
    if (definition.kind === 'component') countDefinitions(definition.component, into);
  }
  return into;
}

const PRINTED: readonly (readonly [string, string | undefined])[] = [
  ['(core module', 'core-module'],
  ['(core instance', 'core-instance'],
  ['(core type', 'core-type'],
  ['(core func', 'canon'],
  ['(component', 'component'],
  ['(instance', 'instance'],
  ['(alias', 'alias'],
  ['(type', 'type'],
  ['(func', 'canon'],
  ['(import', 'import'],
  ['(export', 'export'],
  ['(@', undefined],
];

/** The same from text, by indentation. */
function countPrinted(text: string): Counts[] {
  const all: Counts[] = [];
  const open: { readonly indent: number; readonly counts: Counts }[] = [];
  for (const line of text.split('\n')) {
    const indent = line.search(/\S/);
    const top = open.at(-1);
    if (top !== undefined && indent === top.indent && line.trim() === ')') {
      open.pop();
      continue;
    }
    if (top !== undefined && indent !== top.indent + 2) continue;
    const rest = line.trim();
    if (top !== undefined && rest.startsWith('(')) {
      const entry = PRINTED.find(([prefix]) => rest.startsWith(prefix));
      if (entry === undefined) throw new Error(`what is ${rest}?`);
      if (entry[1] !== undefined) top.counts[entry[1]] = (top.counts[entry[1]] ?? 0) + 1;
    }
    if (!rest.startsWith('(component')) continue;
    const counts: Counts = {};
    all.push(counts);
    // One that is empty closes on its own line.
    if (rest.split('(').length > rest.split(')').length) open.push({ indent, counts });
  }
  return all;
}

describe('real components', () => {
  const real = new Map<string, Uint8Array>();
  beforeAll(async () => {
    real.set('echo', await echoComponent());
    real.set('QuickJS', await quickJsComponent(false));
    real.set('QuickJS with WASI inside', await quickJsComponent(true));
  });

  test.for(['echo', 'QuickJS', 'QuickJS with WASI inside'])(
    '%s has the definitions that an independent printer shows',
    async (name) => {
      const file = real.get(name) ?? new Uint8Array();
      const counts = countDefinitions(readComponent(file));
      expect(counts).toEqual(countPrinted(await print(file)));
      expect(counts[0]?.['export']).toBeGreaterThan(0);
    },
  );

  test('modules are views of the file, and what their summaries say is what the engine sees', async () => {
    const file = await quickJsComponentOf(real);
    const modules = modulesOf(readComponent(file));
    expect(modules.length).toBeGreaterThanOrEqual(8);
    for (const { bytes: view, module } of modules) {
      expect(view.buffer).toBe(file.buffer);
      const compiled = new WebAssembly.Module(Uint8Array.from(view));
      const kinds = {
        func: 'function',
        table: 'table',
        memory: 'memory',
        global: 'global',
        tag: 'tag',
      };
      expect(module.exports.map((e) => ({ name: e.name, kind: kinds[e.kind] }))).toEqual(
        WebAssembly.Module.exports(compiled).map(({ name, kind }) => ({ name, kind })),
      );
      expect(
        module.imports.map((i) => ({ module: i.module, name: i.field, kind: kinds[i.type.kind] })),
      ).toEqual(
        WebAssembly.Module.imports(compiled).map(({ module: from, name, kind }) => ({
          module: from,
          name,
          kind,
        })),
      );
      expect(module.features).toEqual([]);
    }
  });

  test('every section is consumed to its last byte: one byte more is refused', () => {
    const file = real.get('echo') ?? new Uint8Array();
    const sections = sectionsOf(file);
    expect(sections.map((s) => s.id)).toEqual(expect.arrayContaining([1, 2, 6, 7, 8, 10, 11]));
    expect(readComponent(rebuild(sections))).toEqual(readComponent(file));
    for (const [i, { id, content }] of sections.entries()) {
      if (id === 0) continue;
      const longer = sections.with(i, { id, content: bytes([...content], 0x00) });
      expect(() => readComponent(rebuild(longer)), `section ${id}`).toThrow(
        refusal('malformed', /at byte/),
      );
      const shorter = sections.with(i, { id, content: content.subarray(0, -1) });
      expect(() => readComponent(rebuild(shorter)), `section ${id}`).toThrow(
        refusal('malformed', /at byte/),
      );
    }
  });
});

async function quickJsComponentOf(real: ReadonlyMap<string, Uint8Array>): Promise<Uint8Array> {
  return real.get('QuickJS with WASI inside') ?? quickJsComponent(true);
}

function modulesOf(component: Component): Extract<Definition, { kind: 'core-module' }>[] {
  return component.definitions.flatMap((d) => {
    if (d.kind === 'component') return modulesOf(d.component);
    return d.kind === 'core-module' ? [d] : [];
  });
}

interface Section {
  readonly id: number;
  readonly content: Uint8Array;
}

function sectionsOf(file: Uint8Array): Section[] {
  const r = new ByteReader(file, 8);
  const sections: Section[] = [];
  while (!r.done) sections.push({ id: r.u8(), content: r.take(r.u32()) });
  return sections;
}

function rebuild(sections: readonly Section[]): Uint8Array {
  return bytes(
    HEAD,
    ...sections.map(({ id, content }) => [id, ...leb(content.length), ...content]),
  );
}

describe('what is no component', () => {
  test('is said to be none', async () => {
    for (const file of [
      bytes(),
      bytes(0),
      bytes([0x7f, 0x45, 0x4c, 0x46]),
      bytes(MODULE_HEAD.slice(0, 6)),
    ]) {
      expect(() => readComponent(file)).toThrow(refusal('not-a-component', /./));
    }
    expect(() => readComponent(bytes(MODULE_HEAD))).toThrow(
      refusal('not-a-component', /core WebAssembly module/),
    );
    expect(readComponent(bytes(HEAD)).definitions).toEqual([]);
    await expect(assemble('(component)')).resolves.toEqual(bytes(HEAD));
  });
});

describe('types', () => {
  test('of values keep their order, names and references', async () => {
    expect(
      await types(`(component
        (type (record (field "a" u8) (field "b-c" string)))
        (type (variant (case "x") (case "y" 0)))
        (type (list 1)) (type (tuple s8 f64 2)) (type (flags "r" "w")) (type (enum "on" "off"))
        (type (option char)) (type (result)) (type (result bool (error u64)))
        (type (func (param "p" 0) (result 2))) (type (func))
        (type u32))`),
    ).toEqual([
      {
        kind: 'record',
        fields: [
          { name: 'a', type: 'u8' },
          { name: 'b-c', type: 'string' },
        ],
      },
      {
        kind: 'variant',
        cases: [
          { name: 'x', type: undefined },
          { name: 'y', type: 0 },
        ],
      },
      { kind: 'list', element: 1 },
      { kind: 'tuple', elements: ['s8', 'f64', 2] },
      { kind: 'flags', names: ['r', 'w'] },
      { kind: 'enum', names: ['on', 'off'] },
      { kind: 'option', some: 'char' },
      { kind: 'result', ok: undefined, error: undefined },
      { kind: 'result', ok: 'bool', error: 'u64' },
      { kind: 'func', params: [{ name: 'p', type: 0 }], result: 2 },
      { kind: 'func', params: [], result: undefined },
      { kind: 'primitive', primitive: 'u32' },
    ]);
  });

  test('of instances, components and resources keep their declarations', async () => {
    expect(
      await types(`(component
        (type (instance
          (export "r" (type (sub resource)))
          (type (borrow 0))
          (alias outer 1 0 (type))
          (export "f" (func (type 1)))))
        (type (component (import "i" (instance (type 0))) (export "t" (type (eq 0)))))
        (type (resource (rep i32)))
        (type (own 2)))`),
    ).toEqual([
      {
        kind: 'instance',
        declarations: [
          { kind: 'export-declaration', name: 'r', type: { sort: 'type', bound: 'resource' } },
          { kind: 'type', type: { kind: 'borrow', resource: 0 } },
          { kind: 'alias', sort: 'type', target: { kind: 'outer', count: 1, index: 0 } },
          { kind: 'export-declaration', name: 'f', type: { sort: 'func', type: 1 } },
        ],
      },
      {
        kind: 'component',
        declarations: expect.arrayContaining([
          { kind: 'import', name: 'i', type: { sort: 'instance', type: expect.any(Number) } },
        ]),
      },
      { kind: 'resource', destructor: undefined },
      { kind: 'own', resource: 2 },
    ]);
  });
});

describe('definitions', () => {
  test('of every other kind', async () => {
    const definitions = await read(`(component
      (import "a:b/c@1.0.0" (instance $in (export "f" (func (param "s" string)))))
      (alias export $in "f" (func $f))
      (core module $m (memory (export "mem") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
        (func (export "go")) (func (export "post")))
      (core instance $i (instantiate $m))
      (alias core export $i "mem" (core memory $mem))
      (alias core export $i "realloc" (core func $realloc))
      (alias core export $i "go" (core func $go))
      (core func $low (canon lower (func $f) (memory $mem) (realloc $realloc) string-encoding=utf16))
      (core instance $bag (export "f" (func $low)) (export "mem" (memory $mem)))
      (core instance (instantiate $m (with "bag" (instance $bag))))
      (type $r (resource (rep i32)))
      (core func (canon resource.new $r))
      (core func (canon resource.drop $r))
      (core func (canon resource.rep $r))
      (type $t (func))
      (func $lifted (type $t) (canon lift (core func $go) (post-return $go)))
      (export "go" (func $lifted))
      (component $c (import "x" (func)))
      (instance (instantiate $c (with "x" (func $lifted))))
      (instance (export "y" (func $lifted))))`);
    expect(
      definitions.filter((d) => !['type', 'core-module', 'component'].includes(d.kind)),
    ).toEqual([
      { kind: 'import', name: 'a:b/c@1.0.0', type: { sort: 'instance', type: 0 } },
      { kind: 'alias', sort: 'func', target: { kind: 'export', instance: 0, name: 'f' } },
      { kind: 'core-instance', from: { kind: 'instantiate', module: 0, args: [] } },
      coreAlias('core-memory', 'mem'),
      coreAlias('core-func', 'realloc'),
      coreAlias('core-func', 'go'),
      {
        kind: 'canon',
        canon: {
          kind: 'lower',
          func: 0,
          options: { encoding: 'utf16', memory: 0, realloc: 0, postReturn: undefined },
        },
      },
      {
        kind: 'core-instance',
        from: {
          kind: 'exports',
          exports: [
            { name: 'f', sort: 'core-func', index: 2 },
            { name: 'mem', sort: 'core-memory', index: 0 },
          ],
        },
      },
      {
        kind: 'core-instance',
        from: { kind: 'instantiate', module: 0, args: [{ name: 'bag', instance: 1 }] },
      },
      { kind: 'canon', canon: { kind: 'resource-new', resource: 1 } },
      { kind: 'canon', canon: { kind: 'resource-drop', resource: 1 } },
      { kind: 'canon', canon: { kind: 'resource-rep', resource: 1 } },
      {
        kind: 'canon',
        canon: {
          kind: 'lift',
          coreFunc: 1,
          options: { encoding: 'utf8', memory: undefined, realloc: undefined, postReturn: 1 },
          type: 2,
        },
      },
      { kind: 'export', name: 'go', sort: 'func', index: 1, type: undefined },
      {
        kind: 'instance',
        from: { kind: 'instantiate', component: 0, args: [{ name: 'x', sort: 'func', index: 1 }] },
      },
      {
        kind: 'instance',
        from: { kind: 'exports', exports: [{ name: 'y', sort: 'func', index: 1 }] },
      },
    ]);
  });
});

function coreAlias(sort: string, name: string): unknown {
  return { kind: 'alias', sort, target: { kind: 'core-export', instance: 0, name } };
}

test.for([
  ['memory given twice', 8, [0x00, 0x00, 0, 2, 0x03, 0, 0x03, 0, 0]],
  ['string encoding given twice', 8, [0x00, 0x00, 0, 2, 0x00, 0x01, 0]],
  ['canon lower with a post-return', 8, [0x01, 0x00, 0, 1, 0x05, 0]],
  ['outer alias of a func', 6, [0x01, 0x02, 0, 0]],
  ['outer alias of a core-memory', 6, [0x00, 0x02, 0x02, 0, 0]],
  ['alias of a core-module', 6, [0x00, 0x11, 0x01, 0, 1, 0x61]],
] as const)('%s is refused', ([message, id, content]) => {
  expect(() => readComponent(bytes(HEAD, [id, content.length + 1, 1], content))).toThrow(
    refusal('malformed', new RegExp(message)),
  );
});

test('core items do not leave core instances', () => {
  const func = [0x00, 0x00];
  for (const [id, content] of [
    [6, [...func, 0x00, 0, 1, 0x61]],
    [5, [0x00, 0, 1, 1, 0x61, ...func, 0]],
    [5, [0x01, 1, 0x00, 1, 0x61, ...func, 0]],
    [11, [0x00, 1, 0x61, ...func, 0, 0]],
  ] as const) {
    expect(() => readComponent(bytes(HEAD, [id, content.length + 1, 1], content))).toThrow(
      refusal('malformed', /core-func/),
    );
  }
});

test('a component is read where it lies in a larger buffer', async () => {
  const file = await processBytes();
  const buffer = new Uint8Array(file.length + 100).fill(0xee);
  buffer.set(file, 50);
  expect(readComponent(buffer.subarray(50, 50 + file.length))).toEqual(readComponent(file));
});
