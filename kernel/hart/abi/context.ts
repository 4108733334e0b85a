/** What one `canon lift` or `canon lower` works on: a component instance's memory, allocator, string encoding and handles. */
import type { BorrowScope, Handle, ResourceTable } from './resource-table.ts';
import type { ResourceType } from './types.ts';

export type StringEncoding = 'utf8' | 'utf16' | 'latin1+utf16';

/** Where a component instance stands; one object shared by all its contexts. */
export interface InstanceState {
  /** False while its realloc or post-return runs: then it may call no import. */
  mayLeave: boolean;
  /** True while one of its exports runs: then no other may be called. */
  entered: boolean;
}

export interface AbiContext {
  /** The memory's present buffer: asked again after every guest call, because growing replaces it. */
  memory(): ArrayBufferLike;
  /** The guest's allocator: old pointer, old size, alignment, new size. */
  readonly realloc?:
    | ((pointer: number, oldBytes: number, align: number, newBytes: number) => number)
    | undefined;
  readonly encoding: StringEncoding;
  readonly resources: ResourceTable;
  readonly instance?: InstanceState | undefined;
  /** Throws `Trap` from kernel/process-host.ts. */
  trap(message: string): never;
}

/**
 * Host memory one call may fill by lifting, in bytes. Lists inside guest memory can overlap, so that 10 KB of guest
 * memory could otherwise describe gigabytes.
 */
export const liftedBytesMax = 128 * 1024 * 1024;
/** What a list element or a record is charged beside its bytes: about what it costs V8. */
export const liftedValueBytes = 16;

interface Views {
  readonly buffer: ArrayBufferLike;
  readonly bytes: Uint8Array;
  readonly data: DataView;
}

const viewsOf = new WeakMap<ArrayBufferLike, Views>();

/** One call's use of a context: its views of memory, what it has lent and borrowed, what it has lifted. */
export class CallScope implements BorrowScope {
  borrows = 0;
  readonly ctx: AbiContext;
  #views: Views | undefined;
  #lenders: Handle[] | undefined;
  #lifted = 0;

  constructor(ctx: AbiContext) {
    this.ctx = ctx;
  }

  get bytes(): Uint8Array {
    return this.#current().bytes;
  }

  get data(): DataView {
    return this.#current().data;
  }

  /** Checks a pointer that the guest gave. */
  check(pointer: number, byteLength: number, align: number): void {
    if (pointer % align !== 0) this.ctx.trap(`pointer ${pointer} is not aligned to ${align} bytes`);
    if (pointer + byteLength > this.bytes.length)
      this.ctx.trap(`${byteLength} bytes at pointer ${pointer} are out of bounds of memory`);
  }

  /** Allocates in the guest. */
  alloc(align: number, byteLength: number): number {
    const { ctx } = this;
    if (ctx.realloc === undefined) return ctx.trap('the component has no realloc');
    if (byteLength > 0x7fff_ffff) return ctx.trap(`a value of ${byteLength} bytes is too long`);
    const { instance } = ctx;
    if (instance !== undefined) instance.mayLeave = false;
    const pointer = ctx.realloc(0, 0, align, byteLength) >>> 0;
    if (instance !== undefined) instance.mayLeave = true;
    if (pointer % align !== 0)
      return ctx.trap(`realloc returned ${pointer}, not aligned to ${align} bytes`);
    if (pointer + byteLength > this.bytes.length)
      return ctx.trap(`realloc returned ${pointer}, ${byteLength} bytes there are out of bounds`);
    return pointer;
  }

  /** Charges what is about to be lifted to the host. */
  spend(bytes: number): void {
    this.#lifted += bytes;
    if (this.#lifted > liftedBytesMax)
      this.ctx.trap(`a call may pass at most ${liftedBytesMax} bytes of values`);
  }

  /** Lifts a borrow: the handle cannot go away until `endLoans`. */
  lend(type: ResourceType, index: number): unknown {
    const handle = this.ctx.resources.get(type, index);
    handle.lends += 1;
    (this.#lenders ??= []).push(handle);
    return handle.value;
  }

  endLoans(): void {
    if (this.#lenders === undefined) return;
    for (const handle of this.#lenders) handle.lends -= 1;
    this.#lenders = undefined;
  }

  #current(): Views {
    const buffer = this.ctx.memory();
    if (this.#views?.buffer === buffer) return this.#views;
    let views = viewsOf.get(buffer);
    if (views === undefined) {
      views = { buffer, bytes: new Uint8Array(buffer), data: new DataView(buffer) };
      viewsOf.set(buffer, views);
    }
    this.#views = views;
    return views;
  }
}
