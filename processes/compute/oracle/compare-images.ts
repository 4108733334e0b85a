/**
 * Whether two pictures look the same: equal size, a peak signal-to-noise ratio of at least 35 dB, and 99 % of the pixels within 8 of 255.
 * Portable pixmaps and PNG of 8 bits a channel, without interlacing; others are compared byte by byte before this. Integers only. Pure.
 */
import { inflate } from './inflate.ts';

/** Pixels of a picture that is compared. */
export const PIXELS_MAX = 16 * 1024 * 1024;
/** 10^3.5, what 35 dB is as a ratio of squares, with one decimal. */
const RATIO_35_DB_TENTHS = 31_622n;
const NEAR = 8;
const NEAR_PERCENT = 99;

interface Picture {
  readonly width: number;
  readonly height: number;
  /** Red, green and blue. */
  readonly rgb: Uint8Array;
}

/** False too for what is no picture. */
export function closeImages(a: Uint8Array, b: Uint8Array): boolean {
  const [first, second] = [pictureOf(a), pictureOf(b)];
  if (first === undefined || second === undefined) return false;
  if (first.width !== second.width || first.height !== second.height) return false;
  let squares = 0;
  let near = 0;
  for (let at = 0; at < first.rgb.length; at += 3) {
    let farthest = 0;
    for (let channel = at; channel < at + 3; channel += 1) {
      const difference = Math.abs(first.rgb[channel]! - second.rgb[channel]!);
      squares += difference * difference;
      if (difference > farthest) farthest = difference;
    }
    if (farthest <= NEAR) near += 1;
  }
  const pixels = first.width * first.height;
  // 10 log10(255^2 n / squares) >= 35
  const loud = 255n * 255n * BigInt(first.rgb.length) * 10n;
  return loud >= BigInt(squares) * RATIO_35_DB_TENTHS && near * 100 >= pixels * NEAR_PERCENT;
}

function pictureOf(bytes: Uint8Array): Picture | undefined {
  return bytes[0] === 0x89 ? pngOf(bytes) : pixmapOf(bytes);
}

/** `P5` and `P6` of 8 bits. */
function pixmapOf(bytes: Uint8Array): Picture | undefined {
  const head = new TextDecoder('latin1').decode(bytes.subarray(0, 128));
  const found = /^P([56])\s+(?:#[^\n]*\n\s*)*(\d{1,6})\s+(\d{1,6})\s+255\s/.exec(head);
  if (found === null) return undefined;
  const [width, height] = [Number(found[2]), Number(found[3])];
  const channels = found[1] === '6' ? 3 : 1;
  const data = bytes.subarray(found[0].length);
  if (!fits(width, height) || data.length !== width * height * channels) return undefined;
  return { width, height, rgb: toRgb(data, channels) };
}

const CHANNELS: Readonly<Record<number, number>> = { 0: 1, 2: 3, 4: 2, 6: 4 };

function pngOf(bytes: Uint8Array): Picture | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 33) return undefined;
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  const channels = CHANNELS[view.getUint8(25)];
  const plain = view.getUint8(24) === 8 && view.getUint8(28) === 0;
  if (channels === undefined || !plain || !fits(width, height)) return undefined;
  const parts: Uint8Array[] = [];
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = view.getUint32(at);
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (kind === 'IDAT') parts.push(bytes.subarray(at + 8, at + 8 + length));
    if (kind === 'IEND') break;
    at += 12 + length;
  }
  const stride = width * channels;
  // Two bytes of zlib come first.
  const rows = inflate(joined(parts).subarray(2), (stride + 1) * height);
  if (rows === undefined || rows.length !== (stride + 1) * height) return undefined;
  const data = unfiltered(rows, { stride, height, channels });
  return data && { width, height, rgb: toRgb(data, channels) };
}

function unfiltered(
  rows: Uint8Array,
  {
    stride,
    height,
    channels,
  }: { readonly stride: number; readonly height: number; readonly channels: number },
): Uint8Array | undefined {
  const out = new Uint8Array(stride * height);
  for (let row = 0; row < height; row += 1) {
    const filter = rows[row * (stride + 1)]!;
    if (filter > 4) return undefined;
    for (let column = 0; column < stride; column += 1) {
      const at = row * stride + column;
      const left = column < channels ? 0 : out[at - channels]!;
      const above = row === 0 ? 0 : out[at - stride]!;
      const corner = column < channels || row === 0 ? 0 : out[at - stride - channels]!;
      out[at] = rows[row * (stride + 1) + 1 + column]! + predicted(filter, left, above, corner);
    }
  }
  return out;
}

function predicted(filter: number, left: number, above: number, corner: number): number {
  switch (filter) {
    case 1:
      return left;
    case 2:
      return above;
    case 3:
      return (left + above) >> 1;
    case 4: {
      const guess = left + above - corner;
      const [toLeft, toAbove, toCorner] = [
        Math.abs(guess - left),
        Math.abs(guess - above),
        Math.abs(guess - corner),
      ];
      return toLeft <= toAbove && toLeft <= toCorner ? left : toAbove <= toCorner ? above : corner;
    }
    default:
      return 0;
  }
}

/** Grey becomes three alike; transparency does not count. */
function toRgb(data: Uint8Array, channels: number): Uint8Array {
  if (channels === 3) return data;
  const rgb = new Uint8Array((data.length / channels) * 3);
  for (let from = 0, to = 0; from < data.length; from += channels, to += 3)
    for (let channel = 0; channel < 3; channel += 1)
      rgb[to + channel] = data[from + (channels === 4 ? channel : 0)]!;
  return rgb;
}

function fits(width: number, height: number): boolean {
  return width > 0 && height > 0 && width * height <= PIXELS_MAX;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
