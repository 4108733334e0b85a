/**
 * The wasm between guests and the host (findings.md F2, F7). Every host function is called through it: it checks that the guest may
 * leave, calls JavaScript, and executes `unreachable` when the process's dead flag is up. So a kill and a host's refusal are traps,
 * which no guest can catch, and no JavaScript exception ever travels through guest code.
 *
 * Imports `hl.dead` and `hl.mode` (mutable i32 globals of the process), `hl.yield_now` (plain) and `hl.yield` (suspending), and
 * `host.<n>`; exports `yield`, `memory_grow`, `table_grow`, and `<n>`.
 */
import type { CoreType } from './abi/types.ts';

/** Values of `hl.mode`. */
export const MODE = {
  /** Guest code may suspend and call the host. */
  free: 0,
  /** Under realloc or post-return: no host call, no suspending. */
  closed: 1,
  /** Under a start function: host calls that never suspend only. */
  starting: 2,
} as const;

export interface TrampolineSignature {
  readonly params: readonly CoreType[];
  readonly results: readonly CoreType[];
  /** Whether its JavaScript may return a promise, so that it is imported as `WebAssembly.Suspending`. */
  readonly suspending: boolean;
}

const VALUE_TYPE: Record<CoreType, number> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c };
const OP = {
  unreachable: 0x00,
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  call: 0x10,
  get: 0x20,
  globalGet: 0x23,
  const: 0x41,
  eq: 0x46,
};
const VOID = 0x40;
const DEAD = 0;
const MODE_GLOBAL = 1;
/** The name of every trampoline module, by which trap reports leave its frames out. */
export const TRAMPOLINE_NAME = 'hl';
/** Imported functions before the host's own: yield_now, yield, memory_grow, table_grow. */
const FIXED = 4;

/** The bytes of a trampoline module for these host functions, in order. */
export function trampolineModule(signatures: readonly TrampolineSignature[]): Uint8Array {
  const types = new Types();
  const fixed: TrampolineSignature[] = [
    { params: [], results: [], suspending: false },
    { params: [], results: [], suspending: true },
    { params: ['i32', 'i32'], results: ['i32'], suspending: false },
    { params: ['i32'], results: ['i32'], suspending: false },
  ];
  const names = ['yield_now', 'yield', 'memory_grow', 'table_grow'];
  const imports = [
    importGlobal('dead'),
    importGlobal('mode'),
    ...fixed.map((signature, i) => importFunction('hl', names[i]!, types.of(signature))),
    ...signatures.map((signature, i) => importFunction('host', `${i}`, types.of(signature))),
  ];
  const count = FIXED + signatures.length;
  const bodies = [
    [
      OP.globalGet,
      MODE_GLOBAL,
      OP.if,
      VOID,
      OP.call,
      0,
      OP.else,
      OP.call,
      1,
      OP.end,
      ...trapIfDead(),
    ],
    // Growing is allowed anywhere, realloc included, and its JavaScript cannot fail.
    [OP.get, 0, OP.get, 1, OP.call, 2],
    [OP.get, 0, OP.call, 3],
    ...signatures.map((signature, i) => [
      ...trapIfDead(),
      OP.globalGet,
      MODE_GLOBAL,
      ...(signature.suspending ? [] : [OP.const, MODE.closed, OP.eq]),
      ...[OP.if, VOID, OP.unreachable, OP.end],
      ...signature.params.flatMap((_, p) => [OP.get, ...leb(p)]),
      OP.call,
      ...leb(FIXED + i),
      ...trapIfDead(),
    ]),
  ];
  const exported = ['yield', 'memory_grow', 'table_grow', ...signatures.map((_, i) => `${i}`)];
  const functions = [fixed[0]!, fixed[2]!, fixed[3]!, ...signatures].map((signature) =>
    leb(types.of(signature)),
  );
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, types.encoded),
    ...section(2, imports),
    ...section(3, functions),
    ...section(
      7,
      exported.map((name, i) => [...text(name), 0x00, ...leb(count + i)]),
    ),
    ...section(
      10,
      bodies.map((code) => withLength([0, ...code, OP.end])),
    ),
    // The custom section "name" with the module's.
    ...[0, ...withLength([...text('name'), 0, ...withLength(text(TRAMPOLINE_NAME))])],
  ]);
}

function trapIfDead(): number[] {
  return [OP.globalGet, DEAD, OP.if, VOID, OP.unreachable, OP.end];
}

class Types {
  readonly encoded: number[][] = [];
  readonly #index = new Map<string, number>();

  of({ params, results }: TrampolineSignature): number {
    const key = `${params.join()}>${results.join()}`;
    const known = this.#index.get(key);
    if (known !== undefined) return known;
    const types = (list: readonly CoreType[]): number[] => [
      ...leb(list.length),
      ...list.map((type) => VALUE_TYPE[type]),
    ];
    this.encoded.push([0x60, ...types(params), ...types(results)]);
    this.#index.set(key, this.encoded.length - 1);
    return this.encoded.length - 1;
  }
}

function importGlobal(name: string): number[] {
  return [...text('hl'), ...text(name), 0x03, VALUE_TYPE.i32, 0x01];
}

function importFunction(module: string, name: string, type: number): number[] {
  return [...text(module), ...text(name), 0x00, ...leb(type)];
}

function section(id: number, items: readonly (readonly number[])[]): number[] {
  return [id, ...withLength([...leb(items.length), ...items.flat()])];
}

function withLength(bytes: readonly number[]): number[] {
  return [...leb(bytes.length), ...bytes];
}

function text(name: string): number[] {
  return withLength([...new TextEncoder().encode(name)]);
}

function leb(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest & 0x7f;
    rest >>>= 7;
    bytes.push(rest === 0 ? low : low | 0x80);
  } while (rest !== 0);
  return bytes;
}
