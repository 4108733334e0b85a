import { readFileSync } from 'node:fs';
import { componentEmbed, componentNew } from '@bytecodealliance/jco';
import { beforeAll, expect, test } from 'vitest';
import { planComponent } from '../../image/plan.ts';
import type { HostFunction } from '../../image/plan.ts';
import { readComponent } from '../../image/read-component.ts';
import { hostResource } from '../abi/types.ts';
import type { FuncType, ValueType } from '../abi/types.ts';
import { wasiMismatch } from './signatures.ts';

type Import = Extract<HostFunction, { kind: 'import' }>;

let imports: Import[];

beforeAll(async () => {
  const folder = new URL(
    '../../../node_modules/@bytecodealliance/jco/lib/wit/builtin/0.2.12/',
    import.meta.url,
  );
  const packages = ['io', 'clocks', 'random', 'cli', 'sockets', 'filesystem'].map((name) => {
    const text = readFileSync(new URL(`wasi-${name}/package.wit`, folder), 'utf8');
    return `${text.replace(/^package ([^;]+);/m, 'package $1 {')}\n}`;
  });
  const source = `package t:t;
    world w { include wasi:cli/imports@0.2.12; export init: func(our: string); }
    ${packages.join('\n')}`;
  const embedded = await componentEmbed({
    witSource: source,
    world: 'w',
    dummy: true,
    features: { tag: 'all' },
  });
  const plan = planComponent(readComponent(await componentNew(embedded, [])));
  imports = plan.functions.filter((one) => one.kind === 'import');
});

test('K119 a component made from the interfaces themselves imports what we have', () => {
  expect(imports.length).toBeGreaterThan(120);
  for (const { interface: name, name: func, type } of imports)
    expect(wasiMismatch(name, func, type), `${name} ${func}`).toBeUndefined();
});

/** The same type with one leaf replaced, for each leaf. */
function* variations(type: ValueType): Generator<ValueType> {
  const wrong: ValueType = { kind: 's16' };
  switch (type.kind) {
    case 'list':
      for (const element of variations(type.element)) yield { kind: 'list', element };
      return;
    case 'tuple':
      for (const [i, one] of type.types.entries())
        for (const other of variations(one)) yield { ...type, types: type.types.with(i, other) };
      return;
    case 'result':
      for (const ok of type.ok === undefined ? [wrong] : variations(type.ok)) yield { ...type, ok };
      return;
    case 'own':
    case 'borrow':
      yield { ...type, kind: type.kind === 'own' ? 'borrow' : 'own' };
      yield { ...type, resource: hostResource('wasi:io/other@0.2.0#error') };
      yield { ...type, resource: hostResource('error') };
      return;
    default:
      yield wrong;
  }
}

test('K119 a function imported with another type is refused', () => {
  let tried = 0;
  for (const { interface: name, name: func, type } of imports) {
    const others: FuncType[] = [
      { ...type, params: [...type.params, { name: 'x', type: { kind: 'u8' } }] },
    ];
    for (const [i, param] of type.params.entries())
      for (const other of variations(param.type))
        others.push({ ...type, params: type.params.with(i, { ...param, type: other }) });
    if (type.result !== undefined)
      for (const result of variations(type.result)) others.push({ ...type, result });
    for (const other of others)
      expect(wasiMismatch(name, func, other), `${name} ${func}`).toContain(func);
    tried += others.length;
  }
  expect(tried).toBeGreaterThan(300);
});

test('K119 a function or an interface we do not have is named', () => {
  const type: FuncType = { params: [] };
  expect(wasiMismatch('wasi:cli/exit@0.2.0', 'leave', type)).toBe(
    '"wasi:cli/exit@0.2.0" has no function "leave"',
  );
  expect(wasiMismatch('wasi:http/types@0.2.0', 'now', type)).toContain('wasi:http/types@0.2.0');
});
