/**
 * The index spaces of a component as lists, and the one question validation asks of them: what is the type of that function?
 * Indices were checked before (check-indices.ts), so every step leads to something defined earlier.
 */
import { ImageError } from '../engine.ts';
import type { Component, Declaration, DefinedType, Definition, Sort } from './component.ts';

/** Steps from an export to its type: aliases, exports of exports, imports of nested components. */
const STEPS_MAX = 256;

/** The space a definition appends to. */
export function sortOf(definition: Definition | Declaration): Sort {
  switch (definition.kind) {
    case 'alias':
    case 'export':
      return definition.sort;
    case 'import':
    case 'export-declaration':
      return definition.type.sort;
    case 'canon':
      return definition.canon.kind === 'lift' ? 'func' : 'core-func';
    default:
      return definition.kind;
  }
}

/** A component or instance type with what lies around it. */
export class Lookup {
  readonly #parent: Lookup | undefined;
  readonly #spaces = new Map<Sort, (Definition | Declaration)[]>();
  readonly #exports = new Map<string, Definition | Declaration>();

  constructor(definitions: readonly (Definition | Declaration)[], parent: Lookup | undefined) {
    this.#parent = parent;
    for (const definition of definitions) {
      const sort = sortOf(definition);
      const space = this.#spaces.get(sort);
      if (space === undefined) this.#spaces.set(sort, [definition]);
      else space.push(definition);
      if (definition.kind === 'export' || definition.kind === 'export-declaration') {
        this.#exports.set(definition.name, definition);
      }
    }
  }

  at(sort: Sort, index: number): Definition | Declaration | undefined {
    return this.#spaces.get(sort)?.[index];
  }

  exported(name: string): Definition | Declaration | undefined {
    return this.#exports.get(name);
  }

  outer(count: number): Lookup | undefined {
    return count === 0 ? this : this.#parent?.outer(count - 1);
  }
}

/** An item and the spaces its own indices refer to. */
interface Found {
  readonly item: Definition | Declaration;
  readonly scope: Lookup;
}

/** A type and the spaces its own indices refer to. */
export interface FoundType {
  readonly type: DefinedType;
  readonly scope: Lookup;
}

/** Follows references inside one component; refuses to follow too many. */
export class Resolver {
  readonly #lookups = new Map<readonly (Definition | Declaration)[], Lookup>();
  #steps = 0;

  /** The spaces of definitions that stand in one place only, and so always have the same parent. */
  #lookup(definitions: readonly (Definition | Declaration)[], parent: Lookup): Lookup {
    const known = this.#lookups.get(definitions);
    if (known !== undefined) return known;
    const made = new Lookup(definitions, parent);
    this.#lookups.set(definitions, made);
    return made;
  }

  /** The type of a function of `scope`; undefined when it leads to no function type. */
  funcType(scope: Lookup, index: number): FoundType | undefined {
    const found = this.#source({ sort: 'func', index, scope });
    if (found === undefined) return undefined;
    const { item } = found;
    if (item.kind === 'canon' && item.canon.kind === 'lift') {
      return this.type(found.scope, item.canon.type);
    }
    if ((item.kind === 'import' || item.kind === 'export-declaration') && 'type' in item.type) {
      return this.type(found.scope, item.type.type);
    }
    return undefined;
  }

  /** The definition a type index stands for; undefined when it is a resource or leads to no type. */
  type(scope: Lookup, index: number): FoundType | undefined {
    const found = this.#source({ sort: 'type', index, scope });
    if (found === undefined) return undefined;
    const { item } = found;
    if (item.kind === 'type') return { type: item.type, scope: found.scope };
    if ((item.kind === 'import' || item.kind === 'export-declaration') && 'type' in item.type) {
      return this.type(found.scope, item.type.type);
    }
    return undefined;
  }

  /** Follows aliases and exports to where an item comes from. */
  #source(from: { sort: Sort; index: number; scope: Lookup }): Found | undefined {
    const { sort, scope } = from;
    return this.#trace(scope.at(sort, from.index), scope);
  }

  #trace(item: Definition | Declaration | undefined, scope: Lookup): Found | undefined {
    if (++this.#steps > STEPS_MAX) {
      throw new ImageError('limit', `component too big: a type is over ${STEPS_MAX} steps away`);
    }
    if (item?.kind === 'export') {
      return this.#source({ sort: item.sort, index: item.index, scope });
    }
    if (item?.kind !== 'alias') return item && { item, scope };
    const { target, sort } = item;
    if (target.kind === 'outer') {
      const outer = scope.outer(target.count);
      return outer && this.#source({ sort, index: target.index, scope: outer });
    }
    if (target.kind === 'core-export') return { item, scope };
    return this.#exportOf(
      this.#source({ sort: 'instance', index: target.instance, scope }),
      target.name,
    );
  }

  #exportOf(instance: Found | undefined, name: string): Found | undefined {
    if (instance === undefined) return undefined;
    const { item, scope } = instance;
    if (item.kind === 'instance' && item.from.kind === 'exports') {
      const named = item.from.exports.find((e) => e.name === name);
      return named && this.#source({ sort: named.sort, index: named.index, scope });
    }
    if (item.kind === 'instance' && item.from.kind === 'instantiate') {
      const component = this.#source({ sort: 'component', index: item.from.component, scope });
      if (component?.item.kind !== 'component') return undefined;
      const inner = this.#lookup(component.item.component.definitions, component.scope);
      return this.#trace(inner.exported(name), inner);
    }
    if ((item.kind === 'import' || item.kind === 'export-declaration') && 'type' in item.type) {
      const found = this.type(scope, item.type.type);
      if (found?.type.kind !== 'instance') return undefined;
      const inner = this.#lookup(found.type.declarations, found.scope);
      return this.#trace(inner.exported(name), inner);
    }
    return undefined;
  }
}

/** The spaces of a whole component. */
export function lookup(component: Component): Lookup {
  return new Lookup(component.definitions, undefined);
}
