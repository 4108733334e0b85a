/** Calls across the canonical ABI: host functions as core imports, core exports as JavaScript functions, and one as the other. */
import type { MaybePromise } from '../../process-host.ts';
import { CallScope } from './context.ts';
import type { AbiContext } from './context.ts';
import { liftFlat, lowerFlat } from './flat.ts';
import { flatten, layoutOf, paramsTuple } from './layout.ts';
import { load, store } from './memory.ts';
import type { CoreValue, FuncType } from './types.ts';

/** Gets one value per parameter; returns the result as a value (a WIT result too: `{ tag, val }`). */
export type HostFunction = (args: readonly unknown[]) => unknown;
export type CoreFunction = (...args: CoreValue[]) => CoreValue | undefined;
export type MaybeAsyncCoreFunction = (...args: CoreValue[]) => MaybePromise<CoreValue | undefined>;

/** What a `canon lift` binds together. */
export interface Lifted {
  readonly type: FuncType;
  readonly ctx: AbiContext;
  /** The core function, or its `WebAssembly.promising` form where it may suspend. */
  readonly coreFn: MaybeAsyncCoreFunction;
  /** Gets the core results; frees what they point to. */
  readonly postReturn?: ((...results: CoreValue[]) => void) | undefined;
}

/**
 * `canon lower`: a host function as a core import. Returns a promise only if `hostFn` did; the caller wraps it in
 * `WebAssembly.Suspending` where that can happen. Borrows given to `hostFn` stay lent until it is done.
 * @throws Trap for anything the guest passes that is not of its type; whatever `hostFn` throws goes through
 */
export function lowerImport(
  type: FuncType,
  ctx: AbiContext,
  hostFn: HostFunction,
): MaybeAsyncCoreFunction {
  const signature = flatten(type, 'lower');
  const tuple = paramsTuple(type);
  const { size, align } = layoutOf(tuple);
  const finish = (scope: CallScope, value: unknown, flat: CoreValue[]): CoreValue | undefined => {
    scope.endLoans();
    if (type.result === undefined) return undefined;
    if (signature.indirectResult) {
      const pointer = Number(flat[signature.params.length - 1]) >>> 0;
      const layout = layoutOf(type.result);
      scope.check(pointer, layout.size, layout.align);
      store(scope, type.result, value, pointer);
      return undefined;
    }
    const out: CoreValue[] = [];
    lowerFlat(scope, type.result, value, out);
    return out[0];
  };
  return (...flat) => {
    if (ctx.instance?.mayLeave === false)
      return ctx.trap('an import was called from realloc or post-return');
    const scope = new CallScope(ctx);
    let args: unknown;
    if (signature.indirectParams) {
      const pointer = Number(flat[0]) >>> 0;
      scope.check(pointer, size, align);
      args = load(scope, tuple, pointer);
    } else {
      args = liftFlat(scope, tuple, flat);
    }
    // A tuple lifts to an array.
    const value = hostFn(args as unknown[]);
    if (value instanceof Promise)
      return value.then((settled: unknown) => finish(scope, settled, flat));
    return finish(scope, value, flat);
  };
}

/**
 * `canon lift`: a guest's export as a JavaScript function. Returns a promise only if the core function did.
 * @throws Trap for what the guest returns; whatever the core function throws goes through
 */
export function liftExport(lifted: Lifted): (args: readonly unknown[]) => unknown {
  const { type, ctx, coreFn, postReturn } = lifted;
  const signature = flatten(type, 'lift');
  const tuple = paramsTuple(type);
  const { size, align } = layoutOf(tuple);
  const finish = (scope: CallScope, core: CoreValue | undefined): unknown => {
    let value: unknown;
    if (type.result !== undefined && signature.indirectResult) {
      const pointer = Number(core) >>> 0;
      const layout = layoutOf(type.result);
      scope.check(pointer, layout.size, layout.align);
      value = load(scope, type.result, pointer);
    } else if (type.result !== undefined) {
      value = liftFlat(scope, type.result, core === undefined ? [] : [core]);
    }
    scope.endLoans();
    if (postReturn !== undefined) {
      if (ctx.instance !== undefined) ctx.instance.mayLeave = false;
      if (core === undefined) postReturn();
      else postReturn(core);
      if (ctx.instance !== undefined) ctx.instance.mayLeave = true;
    }
    if (scope.borrows > 0) ctx.trap('a borrowed handle was kept after the call it was lent to');
    if (ctx.instance !== undefined) ctx.instance.entered = false;
    return value;
  };
  return (args) => {
    // After a trap `entered` stays set: the instance is not to be used again.
    if (ctx.instance?.entered === true) ctx.trap('a component was entered a second time');
    if (ctx.instance !== undefined) ctx.instance.entered = true;
    const scope = new CallScope(ctx);
    const flat: CoreValue[] = [];
    if (signature.indirectParams) {
      const pointer = scope.alloc(align, size);
      store(scope, tuple, args, pointer);
      flat.push(pointer);
    } else {
      lowerFlat(scope, tuple, args, flat);
    }
    const core = coreFn(...flat);
    if (core instanceof Promise)
      return core.then((settled: CoreValue | undefined) => finish(scope, settled));
    return finish(scope, core);
  };
}

/** One component's lifted export as another's core import. `type` is the importer's view of the same function. */
export function fuse(lifted: Lifted, type: FuncType, ctx: AbiContext): MaybeAsyncCoreFunction {
  return lowerImport(type, ctx, liftExport(lifted));
}
