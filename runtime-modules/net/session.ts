/** A handshake on a connection (networking.md §3): units in and out until there is a session, a refusal or no more time. */
import type { KeyObject } from 'node:crypto';
import type { NodeId, Result } from '../../wit/types.ts';
import {
  type HandshakeRefusal,
  InitiatorHandshake,
  type KeyOf,
  ResponderHandshake,
  type Session,
  type Signer,
} from './handshake.ts';
import { DH_BYTES } from './noise.ts';
import type { Connection } from './transport.ts';

export type SessionRefusal = HandshakeRefusal | 'given up' | (string & {});
/** What takes the connection over, at once: the next frame may be in hand already. */
export type Open = (session: Session, role: 'initiator' | 'responder') => void;
export type SessionResult = Result<Session, SessionRefusal>;

export interface Dialled {
  readonly name: NodeId;
  readonly key: KeyObject;
}

/** As initiator with the node that was dialled. On a refusal the connection is destroyed. Settles when `signal` aborts, at the latest. */
export function initiate(
  connection: Connection,
  us: Signer,
  peer: Dialled,
  options: {
    readonly proxyRequest: boolean;
    /** Through a router, where the peer may be dialling us at this moment. */
    readonly routed?: boolean;
    readonly signal: AbortSignal;
    readonly open: Open;
  },
): Promise<SessionResult> {
  const handshake = new InitiatorHandshake(us, peer, options);
  let taker: Pick<InitiatorHandshake, 'receive'> = handshake;
  const open = (session: Session): void =>
    options.open(session, taker === handshake ? 'initiator' : 'responder');
  const running = drive(connection, { signal: options.signal, open }, (unit) => {
    if (options.routed === true && taker === handshake && unit.length === DH_BYTES) {
      // The router joined two initiators. The smaller name stays one; the other answers as if it had been dialled.
      if (us.name < peer.name) return { ok: true, value: {} };
      const keyOf: KeyOf = (name) => (name === peer.name ? peer.key : undefined);
      taker = new ResponderHandshake(us, keyOf);
    }
    return taker.receive(unit);
  });
  connection.send([handshake.start()]);
  return running;
}

/** As responder to whoever `keyOf` knows. `first`: a unit that was read already. */
export function respond(
  connection: Connection,
  us: Signer,
  keyOf: KeyOf,
  options: {
    readonly first?: Uint8Array | undefined;
    readonly signal: AbortSignal;
    readonly open: Open;
  },
): Promise<SessionResult> {
  const handshake = new ResponderHandshake(us, keyOf);
  const open = (session: Session): void => options.open(session, 'responder');
  const { signal, first } = options;
  return drive(connection, { signal, open }, (unit) => handshake.receive(unit), first);
}

function drive(
  connection: Connection,
  { signal, open }: { readonly signal: AbortSignal; readonly open: (session: Session) => void },
  receive: (unit: Uint8Array) => ReturnType<InitiatorHandshake['receive']>,
  first?: Uint8Array,
): Promise<SessionResult> {
  return new Promise((resolve) => {
    let over = false;
    const settle = (result: SessionResult): void => {
      if (over) return;
      over = true;
      signal.removeEventListener('abort', onAbort);
      if (!result.ok) connection.destroy();
      resolve(result);
    };
    const onAbort = (): void => settle({ ok: false, error: 'handshake took too long' });
    const onFrame = (unit: Uint8Array): void => {
      if (over) return;
      const step = receive(unit);
      if (!step.ok) return settle(step);
      if (step.value.reply !== undefined) connection.send([step.value.reply]);
      if (step.value.session === undefined) return;
      open(step.value.session);
      settle({ ok: true, value: step.value.session });
    };
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    connection.attach({
      onFrame,
      onLength: () => settle({ ok: false, error: 'malformed handshake' }),
      onDrain: () => undefined,
      onEnd: (reason) => settle({ ok: false, error: reason }),
    });
    if (first !== undefined) onFrame(first);
  });
}
