/** Bytes as the `0x` hex of JSON-RPC. Runs in guests, browsers and Node. */

/** `0x` and an even number of hex digits; ours are lower case. */
export type Hex = `0x${string}`;

const DIGITS = '0123456789abcdef';
const PAIRS = Array.from({ length: 256 }, (_, byte) => DIGITS[byte >> 4]! + DIGITS[byte & 15]!);
/** Char code of a hex digit to its value; 255 for everything else. */
const VALUES = new Uint8Array(128).fill(255);
for (let value = 0; value < 16; value++) {
  VALUES[DIGITS.charCodeAt(value)] = value;
  VALUES[DIGITS.toUpperCase().charCodeAt(value)] = value;
}

const encoder = new TextEncoder();

export function toHex(bytes: Uint8Array): Hex {
  let text = '';
  for (const byte of bytes) text += PAIRS[byte]!;
  return `0x${text}`;
}

/** The UTF-8 bytes of `text`. */
export function textToHex(text: string): Hex {
  return toHex(encoder.encode(text));
}

/** The bytes, or undefined for what is not `0x` and an even number of hex digits. */
export function fromHex(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!text.startsWith('0x') || text.length % 2 !== 0) return undefined;
  const bytes = new Uint8Array(text.length / 2 - 1);
  for (let i = 0; i < bytes.length; i++) {
    const value = byteAt(text, 2 + 2 * i);
    if (value === undefined) return undefined;
    bytes[i] = value;
  }
  return bytes;
}

/** The byte whose two digits start at `at`; undefined where there are no such digits. */
export function byteAt(text: string, at: number): number | undefined {
  const first = VALUES[text.charCodeAt(at)] ?? 255;
  const second = VALUES[text.charCodeAt(at + 1)] ?? 255;
  return first > 15 || second > 15 ? undefined : (first << 4) | second;
}
