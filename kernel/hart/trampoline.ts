/**
 * The wasm between guests and the host (findings.md F2). Every host function is called through it: it calls JavaScript, and executes
 * `unreachable` when the process's dead flag is up. So a kill and a host's refusal are traps, which no guest can catch, and no
 * JavaScript exception ever travels through guest code.
 *
 * All JavaScript is called plainly. A function that must wait says so, and only then does the trampoline call the suspending import
 * for its result type. (A suspending import suspends even when its JavaScript has a result at once: that cost every call a turn of
 * the microtask queue, and let guests run on outside of their slice.) One without a result says so by returning 1 (WAIT) or 0 (GO_ON);
 * one with a result by raising the `wait` flag, which is dearer: JavaScript needs 30 to 70 ns to set a global.
 *
 * Imports `hl.dead`, `hl.wait` (mutable i32 globals of the process), `hl.yield`, `hl.wait_<type>` (suspending), and
 * `host.<n>`; exports `yield`, `memory_grow`, `table_grow`, and `<n>`.
 */
import type { CoreType } from './abi/types.ts';

/** What the JavaScript of a suspending function without a result returns. */
export const GO_ON = 0;
export const WAIT = 1;

export interface TrampolineSignature {
  readonly params: readonly CoreType[];
  readonly results: readonly CoreType[];
  /** Whether its JavaScript may ask to wait. */
  readonly suspending: boolean;
}

const VALUE_TYPE: Record<CoreType, number> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c };
const OP = {
  unreachable: 0x00,
  if: 0x04,
  end: 0x0b,
  call: 0x10,
  drop: 0x1a,
  get: 0x20,
  globalGet: 0x23,
  globalSet: 0x24,
  const: 0x41,
};
/** The name of every trampoline module, by which trap reports leave its frames out. */
export const TRAMPOLINE_NAME = 'hl';
const VOID = 0x40;
const DEAD = 0;
const WAIT_GLOBAL = 1;
/** Imported functions before the host's own: yield, memory_grow, table_grow, then one wait for each result type. */
const YIELD = 0;
const MEMORY_GROW = 1;
const TABLE_GROW = 2;
const WAITS = 3;

/** The result types a waiting function can have; `wait_void` is for none. */
export const WAIT_RESULTS = ['void', 'i32', 'i64', 'f32', 'f64'] as const;
const FIXED = WAITS + WAIT_RESULTS.length;

/** The bytes of a trampoline module for these host functions, in order. */
export function trampolineModule(signatures: readonly TrampolineSignature[]): Uint8Array {
  const types = new Types();
  const plain = (params: CoreType[], results: CoreType[]): TrampolineSignature => ({
    params,
    results,
    suspending: false,
  });
  const grow = [plain(['i32', 'i32'], ['i32']), plain(['i32'], ['i32'])] as const;
  const fixed = [
    { name: 'yield', type: plain([], ['i32']) },
    { name: 'memory_grow', type: grow[0] },
    { name: 'table_grow', type: grow[1] },
    ...WAIT_RESULTS.map((result) => ({
      name: `wait_${result}`,
      type: plain([], result === 'void' ? [] : [result]),
    })),
  ];
  const imports = [
    importGlobal('dead'),
    importGlobal('wait'),
    ...fixed.map(({ name, type }) => importFunction('hl', name, types.of(type))),
    ...signatures.map((signature, i) =>
      importFunction('host', `${i}`, types.of(behind(signature))),
    ),
  ];
  const count = FIXED + signatures.length;
  const bodies = [
    [OP.call, YIELD, ...waitIfAsked([], types), ...trapIfDead()],
    // Growing is allowed anywhere, realloc included, and its JavaScript cannot fail.
    [OP.get, 0, OP.get, 1, OP.call, MEMORY_GROW],
    [OP.get, 0, OP.call, TABLE_GROW],
    ...signatures.map((signature, i) => [
      ...trapIfDead(),
      ...signature.params.flatMap((_, p) => [OP.get, ...leb(p)]),
      OP.call,
      ...leb(FIXED + i),
      ...(signature.suspending ? waitIfAsked(signature.results, types) : []),
      ...trapIfDead(),
    ]),
  ];
  const exported = ['yield', 'memory_grow', 'table_grow', ...signatures.map((_, i) => `${i}`)];
  const functions = [plain([], []), ...grow, ...signatures].map((signature) =>
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

/** The signature of the JavaScript behind a host function. */
function behind(signature: TrampolineSignature): TrampolineSignature {
  return signature.suspending && signature.results.length === 0
    ? { ...signature, results: ['i32'] }
    : signature;
}

/** With what JavaScript returned on the stack: replaces it by what the guest waits for, when the host asked to wait. */
function waitIfAsked([result]: readonly CoreType[], types: Types): number[] {
  const wait = WAITS + WAIT_RESULTS.indexOf(result ?? 'void');
  if (result === undefined) return [OP.if, VOID, OP.call, wait, OP.end];
  const lower = [OP.const, 0, OP.globalSet, WAIT_GLOBAL];
  const block = types.of({ params: [result], results: [result], suspending: false });
  return [
    OP.globalGet,
    WAIT_GLOBAL,
    OP.if,
    ...leb(block),
    OP.drop,
    ...lower,
    OP.call,
    wait,
    OP.end,
  ];
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
