/** The index spaces of one component while it is planned. */
import { ImageError } from '../engine.ts';
import type { FuncType, ResourceType, ValueType } from '../hart/abi/types.ts';
import type { Component, CoreSort, Declaration, Sort } from './component.ts';
import type { CoreRef, LiftedFunction } from './plan.ts';

/** A component-level type, resolved. */
export type TypeItem =
  | { readonly kind: 'value'; readonly type: ValueType }
  | { readonly kind: 'func'; readonly type: FuncType }
  | { readonly kind: 'resource'; readonly resource: ResourceType }
  /** Kept as written, with the scope its outer aliases refer to. */
  | {
      readonly kind: 'instance';
      readonly declarations: readonly Declaration[];
      readonly scope: Scope;
    }
  | { readonly kind: 'component' };

export type FuncItem =
  | { readonly kind: 'lifted'; readonly lifted: LiftedFunction }
  | {
      readonly kind: 'import';
      readonly interface: string;
      readonly name: string;
      readonly type: FuncType;
    };

/** One entry of an index space. */
export type Item =
  | {
      readonly sort: 'core-func' | 'core-table' | 'core-memory' | 'core-global';
      readonly ref: CoreRef;
    }
  | { readonly sort: 'core-type' }
  | { readonly sort: 'core-module'; readonly module: number }
  /** A step of the plan, or exports gathered from others. */
  | { readonly sort: 'core-instance'; readonly instance: number | ReadonlyMap<string, CoreRef> }
  | { readonly sort: 'func'; readonly func: FuncItem }
  | { readonly sort: 'type'; readonly type: TypeItem }
  | { readonly sort: 'component'; readonly component: Component; readonly scope: Scope }
  | { readonly sort: 'instance'; readonly exports: ReadonlyMap<string, Item> };

export type ItemOf<S extends Sort> = Extract<Item, { sort: S }>;

export class Scope {
  /** The component instance this is; scopes of instance types share their component's. */
  readonly component: number;
  readonly #parent: Scope | undefined;
  readonly #spaces = new Map<Sort, Item[]>();

  constructor(component: number, parent: Scope | undefined) {
    this.component = component;
    this.#parent = parent;
  }

  push(item: Item): void {
    const space = this.#spaces.get(item.sort);
    if (space === undefined) this.#spaces.set(item.sort, [item]);
    else space.push(item);
  }

  /** @throws ImageError 'malformed' when nothing was defined at that index before. */
  get<S extends Sort>(sort: S, index: number): ItemOf<S> {
    const item = this.#spaces.get(sort)?.[index];
    if (item === undefined)
      throw new ImageError('malformed', `${sort} ${index} is used but was not defined before`);
    // Spaces hold items of their own sort only: `push` files them by it.
    return item as ItemOf<S>;
  }

  coreRef(sort: CoreSort, index: number): CoreRef {
    const item: Item = this.get(sort, index);
    if (!('ref' in item)) throw new ImageError('malformed', `${sort} ${index} is no core item`);
    return item.ref;
  }

  outer(count: number): Scope {
    if (count === 0) return this;
    if (this.#parent === undefined)
      throw new ImageError('malformed', 'an alias reaches outward past the top component');
    return this.#parent.outer(count - 1);
  }
}
