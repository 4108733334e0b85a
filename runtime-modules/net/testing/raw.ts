/** A peer that a test plays itself, frame by frame: what it says need not be right. */
import type { KernelMessage } from '../../../wit/types.ts';
import { Cutter } from '../frames.ts';
import {
  ALL_FEATURES,
  type Features,
  InitiatorHandshake,
  REFERENCE,
  type Session,
} from '../handshake.ts';
import { publicKeyOf } from '../pki.ts';
import type { Connection, NetAddress, Transport } from '../transport.ts';
import { encodeMessage } from '../wire.ts';
import type { NetNode } from './nodes.ts';
import { testKey } from './nodes.ts';

export class RawPeer {
  readonly connection: Connection;
  readonly frames: Uint8Array[] = [];
  ended: string | undefined;
  session: Session | undefined;
  #onFrame: (frame: Uint8Array) => void = (frame) => void this.frames.push(frame);
  #number = 0;

  private constructor(connection: Connection) {
    this.connection = connection;
    connection.attach({
      onFrame: (frame) => this.#onFrame(frame),
      onLength: () => (connection.lengthNext = false),
      onDrain: () => undefined,
      onEnd: (reason) => (this.ended = reason),
    });
  }

  static async dial(transport: Transport, to: NetAddress): Promise<RawPeer> {
    const dialled = await transport.dial(to, new AbortController().signal);
    if (!dialled.ok) throw new Error(dialled.error);
    return new RawPeer(dialled.value);
  }

  /** Shakes hands as `name`, without waiting for the answer to be there: `session` is set when it was. */
  greet(
    as: string,
    node: NetNode,
    options: { offered?: Features; proxyRequest?: boolean } = {},
  ): void {
    const key = publicKeyOf(node.update.public_key);
    if (key === undefined) throw new Error('no key');
    const us = { name: as, networkingKey: testKey(as), offered: options.offered ?? REFERENCE };
    const handshake = new InitiatorHandshake(
      us,
      { name: node.name, key },
      {
        proxyRequest: options.proxyRequest ?? false,
      },
    );
    this.#onFrame = (unit) => {
      const step = handshake.receive(unit);
      if (!step.ok) throw new Error(step.error);
      const next = (): void => {
        // What it is told fits into one chunk.
        this.connection.lengthNext =
          this.session?.features.mux === false && this.connection.lengths === 'clear';
      };
      this.#onFrame = (frame) => {
        this.frames.push(frame);
        next();
      };
      this.session = step.value.session;
      next();
      if (step.value.reply !== undefined) this.connection.send([step.value.reply]);
    };
    this.connection.send([handshake.start()]);
  }

  /** Sends bytes as the content of a message. */
  say(encoded: Uint8Array): void {
    const { session } = this;
    if (session === undefined) throw new Error('no session yet');
    const framing = session.features.mux ? 'mux' : this.connection.lengths;
    const cutter = new Cutter([encoded], framing, this.#number++);
    while (!cutter.done) {
      const { plain, clearLength } = cutter.next();
      this.connection.send(session.send.sealPieces(plain), clearLength);
    }
  }

  tell(message: KernelMessage): void {
    this.say(encodeMessage(message, { bin: false }));
  }
}

export { ALL_FEATURES };
