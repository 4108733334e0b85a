/** Component types from indices to closed structures, for the canonical ABI. */
import { ImageError } from '../engine.ts';
import {
  hostResource,
  type FuncType,
  type ResourceType,
  type ValueType,
} from '../hart/abi/types.ts';
import type { Declaration, DefinedType, ValueType as WrittenType } from './component.ts';
import { Scope, type Item, type ItemOf, type TypeItem } from './plan-scope.ts';

/** Deepest nesting of one type; a type is a tree here, so a deeper one could be exponentially large. */
const TYPE_DEPTH_MAX = 32;
/** Most nodes of one type once resolved; `filesystem/types` has under 200. */
const TYPE_NODES_MAX = 4_096;

const sizes = new WeakMap<object, { depth: number; nodes: number }>();

export function resolveType(type: DefinedType, scope: Scope): ItemOf<'type'> {
  return { sort: 'type', type: typeItem(type, scope) };
}

function typeItem(type: DefinedType, scope: Scope): TypeItem {
  switch (type.kind) {
    case 'func':
      return {
        kind: 'func',
        type: {
          params: type.params.map((param) => ({
            name: param.name,
            type: valueType(param.type, scope),
          })),
          ...(type.result === undefined ? {} : { result: valueType(type.result, scope) }),
        },
      };
    case 'instance':
      return { kind: 'instance', declarations: type.declarations, scope };
    case 'component':
      return { kind: 'component' };
    case 'resource':
      // A component's own are made by the planner, which knows their destructors.
      throw new ImageError('malformed', 'an instance type defines a resource in its own words');
    default:
      return { kind: 'value', type: measured(structure(type, scope)) };
  }
}

type Structural = Exclude<DefinedType, { kind: 'func' | 'instance' | 'component' | 'resource' }>;

function structure(type: Structural, scope: Scope): ValueType {
  const of = (written: WrittenType): ValueType => valueType(written, scope);
  switch (type.kind) {
    case 'primitive':
      return { kind: type.primitive };
    case 'record':
      return {
        kind: 'record',
        fields: type.fields.map((field) => ({ name: field.name, type: of(field.type) })),
      };
    case 'variant':
      return {
        kind: 'variant',
        cases: type.cases.map((one) =>
          one.type === undefined ? { name: one.name } : { name: one.name, type: of(one.type) },
        ),
      };
    case 'list':
      return { kind: 'list', element: of(type.element) };
    case 'tuple':
      return { kind: 'tuple', types: type.elements.map(of) };
    case 'flags':
    case 'enum':
      return { kind: type.kind, names: type.names };
    case 'option':
      return { kind: 'option', type: of(type.some) };
    case 'result':
      return {
        kind: 'result',
        ...(type.ok === undefined ? {} : { ok: of(type.ok) }),
        ...(type.error === undefined ? {} : { err: of(type.error) }),
      };
    case 'own':
    case 'borrow':
      return { kind: type.kind, resource: resource(type.resource, scope) };
  }
}

function resource(index: number, scope: Scope): ResourceType {
  const { type } = scope.get('type', index);
  if (type.kind !== 'resource')
    throw new ImageError('malformed', `type ${index} is used as a resource but is none`);
  return type.resource;
}

function valueType(written: WrittenType, scope: Scope): ValueType {
  if (typeof written === 'string') return { kind: written };
  const { type } = scope.get('type', written);
  if (type.kind !== 'value')
    throw new ImageError('malformed', `type ${written} is used as a value but is a ${type.kind}`);
  return type.type;
}

/** Refuses a type whose tree is too deep or too large, however small it is written. */
function measured(type: ValueType): ValueType {
  let depth = 0;
  let nodes = 1;
  for (const child of children(type)) {
    const size = sizes.get(child) ?? { depth: 1, nodes: 1 };
    depth = Math.max(depth, size.depth);
    nodes += size.nodes;
  }
  if (depth + 1 > TYPE_DEPTH_MAX || nodes > TYPE_NODES_MAX)
    throw new ImageError(
      'limit',
      `a type is nested over ${TYPE_DEPTH_MAX} deep or has over ${TYPE_NODES_MAX} parts`,
    );
  sizes.set(type, { depth: depth + 1, nodes });
  return type;
}

function children(type: ValueType): readonly ValueType[] {
  switch (type.kind) {
    case 'record':
      return type.fields.map((field) => field.type);
    case 'variant':
      return type.cases.flatMap((one) => (one.type === undefined ? [] : [one.type]));
    case 'list':
      return [type.element];
    case 'tuple':
      return type.types;
    case 'option':
      return [type.type];
    case 'result':
      return [type.ok, type.err].filter((one) => one !== undefined);
    default:
      return [];
  }
}

/** @throws ImageError 'malformed' if the type at `index` is no function type. */
export function resolveFuncType(index: number, scope: Scope): FuncType {
  const { type } = scope.get('type', index);
  if (type.kind !== 'func')
    throw new ImageError('malformed', `type ${index} is used as a function but is a ${type.kind}`);
  return type.type;
}

/** The exports of an interface the host provides, by the instance type the component gives for it. */
export function importedInstance(
  name: string,
  type: number,
  scope: Scope,
): ReadonlyMap<string, Item> {
  const item = scope.get('type', type).type;
  if (item.kind !== 'instance')
    throw new ImageError('malformed', `import "${name}" has a type that is no instance type`);
  const inner = new Scope(item.scope.component, item.scope);
  const exports = new Map<string, Item>();
  for (const declaration of item.declarations) declare(name, declaration, inner, exports);
  return exports;
}

function declare(
  interfaceName: string,
  declaration: Declaration,
  scope: Scope,
  exports: Map<string, Item>,
): void {
  switch (declaration.kind) {
    case 'core-type':
      scope.push({ sort: 'core-type' });
      return;
    case 'type':
      scope.push(resolveType(declaration.type, scope));
      return;
    case 'alias': {
      const { target } = declaration;
      if (target.kind === 'outer') {
        scope.push(scope.outer(target.count).get(declaration.sort, target.index));
        return;
      }
      if (target.kind === 'export') {
        const found = scope.get('instance', target.instance).exports.get(target.name);
        if (found?.sort === declaration.sort) {
          scope.push(found);
          return;
        }
      }
      throw new ImageError(
        'malformed',
        `the type of import "${interfaceName}" has an alias that leads nowhere`,
      );
    }
    case 'export-declaration': {
      const made = declaredItem(interfaceName, declaration.name, declaration.type, scope);
      exports.set(declaration.name, made);
      scope.push(made);
      return;
    }
    case 'import':
      throw new ImageError('malformed', `the type of import "${interfaceName}" contains an import`);
  }
}

type Extern = Extract<Declaration, { kind: 'export-declaration' }>['type'];

function declaredItem(interfaceName: string, name: string, type: Extern, scope: Scope): Item {
  switch (type.sort) {
    case 'func':
      return {
        sort: 'func',
        func: {
          kind: 'import',
          interface: interfaceName,
          name,
          type: resolveFuncType(type.type, scope),
        },
      };
    case 'type':
      return type.bound === 'eq'
        ? scope.get('type', type.type)
        : {
            sort: 'type',
            type: { kind: 'resource', resource: hostResource(`${interfaceName}#${name}`) },
          };
    default:
      throw new ImageError(
        'unsupported-import',
        `import "${interfaceName}" has a ${type.sort} "${name}" inside; only functions and types are provided`,
      );
  }
}
