/** Strings in the three encodings of the canonical ABI. */
import type { CallScope } from './context.ts';

/** Set in the length of a latin1+utf16 string that is UTF-16. */
const utf16Tag = 0x8000_0000;
/** Up to here a loop over ASCII bytes beats the decoder's call. */
const shortBytes = 24;

// A BOM is a character like any other: the guest wrote it.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const utf16 = new TextDecoder('utf-16le', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** @throws Trap when out of bounds, misaligned or not valid in the context's encoding */
export function loadString(scope: CallScope, pointer: number, length: number): string {
  switch (scope.ctx.encoding) {
    case 'utf8':
      return loadUtf8(scope, pointer, length);
    case 'utf16':
      return loadUtf16(scope, pointer, length);
    case 'latin1+utf16':
      if (length >= utf16Tag) return loadUtf16(scope, pointer, length - utf16Tag);
      scope.check(pointer, length, 2);
      scope.spend(length);
      return Buffer.from(scope.bytes.buffer, pointer, length).toString('latin1');
  }
}

/** Copies a string into the guest; lone surrogates become U+FFFD. Returns pointer and length, in the encoding's units. */
export function storeString(scope: CallScope, text: string): [pointer: number, length: number] {
  switch (scope.ctx.encoding) {
    case 'utf8': {
      const byteLength = Buffer.byteLength(text, 'utf8');
      const pointer = scope.alloc(1, byteLength);
      encoder.encodeInto(text, scope.bytes.subarray(pointer, pointer + byteLength));
      return [pointer, byteLength];
    }
    case 'utf16':
      return storeUtf16(scope, text);
    case 'latin1+utf16': {
      if (!isLatin1(text)) {
        const [pointer, units] = storeUtf16(scope, text);
        return [pointer, units + utf16Tag];
      }
      const pointer = scope.alloc(2, text.length);
      Buffer.from(scope.bytes.buffer, pointer, text.length).write(text, 'latin1');
      return [pointer, text.length];
    }
  }
}

function loadUtf8(scope: CallScope, pointer: number, byteLength: number): string {
  scope.check(pointer, byteLength, 1);
  scope.spend(byteLength);
  const { bytes } = scope;
  if (byteLength <= shortBytes) {
    let text = '';
    let i = pointer;
    for (; i < pointer + byteLength; i += 1) {
      const byte = bytes[i] ?? 0;
      if (byte >= 0x80) break;
      text += String.fromCharCode(byte);
    }
    if (i === pointer + byteLength) return text;
  }
  return decode(scope, utf8, bytes.subarray(pointer, pointer + byteLength));
}

function loadUtf16(scope: CallScope, pointer: number, units: number): string {
  scope.check(pointer, units * 2, 2);
  scope.spend(units * 2);
  return decode(scope, utf16, scope.bytes.subarray(pointer, pointer + units * 2));
}

function decode(scope: CallScope, decoder: TextDecoder, bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    return scope.ctx.trap(`a string is not valid ${decoder.encoding}`);
  }
}

function storeUtf16(scope: CallScope, text: string): [number, number] {
  const wellFormed = text.toWellFormed();
  const pointer = scope.alloc(2, wellFormed.length * 2);
  Buffer.from(scope.bytes.buffer, pointer, wellFormed.length * 2).write(wellFormed, 'utf16le');
  return [pointer, wellFormed.length];
}

function isLatin1(text: string): boolean {
  for (let i = 0; i < text.length; i += 1) if (text.charCodeAt(i) > 0xff) return false;
  return true;
}
