/** Text and bytes, by one encoder and one decoder: making one costs a guest as much as a short text. */

let encoder: TextEncoder | undefined;
let decoder: TextDecoder | undefined;

/** A body as bytes; text as UTF-8. */
export function bytesOf(body: Uint8Array | string): Uint8Array {
  // Made when first used: at a module's top level a guest has no engine of its own yet.
  return typeof body === 'string' ? (encoder ??= new TextEncoder()).encode(body) : body;
}

/** Bytes as text; what is no UTF-8 is replaced. */
export function textOf(bytes: Uint8Array): string {
  return (decoder ??= new TextDecoder()).decode(bytes);
}
