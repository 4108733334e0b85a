/** Base64 by the engine's native functions (see lib/engine/text.ts), and the alphabet of tokens. */

interface Base64Bytes extends Uint8Array {
  toBase64(): string;
}
// Proof of the type: ES2026, present in both guest engines and in Node.
const Bytes = Uint8Array as unknown as { fromBase64(text: string): Uint8Array };

export function base64Of(content: Uint8Array | string): string {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  return (bytes as Base64Bytes).toBase64();
}

/** @throws SyntaxError for what is no base64 */
export function bytesOfBase64(base64: string): Uint8Array {
  return Bytes.fromBase64(base64);
}

/** The text that was encoded; undefined for what is no base64. */
export function textOfBase64(base64: string): string | undefined {
  try {
    return new TextDecoder().decode(Bytes.fromBase64(base64));
  } catch {
    return undefined;
  }
}

/** Without padding, and for addresses and headers. */
export function base64urlOf(content: Uint8Array | string): string {
  return base64Of(content).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

export function textOfBase64url(text: string): string | undefined {
  const base64 = text.replaceAll('-', '+').replaceAll('_', '/');
  return textOfBase64(base64.padEnd(Math.ceil(base64.length / 4) * 4, '='));
}
