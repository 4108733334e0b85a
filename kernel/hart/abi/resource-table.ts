/** The handles of one component instance: what its guest code knows as i32 indices. */
import { Trap } from '../../process-host.ts';
import type { ResourceType } from './types.ts';

/** Handles one component instance can hold at a time. */
export const handlesMax = 16_384;

/** Counts the borrows that a call has handed to a guest; they must be gone when it returns. */
export interface BorrowScope {
  borrows: number;
}

export interface Handle {
  readonly type: ResourceType;
  /** The host's object, or a guest resource's rep. */
  readonly value: unknown;
  readonly own: boolean;
  /** Calls in progress that were lent this handle. */
  lends: number;
  /** Of a borrow: the call that it ends with. */
  readonly scope: BorrowScope | undefined;
}

export interface TableOptions {
  readonly handlesMax?: number;
  /** What `ResourceType.implementer` says of the resources this component instance defines. Default: the table itself. */
  readonly component?: object;
  /** Destroys a resource that a component of the process defines; without it the type's own destructor runs. */
  readonly destroy?: (type: ResourceType, rep: number) => void | Promise<void>;
}

export class ResourceTable {
  // Index 0 is never a handle.
  readonly #handles: (Handle | undefined)[] = [undefined];
  readonly #free: number[] = [];
  readonly #max: number;
  readonly #component: object;
  readonly #destroy: TableOptions['destroy'];

  constructor(options: TableOptions = {}) {
    this.#max = options.handlesMax ?? handlesMax;
    this.#component = options.component ?? this;
    this.#destroy = options.destroy;
  }

  /** Whether this table's component instance defines the resource. */
  implements(type: ResourceType): boolean {
    return type.implementer === this.#component;
  }

  /** Handles held now. */
  get size(): number {
    return this.#handles.length - 1 - this.#free.length;
  }

  /**
   * Adds a handle: owning, or borrowed for `scope`.
   * @throws Trap when the table is full
   */
  add(type: ResourceType, value: unknown, scope?: BorrowScope): number {
    const handle: Handle = { type, value, own: scope === undefined, lends: 0, scope };
    if (scope !== undefined) scope.borrows += 1;
    const free = this.#free.pop();
    if (free !== undefined) {
      this.#handles[free] = handle;
      return free;
    }
    if (this.#handles.length > this.#max)
      throw new Trap(`a component may hold at most ${this.#max} resource handles`);
    return this.#handles.push(handle) - 1;
  }

  /** @throws Trap when there is no such handle or it is of another type */
  get(type: ResourceType, index: number): Handle {
    const handle = this.#handles[index];
    if (handle === undefined) throw new Trap(`unknown handle index ${index}`);
    if (handle.type !== type)
      throw new Trap(`handle index ${index} is a ${handle.type.name}, not a ${type.name}`);
    return handle;
  }

  /**
   * Moves an owning handle out; its value goes to the new owner.
   * @throws Trap for a borrow, for a handle lent to a call in progress, and as `get`
   */
  take(type: ResourceType, index: number): unknown {
    const handle = this.get(type, index);
    if (!handle.own) throw new Trap(`cannot give away the borrowed ${type.name} ${index}`);
    this.#remove(index, handle);
    return handle.value;
  }

  /** The built-in `resource.new`: an owning handle of this instance's own resource. */
  resourceNew(type: ResourceType, rep: number): number {
    return this.add(type, rep | 0);
  }

  /** The built-in `resource.rep`. */
  resourceRep(type: ResourceType, index: number): number {
    const { value } = this.get(type, index);
    if (typeof value !== 'number')
      throw new Trap(`${type.name} is not a resource of this component`);
    return value;
  }

  /** The built-in `resource.drop`: runs the destructor of an owned one. A promise only if the destructor returned one. */
  resourceDrop(type: ResourceType, index: number): void | Promise<void> {
    const handle = this.get(type, index);
    this.#remove(index, handle);
    if (handle.scope !== undefined) {
      handle.scope.borrows -= 1;
      return undefined;
    }
    if (type.implementer !== undefined && this.#destroy !== undefined)
      return this.#destroy(type, Number(handle.value));
    return type.destructor?.(handle.value);
  }

  /** At the end of the process: releases the host's resources. Runs no guest code. */
  [Symbol.dispose](): void {
    const handles = this.#handles.splice(1);
    this.#free.length = 0;
    for (const handle of handles) {
      if (handle?.own === true && handle.type.implementer === undefined)
        void handle.type.destructor?.(handle.value);
    }
  }

  #remove(index: number, handle: Handle): void {
    if (handle.lends > 0) throw new Trap(`${handle.type.name} ${index} is still borrowed`);
    this.#handles[index] = undefined;
    this.#free.push(index);
  }
}
