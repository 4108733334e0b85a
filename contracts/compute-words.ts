/** Words of ABI-encoded answers and logs, read by a table of names and types. Never throws, whatever the text. For guests too. */
import type { Members, StructOf, WordType } from './compute.ts';

const WORD_DIGITS = 64;
const HEX = /^0x[0-9a-f]*$/i;

/** The struct that `text` is, all of it; undefined where it is another length, not hex, or a value is not of its type. */
export function readWords<M extends Members>(text: string, members: M): StructOf<M> | undefined {
  const entries = Object.entries(members);
  if (text.length !== 2 + WORD_DIGITS * entries.length || !HEX.test(text)) return undefined;
  const value: Record<string, unknown> = {};
  for (const [index, [name, type]] of entries.entries()) {
    const at = 2 + index * WORD_DIGITS;
    const word = readWord(text.slice(at, at + WORD_DIGITS), type);
    if (word === undefined) return undefined;
    value[name] = word;
  }
  // Every member was read by its type.
  return value as StructOf<M>;
}

/** One word of 64 hex digits. */
function readWord(digits: string, type: WordType): string | boolean | bigint | number | undefined {
  const lower = digits.toLowerCase();
  if (type === 'bytes32') return `0x${lower}`;
  const number = BigInt(`0x${lower}`);
  if (type === 'address') return number >> 160n === 0n ? `0x${lower.slice(24)}` : undefined;
  if (type === 'bool') return number > 1n ? undefined : number === 1n;
  if (type === 'int32') {
    const value = BigInt.asIntN(32, number);
    return BigInt.asUintN(256, value) === number ? Number(value) : undefined;
  }
  const bits = Number(type.slice('uint'.length));
  if (BigInt.asUintN(bits, number) !== number) return undefined;
  return bits > 32 ? number : Number(number);
}
