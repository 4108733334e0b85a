/**
 * UTF-8 for engines without TextEncoder and TextDecoder. The engine's own (native) functions do the work, because a loop in
 * interpreted JavaScript costs 250 ns a byte (measured in QuickJS; this costs about 100).
 */

/** Arguments of one `apply`; more would overflow the engine's stack. */
const CHUNK_BYTES = 4_096;
/** Up to here characters are put together one by one; by way of base64 each costs half, and the way itself as much as 24. */
const SHORT_BYTES = 24;

/** The engine's native base64, the only conversion between bytes and text that it does not leave to a loop. */
interface Base64Bytes extends Uint8Array<ArrayBuffer> {
  toBase64(): string;
}
// Proof of the type: ES2026, present in both guest engines and in Node; a missing one fails the first test.
const Bytes = Uint8Array as unknown as { fromBase64(text: string): Uint8Array };

/** What does it where instructions are not interpreted. */
export interface NativeUtf8 {
  /** Null for what is no UTF-8. */
  decodeUtf8(bytes: Uint8Array): string | null;
  /** Of a well-formed text. */
  encodeUtf8(text: string): Uint8Array;
}

let native: NativeUtf8 | undefined;

/** From now on: a guest has it only when it runs, not while its module is loaded. */
export function useNative(given: NativeUtf8): void {
  native = given;
}

/** String to UTF-8; lone surrogates become U+FFFD. */
export function encodeUtf8(text: string): Uint8Array {
  if (native !== undefined) return native.encodeUtf8(text.toWellFormed());
  try {
    // A character above U+00FF throws, one above U+007F shows among the bytes.
    const bytes = Bytes.fromBase64(btoa(text));
    if (isAscii(bytes)) return bytes;
  } catch {
    // Not Latin-1.
  }
  return Bytes.fromBase64(btoa(unescape(encodeURIComponent(text.toWellFormed()))));
}

/** UTF-8 to string; ill-formed input becomes U+FFFD, or throws a TypeError when `fatal`. */
export function decodeUtf8(bytes: Uint8Array, fatal = false): string {
  if (native !== undefined) {
    const text = native.decodeUtf8(bytes);
    if (text !== null) return text;
  }
  const ascii = isAscii(bytes);
  if (ascii && bytes.length <= SHORT_BYTES) {
    return String.fromCharCode.apply(null, bytes as unknown as number[]);
  }
  const raw = atob((bytes as Base64Bytes).toBase64());
  if (ascii) return raw;
  try {
    return decodeURIComponent(escape(raw));
  } catch {
    if (fatal) throw new TypeError('the bytes are not valid UTF-8');
    return decodeLeniently(bytes);
  }
}

function isAscii(bytes: Uint8Array): boolean {
  // A view on a part costs more than looking at a short message does.
  if (bytes.length <= CHUNK_BYTES) {
    return bytes.length === 0 || Math.max.apply(null, bytes as unknown as number[]) <= 0x7f;
  }
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    // Three times as fast as a regular expression over the text.
    const chunk = bytes.subarray(at, at + CHUNK_BYTES) as unknown as number[];
    if (Math.max.apply(null, chunk) > 0x7f) return false;
  }
  return true;
}

/** WHATWG decoding with replacement: one U+FFFD for each maximal ill-formed part. */
function decodeLeniently(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length;) {
    const { point, length } = decodeOne(bytes, at);
    text += String.fromCodePoint(point);
    at += length;
  }
  return text;
}

function decodeOne(bytes: Uint8Array, at: number): { point: number; length: number } {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return { point: first, length: 1 };
  const needed =
    first >= 0xc2 && first <= 0xdf
      ? 1
      : first >= 0xe0 && first <= 0xef
        ? 2
        : first >= 0xf0 && first <= 0xf4
          ? 3
          : 0;
  let point = needed === 1 ? first & 0x1f : needed === 2 ? first & 0x0f : first & 0x07;
  let low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  let high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  for (let i = 1; i <= needed; i++) {
    const next = bytes[at + i] ?? 0;
    if (next < low || next > high) return { point: 0xfffd, length: i };
    point = (point << 6) | (next & 0x3f);
    low = 0x80;
    high = 0xbf;
  }
  return needed === 0 ? { point: 0xfffd, length: 1 } : { point, length: needed + 1 };
}

export class GuestTextEncoder {
  get encoding(): string {
    return 'utf-8';
  }
  encode(text = ''): Uint8Array {
    return encodeUtf8(text);
  }
}

export class GuestTextDecoder {
  readonly encoding = 'utf-8';
  readonly fatal: boolean;
  readonly ignoreBOM: boolean;
  constructor(label = 'utf-8', options: { fatal?: boolean; ignoreBOM?: boolean } = {}) {
    // The comparison first: the expression costs as much as decoding a message.
    if (label !== 'utf-8' && !/^(utf-?8|unicode-1-1-utf-8)$/i.test(label.trim())) {
      throw new RangeError(`only UTF-8 is supported, not ${label}`);
    }
    this.fatal = options.fatal ?? false;
    this.ignoreBOM = options.ignoreBOM ?? false;
  }
  decode(input?: ArrayBuffer | ArrayBufferView): string {
    if (input === undefined) return '';
    const bytes =
      input instanceof Uint8Array
        ? input
        : input instanceof ArrayBuffer
          ? new Uint8Array(input)
          : new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
    const text = decodeUtf8(bytes, this.fatal);
    return !this.ignoreBOM && text.startsWith('\uFEFF') ? text.slice(1) : text;
  }
}
