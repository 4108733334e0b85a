/** The compute market's signed documents as JSON: amounts and times as decimal texts, small numbers as numbers, bytes as `0x` hex. */
import { bool, codec, FAILED, i32, record, refined, text, u32, type Codec } from '../wit/codec.ts';
import { STRUCTS, type Struct, type StructName, type WordType } from './compute.ts';

/** Decimal text of 0 to 2^256-1, without leading zeros. */
export const wideNumber: Codec<bigint> = refined(
  text,
  'decimal text',
  (value) => {
    if (!/^(0|[1-9][0-9]{0,77})$/.test(value)) return undefined;
    const number = BigInt(value);
    return number < 2n ** 256n ? number : undefined;
  },
  String,
);

const hexOf = (bytes: number): Codec<string> =>
  refined(
    text,
    `0x hex of ${bytes} bytes`,
    (value) =>
      value.length === 2 + 2 * bytes && /^0x[0-9a-fA-F]*$/.test(value) ? value : undefined,
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
