/**
 * Who may be the extension of this node (compute-market.md §10.3; findings F40): one program that knows the token of a file that only the
 * operator reads. Whoever opens a channel is challenged; anything but the frame that is due is dropped; nothing of it reaches the rest
 * before `welcome`.
 */
import {
  isProof,
  NONCE_BYTES,
  proofOf,
  TOKEN_BYTES,
  tokenIn,
  type Transcript,
} from '../../../wit/hn-ext/handshake.ts';
import { decodeFrame, encodeFrame } from '../../../wit/hn-ext/frames.ts';
import {
  BAD_FRAMES_MAX,
  BAD_PROOFS_MAX,
  HANDSHAKE_MS_MAX,
  LOCKOUT_MS,
} from '../../../wit/hn-ext/limits.ts';
import { type Body, PROTO } from '../../../wit/hn-ext/schema.ts';
import type { Drive } from '../../lib/vfs.ts';

/** What a channel can do here. */
export interface ExtChannel {
  readonly id: number;
  /** `ip:port` of the other end. */
  readonly sourceAddress: string | undefined;
  tell(frame: Uint8Array): void;
  close(): Promise<void>;
}

/** Somebody proven. */
export interface Paired {
  readonly channel: ExtChannel;
  /** Hex: of one run of the extension. */
  readonly session: string;
  readonly version: string;
  readonly auth: Body<'auth'>;
}

export interface PairingNeeds {
  readonly token: Uint8Array;
  readonly nowMs: () => number;
  readonly paired: (paired: Paired) => void;
  readonly print: (text: string) => void;
}

/** Channels that are not proven. */
const PENDING_MAX = 8;
export const TOKEN_PATH = 'pairing-token';

interface Pending {
  readonly channel: ExtChannel;
  readonly nonceP: Uint8Array;
  readonly openedMs: number;
  hello: { readonly transcript: Transcript; readonly version: string } | undefined;
  bad: number;
}

export class Pairing {
  readonly #needs: PairingNeeds;
  readonly #pending = new Map<number, Pending>();
  /** When wrong proofs came. */
  #wrong: number[] = [];
  #lockedUntilMs = 0;

  constructor(needs: PairingNeeds) {
    this.#needs = needs;
  }

  opened(channel: ExtChannel): void {
    this.tick();
    if (this.#pending.size >= PENDING_MAX) {
      void channel.close();
      return;
    }
    const nonceP = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
    const openedMs = this.#needs.nowMs();
    this.#pending.set(channel.id, { channel, nonceP, openedMs, hello: undefined, bad: 0 });
    channel.tell(encodeFrame('challenge', { proto: [PROTO], nonceP }));
  }

  /** False: this channel is not being paired. */
  received(channel: ExtChannel, bytes: Uint8Array): boolean {
    const pending = this.#pending.get(channel.id);
    if (pending === undefined) return false;
    const frame = decodeFrame(bytes);
    if (!frame.ok) {
      pending.bad += 1;
      if (pending.bad >= BAD_FRAMES_MAX) this.#deny(pending, 'malformed');
    } else if (frame.value.t === 'hello' && pending.hello === undefined) {
      this.#hello(pending, frame.value.body);
    } else if (frame.value.t === 'auth' && pending.hello !== undefined) {
      this.#auth(pending, frame.value.body);
    }
    return true;
  }

  closed(channel: ExtChannel): void {
    this.#pending.delete(channel.id);
  }

  /** Ends channels that do not prove themselves. */
  tick(): void {
    const now = this.#needs.nowMs();
    for (const pending of this.#pending.values())
      if (now - pending.openedMs > HANDSHAKE_MS_MAX) this.#deny(pending, 'too slow');
  }

  #hello(pending: Pending, { proto, session, nonceE, version }: Body<'hello'>): void {
    const locked = this.#lockedUntilMs - this.#needs.nowMs();
    if (locked > 0) return this.#deny(pending, 'locked', locked);
    if (proto !== PROTO) return this.#deny(pending, 'version');
    const { channel, nonceP } = pending;
    const transcript = { nonceP, nonceE, session, socket: channel.sourceAddress ?? '' };
    pending.hello = { transcript, version };
    const mac = proofOf('process', this.#needs.token, transcript);
    channel.tell(encodeFrame('proof', { mac }));
  }

  #auth(pending: Pending, auth: Body<'auth'>): void {
    const { transcript, version } = pending.hello!;
    if (!isProof(auth.mac, 'extension', this.#needs.token, transcript)) {
      this.#deny(pending, 'wrong token');
      return this.#wrongProof();
    }
    this.#pending.delete(pending.channel.id);
    const session = hexOf(transcript.session);
    return this.#needs.paired({ channel: pending.channel, session, version, auth });
  }

  #wrongProof(): void {
    const now = this.#needs.nowMs();
    this.#wrong = [...this.#wrong.filter((at) => now - at < LOCKOUT_MS), now];
    if (this.#wrong.length < BAD_PROOFS_MAX) return;
    this.#wrong = [];
    this.#lockedUntilMs = now + LOCKOUT_MS;
    this.#needs.print(
      `${BAD_PROOFS_MAX} programs of this machine did not know the pairing token: for ${LOCKOUT_MS / 1000} s no extension is let in`,
    );
  }

  #deny({ channel }: Pending, reason: string, retryMs?: number): void {
    this.#pending.delete(channel.id);
    channel.tell(encodeFrame('denied', { reason, ...(retryMs === undefined ? {} : { retryMs }) }));
    void channel.close();
  }
}

/** The token in the drive; made the first time. */
export async function readToken(drive: Drive): Promise<Uint8Array> {
  const known = (await drive.exists(TOKEN_PATH)) ? await drive.readText(TOKEN_PATH) : undefined;
  const token = known === undefined ? undefined : tokenIn(known);
  if (token !== undefined) return token;
  const fresh = crypto.getRandomValues(new Uint8Array(TOKEN_BYTES));
  await drive.write(TOKEN_PATH, `${hexOf(fresh)}\n`);
  return fresh;
}

export function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
