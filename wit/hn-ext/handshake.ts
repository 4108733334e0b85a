/**
 * Who is at the other end of an extension channel (findings F40). Both know a token of 32 bytes; neither sends it. The process opens with
 * `challenge{nonceP}`, the extension answers `hello{session, nonceE}`; then the process proves itself first, because an extension signs what
 * its process asks for, and only a proven process gets the extension's own proof:
 *
 *   proof = HMAC-SHA256(token, "hn-ext-p/v1" 00 transcript)      process to extension
 *   auth  = HMAC-SHA256(token, "hn-ext-e/v1" 00 transcript)      extension to process
 *   transcript = nonceP (32) nonceE (32) session (16) u16be(length of socket) socket
 *
 * The labels differ, so neither direction's proof serves in the other; both nonces are in both, so neither side can be given an old one.
 * `socket` is the extension's end of the connection, `ip:port`, as each side sees it by itself: whoever stands in between and passes frames
 * on to the real process has another one. Runs in guests.
 */
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';

export const TOKEN_BYTES = 32;
export const NONCE_BYTES = 32;
export const SESSION_BYTES = 16;
const SOCKET_BYTES_MAX = 255;

export interface Transcript {
  readonly nonceP: Uint8Array;
  readonly nonceE: Uint8Array;
  readonly session: Uint8Array;
  /** As `socketName` writes it. */
  readonly socket: string;
}

export type Side = 'process' | 'extension';
const LABELS: Readonly<Record<Side, string>> = {
  process: 'hn-ext-p/v1\0',
  extension: 'hn-ext-e/v1\0',
};

/** The proof that a side gives. @throws RangeError for a part of the wrong length: it would make two transcripts one */
export function proofOf(side: Side, token: Uint8Array, transcript: Transcript): Uint8Array {
  const { nonceP, nonceE, session } = transcript;
  const utf8 = new TextEncoder();
  const socket = utf8.encode(transcript.socket);
  for (const [part, bytes] of [
    [token, TOKEN_BYTES],
    [nonceP, NONCE_BYTES],
    [nonceE, NONCE_BYTES],
    [session, SESSION_BYTES],
  ] as const)
    if (part.length !== bytes)
      throw new RangeError(`a part of a handshake has ${part.length} bytes`);
  if (socket.length > SOCKET_BYTES_MAX) throw new RangeError('no name of a socket');
  const message = [
    utf8.encode(LABELS[side]),
    nonceP,
    nonceE,
    session,
    Uint8Array.of(0, socket.length),
    socket,
  ];
  const mac = hmac.create(sha256, token);
  for (const part of message) mac.update(part);
  return mac.digest();
}

/** Whether a proof is the one; takes as long for every wrong one. */
export function isProof(
  given: Uint8Array,
  side: Side,
  token: Uint8Array,
  transcript: Transcript,
): boolean {
  const right = proofOf(side, token, transcript);
  let difference = given.length ^ right.length;
  for (let index = 0; index < right.length; index += 1)
    difference |= (given[index] ?? 0) ^ right[index]!;
  return difference === 0;
}

/** `ip:port`, `[ip]:port` for IPv6; an IPv4 address in IPv6 clothes is an IPv4 address. */
export function socketName(address: string, port: number): string {
  const plain = address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
  return `${plain.includes(':') ? `[${plain}]` : plain}:${port}`;
}

/** A token from the text of its file: 64 hex digits. Undefined for anything else. */
export function tokenIn(text: string): Uint8Array | undefined {
  const digits = text.trim();
  if (!/^[0-9a-f]{64}$/i.test(digits)) return undefined;
  return Uint8Array.from({ length: TOKEN_BYTES }, (_, index) =>
    Number.parseInt(digits.slice(2 * index, 2 * index + 2), 16),
  );
}
