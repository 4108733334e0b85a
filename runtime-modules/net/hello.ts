/**
 * What another node says to net itself (networking.md §11): a line for the owner, answered with `ack`. Anybody on the network can send one, so
 * nothing in it reaches a terminal but text, and one peer is heard so often and no more (findings F29).
 */
import type { NodeId } from '../../wit/types.ts';
import { HELLO_CHARS_MAX, HELLO_WINDOW_MS, HELLOS_MAX } from './limits.ts';

export const ACK = new TextEncoder().encode('ack');
/** Peers whose hellos are counted; the one heard first is forgotten first. */
const COUNTED_MAX = 4_096;
const utf8 = new TextDecoder('utf-8', { fatal: true });

export class Hellos {
  readonly #windows = new Map<NodeId, { sinceMs: number; count: number }>();

  /** Whether another one of this peer is shown and answered. */
  admit(node: NodeId, nowMs: number): boolean {
    const window = this.#windows.get(node);
    if (window === undefined || nowMs - window.sinceMs >= HELLO_WINDOW_MS) {
      this.#windows.delete(node);
      this.#windows.set(node, { sinceMs: nowMs, count: 1 });
      const [oldest] = this.#windows.keys();
      if (this.#windows.size > COUNTED_MAX && oldest !== undefined) this.#windows.delete(oldest);
      return true;
    }
    return ++window.count <= HELLOS_MAX;
  }
}

/** The line that is shown. */
export function helloLine(node: NodeId, body: Uint8Array): string {
  let text: string;
  try {
    text = printable(utf8.decode(body));
  } catch {
    text = `(${body.length} bytes that are no text)`;
  }
  const cut = text.length > HELLO_CHARS_MAX ? `${text.slice(0, HELLO_CHARS_MAX)}…` : text;
  return `${printable(node)}: ${cut}`;
}

/** Without what a terminal obeys, and without what turns text around (Cc, and the controls of Cf). */
function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '\u{FFFD}');
}
