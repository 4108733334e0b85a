/** The compute market's signed documents as JSON: amounts and times as decimal texts, small numbers as numbers, bytes as `0x` hex. */
import { bool, codec, FAILED, i32, record, refined, text, u32, type Codec } from '../wit/codec.ts';
import { STRUCTS, type Struct, type StructName, type WordType } from './compute.ts';

/** Decimal text of 0 to 2^256-1, without leading zeros. */
export const wideNumber: Codec<bigint> = refined(
  text,
  'decimal text',
  (value) => wideIn(value, 256n),
  String,
);

const hexOf = (bytes: number): Codec<string> =>
  refined(
    text,
    `0x hex of ${bytes} bytes`,
    (value) => hexIn(value, bytes),
    (value) => value,
  );

/** 20 bytes, `0x` hex. */
export const addressText: Codec<string> = hexOf(20);
/** 32 bytes, `0x` hex. */
export const hashText: Codec<string> = hexOf(32);
/** r, s and v. */
export const signatureText: Codec<string> = hexOf(65);

const WORDS: Readonly<Record<WordType, Codec<unknown>>> = {
  address: addressText,
  bytes32: hashText,
  bool,
  int32: i32,
  uint8: upTo(0xff),
  uint16: upTo(0xffff),
  uint32: u32,
  uint64: wideUpTo(2n ** 64n),
  uint128: wideUpTo(2n ** 128n),
  uint256: wideNumber,
};

const made = new Map<StructName, Codec<unknown>>();

/** The codec of one of the documents. */
export function structCodec<N extends StructName>(name: N): Codec<Struct<N>> {
  let known = made.get(name);
  if (known === undefined) {
    const members = Object.entries<WordType>(STRUCTS[name]);
    known = record(Object.fromEntries(members.map(([member, type]) => [member, WORDS[type]])));
    made.set(name, known);
  }
  // Proof of the type: every member is read by the codec of its word.
  return known as Codec<Struct<N>>;
}

const CHECKS: Readonly<Record<WordType, (value: unknown) => unknown>> = {
  address: (value) => hexIn(value, 20),
  bytes32: (value) => hexIn(value, 32),
  bool: (value) => (typeof value === 'boolean' ? value : undefined),
  int32: (value) => integerIn(value, -0x8000_0000, 0x7fff_ffff),
  uint8: (value) => integerIn(value, 0, 0xff),
  uint16: (value) => integerIn(value, 0, 0xffff),
  uint32: (value) => integerIn(value, 0, 0xffff_ffff),
  uint64: (value) => wideIn(value, 64n),
  uint128: (value) => wideIn(value, 128n),
  uint256: (value) => wideIn(value, 256n),
};

/**
 * The same as `structCodec(name)` makes of the text that `value` was parsed from; in a guest, whose engine parses by itself, it takes a
 * third of the time. Undefined for what is none.
 */
export function structIn<N extends StructName>(name: N, value: unknown): Struct<N> | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const members: Record<string, unknown> = {};
  for (const [member, type] of Object.entries<WordType>(STRUCTS[name])) {
    const checked = CHECKS[type]((value as Readonly<Record<string, unknown>>)[member]);
    if (checked === undefined) return undefined;
    members[member] = checked;
  }
  // Proof of the type: every member is what its word may be.
  return members as unknown as Struct<N>;
}

/** `0x` hex of so many bytes; undefined for what is none. */
export function hexIn(value: unknown, bytes: number): string | undefined {
  if (typeof value !== 'string' || value.length !== 2 + 2 * bytes) return undefined;
  return value.startsWith('0x') && areDigits(value.slice(2)) ? value : undefined;
}

// Proof of the type: ES2026, in the guest engine and in Node; not in every browser.
const { fromHex } = Uint8Array as unknown as { readonly fromHex?: (digits: string) => Uint8Array };

/** Of an even length. By the engine: an expression costs a guest six hundred instructions a digit. */
function areDigits(digits: string): boolean {
  if (fromHex === undefined) return /^[0-9a-fA-F]*$/.test(digits);
  try {
    fromHex.call(Uint8Array, digits);
    return true;
  } catch {
    return false;
  }
}

function integerIn(value: unknown, least: number, most: number): number | undefined {
  const isOne = typeof value === 'number' && Number.isInteger(value);
  return isOne && value >= least && value <= most ? value : undefined;
}

function wideIn(value: unknown, bits: bigint): bigint | undefined {
  if (typeof value !== 'string' || !/^(0|[1-9][0-9]{0,77})$/.test(value)) return undefined;
  const number = BigInt(value);
  return number < 2n ** bits ? number : undefined;
}

function upTo(most: number): Codec<number> {
  return codec<number>({
    description: `0 to ${most}`,
    read(json, fault) {
      const value = u32.read(json, fault);
      return value === FAILED || value <= most ? value : fault.fail(`0 to ${most}`);
    },
    write: String,
  });
}

function wideUpTo(end: bigint): Codec<bigint> {
  return refined(
    wideNumber,
    'decimal text',
    (value) => (value < end ? value : undefined),
    (value) => value,
  );
}
