/**
 * What the fuel rewriter knows of each instruction: how its immediates are laid out, what it costs, and which ones a node refuses.
 * Source: WebAssembly core specification 2.0 §5.4, relaxed SIMD, tail calls; refusals after findings F6 and F11.
 */

/** Immediate layouts. Numbers, because the decoder looks one up per instruction of a 12 MB module. */
export const PLAIN = 1;
export const MEMARG = 2;
export const LOCAL = 3;
export const GLOBAL = 4;
export const SIGNED = 5;
export const BYTES_4 = 6;
export const BYTES_8 = 7;
export const INDEX = 8;
export const SPECIAL = 9;

/** Layout by first opcode byte; 0: refused. */
export const LAYOUT: Uint8Array = new Uint8Array(256);
/** Fuel units by first opcode byte. One unit is about one simple machine operation. */
export const WEIGHT: Uint8Array = new Uint8Array(256).fill(1);

/** Fuel for what is slower than one simple operation. */
const CALL_WEIGHT = 4;
const CALL_INDIRECT_WEIGHT = 6;
const SLOW_ARITHMETIC_WEIGHT = 4;
const RUNTIME_CALL_WEIGHT = 16;

const fill = (layout: number, ...ranges: readonly (readonly [number, number])[]): void => {
  for (const [first, last] of ranges) LAYOUT.fill(layout, first, last + 1);
};
fill(PLAIN, [0x01, 0x01], [0x1a, 0x1b], [0x45, 0xc4], [0xd1, 0xd1]);
fill(MEMARG, [0x28, 0x3e]);
fill(LOCAL, [0x20, 0x22]);
fill(GLOBAL, [0x23, 0x24]);
fill(INDEX, [0x25, 0x26]);
fill(SIGNED, [0x41, 0x42]);
fill(BYTES_4, [0x43, 0x43]);
fill(BYTES_8, [0x44, 0x44]);
// Control, calls, typed select, memory.size and grow, ref.null and ref.func, and the FC and FD prefixes.
fill(SPECIAL, [0x00, 0x00], [0x02, 0x05], [0x0b, 0x13], [0x1c, 0x1c], [0x3f, 0x40]);
fill(SPECIAL, [0xd0, 0xd0], [0xd2, 0xd2], [0xfc, 0xfd]);

for (const free of [0x01, 0x02, 0x03, 0x05, 0x0b]) WEIGHT[free] = 0;
for (const slow of [0x6d, 0x6e, 0x6f, 0x70, 0x7f, 0x80, 0x81, 0x82, 0x91, 0x95, 0x9f, 0xa3]) {
  WEIGHT[slow] = SLOW_ARITHMETIC_WEIGHT;
}
WEIGHT[0x0e] = 2;
WEIGHT[0x10] = CALL_WEIGHT;
WEIGHT[0x11] = CALL_INDIRECT_WEIGHT;
WEIGHT[0x12] = CALL_WEIGHT;
WEIGHT[0x13] = CALL_INDIRECT_WEIGHT;
WEIGHT[0x25] = 2;
WEIGHT[0x26] = 2;
WEIGHT[0xd2] = RUNTIME_CALL_WEIGHT;

/** Highest FD opcode we know: the last relaxed SIMD one. */
export const SIMD_LAST = 0x113;

/** Layouts after the FD prefix; lanes are one byte, constants and shuffles sixteen. */
export const LANE = 10;
export const MEMARG_LANE = 11;
export const BYTES_16 = 12;

/** Layout of the SIMD instruction `code` (0 .. SIMD_LAST). */
export function simdLayout(code: number): number {
  if (code <= 11 || code === 92 || code === 93) return MEMARG;
  if (code <= 13) return BYTES_16;
  if (code >= 21 && code <= 34) return LANE;
  if (code >= 84 && code <= 91) return MEMARG_LANE;
  return PLAIN;
}

/** Fuel of the SIMD instruction `code`: vector division and square root are several operations. */
export function simdWeight(code: number): number {
  return code === 0xe3 || code === 0xe7 || code === 0xef || code === 0xf3
    ? SLOW_ARITHMETIC_WEIGHT
    : 1;
}

/** The feature that an instruction we do not carry belongs to, for the refusal's text. */
export function refusedOpcode(opcode: number): string {
  if (opcode <= 0x0a || opcode === 0x18 || opcode === 0x19 || opcode === 0x1f) {
    const names: Readonly<Record<number, string>> = {
      0x06: 'try',
      0x07: 'catch',
      0x08: 'throw',
      0x09: 'rethrow',
      0x0a: 'throw_ref',
      0x18: 'delegate',
      0x19: 'catch_all',
      0x1f: 'try_table',
    };
    return `exceptions (${names[opcode] ?? hex(opcode)})`;
  }
  if (opcode === 0x14 || opcode === 0x15) {
    return `typed function references (${opcode === 0x14 ? 'call_ref' : 'return_call_ref'})`;
  }
  if (opcode >= 0xd4 && opcode <= 0xd6) return `typed function references (opcode ${hex(opcode)})`;
  if (opcode === 0xd3 || opcode === 0xfb) return `garbage collection (opcode ${hex(opcode)})`;
  if (opcode === 0xfe) return 'threads (atomic instructions)';
  if (opcode >= 0xe0 && opcode <= 0xe6) return `stack switching (opcode ${hex(opcode)})`;
  return `opcode ${hex(opcode)}`;
}

/** The feature of a value, heap or table type byte that we do not carry. */
export function refusedType(byte: number): string {
  if (byte === 0x69 || byte === 0x74) return 'exceptions (exnref)';
  if (byte === 0x63 || byte === 0x64) return 'typed function references (ref type)';
  if (byte === 0x68 || byte === 0x75) return 'stack switching (contref)';
  if (byte === 0x65) return 'threads (shared type)';
  if (byte >= 0x6a && byte <= 0x73) return `garbage collection (type ${hex(byte)})`;
  return `type ${hex(byte)}`;
}

export const hex = (value: number): string => `0x${value.toString(16).padStart(2, '0')}`;
