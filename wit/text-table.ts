/** Strings of texts that come again and again (networking.md §6: who a message is from and for), found by their bytes. */

/** Texts up to this are kept, in characters. */
const KEPT_CHARS_MAX = 128;
/** Places for texts; a power of two. */
const KEPT_TEXTS = 512;

/**
 * Texts that came before: making a string of bytes costs more than comparing them. One place for all texts of a hash: who fills it with others
 * makes it slower, and nothing else.
 */
export class TextTable {
  readonly #places: (string | undefined)[] = Array.from({ length: KEPT_TEXTS }, () => undefined);

  /** The text of these bytes, if it was kept and not replaced. */
  find(bytes: Uint8Array, at: number, length: number): string | undefined {
    if (length > KEPT_CHARS_MAX) return undefined;
    const text = this.#places[placeOf(bytes, at, length)];
    if (text?.length !== length) return undefined;
    for (let index = 0; index < length; index++)
      if (text.charCodeAt(index) !== bytes[at + index]) return undefined;
    return text;
  }

  /** Keeps a text whose bytes these are, when it is short and ASCII; returns it. */
  keep(bytes: Uint8Array, at: number, text: string): string {
    if (text.length > KEPT_CHARS_MAX) return text;
    for (let index = 0; index < text.length; index++)
      if (text.charCodeAt(index) > 0x7f) return text;
    this.#places[placeOf(bytes, at, text.length)] = text;
    return text;
  }
}

function placeOf(bytes: Uint8Array, at: number, length: number): number {
  let hash = length;
  for (let index = at; index < at + length; index++)
    hash = (Math.imul(hash, 31) + (bytes[index] ?? 0)) | 0;
  return (hash ^ (hash >>> 15)) & (KEPT_TEXTS - 1);
}
