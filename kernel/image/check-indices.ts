/** Every index of a component refers to something defined before it. What follows indices later needs no such check. */
import { ImageError } from '../engine.ts';
import type {
  AliasDefinition,
  Canon,
  CanonOptions,
  Component,
  Declaration,
  DefinedType,
  Definition,
  ExternType,
  Sort,
  ValueType,
} from './component.ts';
import { sortOf } from './scopes.ts';

/** How many items each space has so far. */
class Counts {
  readonly parent: Counts | undefined;
  readonly #sizes = new Map<Sort, number>();

  constructor(parent: Counts | undefined) {
    this.parent = parent;
  }

  add(sort: Sort): void {
    this.#sizes.set(sort, (this.#sizes.get(sort) ?? 0) + 1);
  }

  /** @throws ImageError 'malformed' */
  expect(sort: Sort, index: number): void {
    if (index < (this.#sizes.get(sort) ?? 0)) return;
    throw new ImageError(
      'malformed',
      `malformed component: ${sort} ${index} is used before it is defined`,
    );
  }
}

/** @throws ImageError 'malformed' for the first index out of range. */
export function checkIndices(component: Component): void {
  checkComponent(component, undefined);
}

function checkComponent(component: Component, parent: Counts | undefined): void {
  const counts = new Counts(parent);
  for (const definition of component.definitions) {
    checkDefinition(definition, counts);
    counts.add(sortOf(definition));
  }
}

function checkDefinition(definition: Definition, counts: Counts): void {
  switch (definition.kind) {
    case 'core-module':
    case 'core-type':
      return;
    case 'component':
      checkComponent(definition.component, counts);
      return;
    case 'core-instance': {
      const { from } = definition;
      if (from.kind === 'instantiate') {
        counts.expect('core-module', from.module);
        for (const arg of from.args) counts.expect('core-instance', arg.instance);
      } else for (const item of from.exports) counts.expect(item.sort, item.index);
      return;
    }
    case 'instance': {
      const { from } = definition;
      if (from.kind === 'instantiate') counts.expect('component', from.component);
      const items = from.kind === 'instantiate' ? from.args : from.exports;
      for (const item of items) counts.expect(item.sort, item.index);
      return;
    }
    case 'alias':
      checkAlias(definition, counts);
      return;
    case 'type':
      checkType(definition.type, counts);
      return;
    case 'canon':
      checkCanon(definition.canon, counts);
      return;
    case 'import':
      checkExtern(definition.type, counts);
      return;
    case 'export':
      counts.expect(definition.sort, definition.index);
      if (definition.type !== undefined) checkExtern(definition.type, counts);
  }
}

function checkAlias(alias: AliasDefinition, counts: Counts): void {
  const { target } = alias;
  if (target.kind === 'export') counts.expect('instance', target.instance);
  else if (target.kind === 'core-export') counts.expect('core-instance', target.instance);
  else {
    let outer: Counts | undefined = counts;
    for (let i = 0; i < target.count && outer !== undefined; i++) outer = outer.parent;
    if (outer === undefined) {
      throw new ImageError(
        'malformed',
        `malformed component: an alias reaches ${target.count} components outward, past the top`,
      );
    }
    outer.expect(alias.sort, target.index);
  }
}

function checkCanon(canon: Canon, counts: Counts): void {
  switch (canon.kind) {
    case 'lift':
      counts.expect('core-func', canon.coreFunc);
      counts.expect('type', canon.type);
      checkOptions(canon.options, counts);
      return;
    case 'lower':
      counts.expect('func', canon.func);
      checkOptions(canon.options, counts);
      return;
    default:
      counts.expect('type', canon.resource);
  }
}

function checkOptions(options: CanonOptions, counts: Counts): void {
  if (options.memory !== undefined) counts.expect('core-memory', options.memory);
  if (options.realloc !== undefined) counts.expect('core-func', options.realloc);
  if (options.postReturn !== undefined) counts.expect('core-func', options.postReturn);
}

function checkExtern(type: ExternType, counts: Counts): void {
  if (type.sort === 'core-module') counts.expect('core-type', type.type);
  else if (type.sort !== 'type' || type.bound === 'eq') counts.expect('type', type.type);
}

function checkType(type: DefinedType, counts: Counts): void {
  if (type.kind === 'component' || type.kind === 'instance') {
    checkDeclarations(type.declarations, new Counts(counts));
    return;
  }
  if (type.kind === 'resource') {
    if (type.destructor !== undefined) counts.expect('core-func', type.destructor);
    return;
  }
  for (const used of typesUsed(type)) if (typeof used === 'number') counts.expect('type', used);
}

function checkDeclarations(declarations: readonly Declaration[], counts: Counts): void {
  for (const declaration of declarations) {
    if (declaration.kind === 'alias') checkAlias(declaration, counts);
    else if (declaration.kind === 'type') checkType(declaration.type, counts);
    else if (declaration.kind !== 'core-type') checkExtern(declaration.type, counts);
    counts.add(sortOf(declaration));
  }
}

/** The types another one is directly made of. */
function typesUsed(
  type: Exclude<DefinedType, { kind: 'component' | 'instance' | 'resource' }>,
): readonly (ValueType | undefined)[] {
  switch (type.kind) {
    case 'record':
      return type.fields.map((field) => field.type);
    case 'variant':
      return type.cases.map((each) => each.type);
    case 'list':
      return [type.element];
    case 'tuple':
      return type.elements;
    case 'option':
      return [type.some];
    case 'result':
      return [type.ok, type.error];
    case 'own':
    case 'borrow':
      return [type.resource];
    case 'func':
      return [...type.params.map((param) => param.type), type.result];
    default:
      return [];
  }
}
