/** What an interface of WASI is to the linker, and how a component's import names match ours. */
import type { ResourceType } from '../abi/types.ts';

/**
 * One WIT function, by values of the canonical ABI (abi/types.ts); a method gets its resource first. Returns a value, or a promise
 * if the guest must wait. Declared as a method: the canonical ABI has checked the arguments against the WIT, so implementations
 * may name the types they expect.
 */
export type WasiFunction = { call(...args: unknown[]): unknown }['call'];

export interface WasiInterface {
  /** By WIT name: `now`, `[method]pollable.block`. */
  readonly functions: Readonly<Record<string, WasiFunction>>;
  /** Resources this interface defines, by WIT name; the same identities for all processes. None needs a destructor. */
  readonly resources: Readonly<Record<string, ResourceType>>;
}

/** An interface, most of which define no resource. */
export function interfaceOf(
  functions: WasiInterface['functions'],
  resources: WasiInterface['resources'] = {},
): WasiInterface {
  return { functions, resources };
}

export type WasiResult<T, E> =
  | { readonly tag: 'ok'; readonly val?: T }
  | { readonly tag: 'err'; readonly val: E };

export function ok(): { readonly tag: 'ok' };
export function ok<T>(val: T): { readonly tag: 'ok'; readonly val: T };
export function ok(val?: unknown): { readonly tag: 'ok'; readonly val?: unknown } {
  return val === undefined ? { tag: 'ok' } : { tag: 'ok', val };
}

export function err<E>(val: E): { readonly tag: 'err'; readonly val: E } {
  return { tag: 'err', val };
}

/**
 * Any 0.2 release, and the candidates of late 2023: Rust components of kinode's 0.7 days import `0.2.0-rc-2023-11-10`. Taking the
 * name is safe, because the type of every function is compared with ours (signatures.ts); what they use did not change.
 */
const versioned =
  /^(wasi:[a-z][a-z0-9-]*\/[a-z][a-z0-9-]*)@0\.2\.(?:(?:0|[1-9][0-9]{0,8})|0-rc-2023-1[0-2]-[0-3][0-9])$/;

/**
 * The interface that an import names, without its version; undefined unless the version is 0.2.x. Interfaces that we
 * do not have (`wasi:http/types`) are named too: whoever looks them up finds nothing. Source: kernel.md §5.8, K119.
 */
export function unversioned(importName: string): string | undefined {
  return versioned.exec(importName)?.[1];
}
