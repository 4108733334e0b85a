/**
 * Numbers of two files, one by one: `abs(a - b) <= absPpb + relPpb * max(|a|, |b|)`, both scaled by 10^-9. JSON, and arrays of NumPy with
 * little-endian integers and floats. Exact: numbers become fractions of integers. Pure.
 */

export interface Tolerance {
  readonly absPpb: bigint;
  readonly relPpb: bigint;
}

const PPB = 1_000_000_000n;
/** An exact number: `value * 2^-shift` or `value / 10^scale`, as one fraction. */
interface Exact {
  readonly value: bigint;
  readonly divisor: bigint;
}

/** False too where shapes differ, or what is no number does. */
export function closeNumbers(
  path: string,
  a: Uint8Array,
  b: Uint8Array,
  tolerance: Tolerance,
): boolean {
  if (path.endsWith('.npy')) return closeArrays(a, b, tolerance);
  if (path.endsWith('.json')) return closeJson(textOf(a), textOf(b), tolerance);
  return false;
}

function closeTo(a: Exact, b: Exact, { absPpb, relPpb }: Tolerance): boolean {
  const [x, y] = [a.value * b.divisor, b.value * a.divisor];
  const divisor = a.divisor * b.divisor;
  const largest = absolute(x) > absolute(y) ? absolute(x) : absolute(y);
  return absolute(x - y) * PPB <= absPpb * divisor + relPpb * largest;
}

// ---- JSON

const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
/** Beyond it a power of ten is a text of its own. */
const EXPONENT_MAX = 400;

/** Two texts that are the same but for numbers that are close; white space between tokens does not count. */
function closeJson(a: string, b: string, tolerance: Tolerance): boolean {
  const [first, second] = [tokensOf(a), tokensOf(b)];
  if (first === undefined || second === undefined || first.length !== second.length) return false;
  return first.every((token, index) => {
    const other = second[index]!;
    if (token === other) return true;
    const [x, y] = [exactOf(token), exactOf(other)];
    return x !== undefined && y !== undefined && closeTo(x, y, tolerance);
  });
}

/** Strings, numbers, words and marks; undefined for what is no JSON. */
function tokensOf(text: string): string[] | undefined {
  try {
    JSON.parse(text);
  } catch {
    return undefined;
  }
  return text.match(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|[a-z]+|[[\]{},:]/g) ?? [];
}

function exactOf(token: string): Exact | undefined {
  NUMBER.lastIndex = 0;
  if (NUMBER.exec(token)?.[0] !== token) return undefined;
  const [mantissa = '', exponent = '0'] = token.toLowerCase().split('e');
  const [whole = '', part = ''] = mantissa.split('.');
  const power = Number(exponent) - part.length;
  if (Math.abs(power) > EXPONENT_MAX) return undefined;
  const value = BigInt(whole + part);
  return power >= 0
    ? { value: value * 10n ** BigInt(power), divisor: 1n }
    : { value, divisor: 10n ** BigInt(-power) };
}

// ---- NumPy

interface Layout {
  readonly kind: 'f' | 'i' | 'u';
  readonly bytes: 1 | 2 | 4 | 8;
  readonly shape: string;
  readonly data: DataView;
}

function closeArrays(a: Uint8Array, b: Uint8Array, tolerance: Tolerance): boolean {
  const [first, second] = [layoutOf(a), layoutOf(b)];
  if (first === undefined || second === undefined) return false;
  if (first.kind !== second.kind || first.bytes !== second.bytes) return false;
  if (first.shape !== second.shape || first.data.byteLength !== second.data.byteLength)
    return false;
  for (let at = 0; at < first.data.byteLength; at += first.bytes) {
    const [x, y] = [elementOf(first, at), elementOf(second, at)];
    // What is not finite is the same only bit by bit.
    const close = x && y ? closeTo(x, y, tolerance) : x === y && sameBits(first, second, at);
    if (!close) return false;
  }
  return true;
}

/** Version 1 to 3, in C order, little-endian. */
function layoutOf(bytes: Uint8Array): Layout | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 12 || textOf(bytes.subarray(1, 6)) !== 'NUMPY' || bytes[0] !== 0x93)
    return undefined;
  const wide = bytes[6] !== 1;
  const length = wide ? view.getUint32(8, true) : view.getUint16(8, true);
  const start = (wide ? 12 : 10) + length;
  if (start > bytes.length) return undefined;
  const header = textOf(bytes.subarray(wide ? 12 : 10, start));
  const type = /'descr':\s*'[<|]([fiu])([1248])'/.exec(header);
  const shape = /'shape':\s*\(([0-9, ]*)\)/.exec(header)?.[1];
  if (type === null || shape === undefined || !/'fortran_order':\s*False/.test(header))
    return undefined;
  // Proof of the types: the expression above.
  const [kind, size] = [type[1] as Layout['kind'], Number(type[2]) as Layout['bytes']];
  const data = new DataView(bytes.buffer, bytes.byteOffset + start, bytes.length - start);
  if (data.byteLength % size !== 0 || (kind === 'f' && size === 1)) return undefined;
  return { kind, bytes: size, shape: shape.replaceAll(' ', ''), data };
}

/** Undefined: it is not finite. */
function elementOf({ kind, bytes, data }: Layout, at: number): Exact | undefined {
  if (kind !== 'f') {
    const bits = bitsAt(data, at, bytes);
    const value = kind === 'i' ? BigInt.asIntN(bytes * 8, bits) : bits;
    return { value, divisor: 1n };
  }
  const [mantissaBits, exponentBits] = bytes === 8 ? [52, 11] : bytes === 4 ? [23, 8] : [10, 5];
  const bits = bitsAt(data, at, bytes);
  const mantissa = BigInt.asUintN(mantissaBits, bits);
  const exponent = Number(BigInt.asUintN(exponentBits, bits >> BigInt(mantissaBits)));
  if (exponent === 2 ** exponentBits - 1) return undefined;
  const sign = bits >> BigInt(bytes * 8 - 1) === 1n ? -1n : 1n;
  const bias = 2 ** (exponentBits - 1) - 1;
  const power = Math.max(exponent, 1) - bias - mantissaBits;
  const value = sign * (exponent === 0 ? mantissa : mantissa + (1n << BigInt(mantissaBits)));
  return power >= 0
    ? { value: value << BigInt(power), divisor: 1n }
    : { value, divisor: 1n << BigInt(-power) };
}

function bitsAt(data: DataView, at: number, bytes: number): bigint {
  let bits = 0n;
  for (let index = bytes - 1; index >= 0; index -= 1)
    bits = (bits << 8n) | BigInt(data.getUint8(at + index));
  return bits;
}

function sameBits(a: Layout, b: Layout, at: number): boolean {
  return bitsAt(a.data, at, a.bytes) === bitsAt(b.data, at, b.bytes);
}

function absolute(value: bigint): bigint {
  return value < 0n ? -value : value;
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
