/** What networking costs at least: a plain TCP echo, and the same with frames sealed as Noise seals them and with nothing else. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { CipherState } from '../../runtime-modules/net/noise.ts';

const CHUNK_BYTES = 65_519;
/** Of one direction. */
const cipher = (): CipherState => new CipherState(Buffer.alloc(32, 7));

function opened(cipher: CipherState, sealed: Buffer): Buffer {
  const plain = cipher.open(sealed);
  if (plain === undefined) throw new Error('what was sealed does not open');
  return plain;
}

/** Calls `frame` with each thing behind a 16-bit length. */
function frames(socket: Socket, frame: (bytes: Buffer) => void): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on('data', (read: Buffer) => {
    rest = rest.length === 0 ? read : Buffer.concat([rest, read]);
    let at = 0;
    while (rest.length - at >= 2 && rest.length - at - 2 >= rest.readUInt16BE(at)) {
      const end = at + 2 + rest.readUInt16BE(at);
      frame(rest.subarray(at + 2, end));
      at = end;
    }
    rest = rest.subarray(at);
  });
}

function write(socket: Socket, pieces: readonly Uint8Array[]): boolean {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(pieces.reduce((sum, piece) => sum + piece.length, 0));
  socket.cork();
  socket.write(length);
  let open = true;
  for (const piece of pieces) open = socket.write(piece);
  socket.uncork();
  return open;
}

export type FloorKind = 'tcp' | 'noise';

/** A peer that sends frames of up to 64 bytes back, and answers longer ones, which are parts of 1 MiB, with a byte after the last. */
export function floorServer(kind: FloorKind): Server {
  return createServer({ noDelay: true }, (socket) => {
    const [out, back] = [cipher(), cipher()];
    socket.on('error', () => socket.destroy());
    frames(socket, (sealed) => {
      const plain = kind === 'noise' ? opened(back, sealed) : sealed;
      // A part of a blob, unless it is the last.
      if (plain.length > 64 && plain[0] !== 1) return;
      const answer = plain.length > 64 ? Buffer.of(1) : plain;
      write(socket, kind === 'noise' ? out.sealPieces([answer]) : [answer]);
    });
  });
}

export class FloorClient implements Disposable {
  readonly #socket: Socket;
  readonly #kind: FloorKind;
  readonly #out = cipher();
  readonly #back = cipher();
  #answered: () => void = () => undefined;

  private constructor(socket: Socket, kind: FloorKind) {
    this.#socket = socket;
    this.#kind = kind;
    frames(socket, (sealed) => {
      if (kind === 'noise') opened(this.#back, sealed);
      this.#answered();
    });
  }

  static async open(kind: FloorKind, port: number): Promise<FloorClient> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    await once(socket, 'connect');
    return new FloorClient(socket, kind);
  }

  /** 64 bytes there and back. */
  async roundTrip(bytes: Uint8Array): Promise<void> {
    const answer = new Promise<void>((resolve) => (this.#answered = resolve));
    write(this.#socket, this.#kind === 'noise' ? this.#out.sealPieces([bytes]) : [bytes]);
    await answer;
  }

  /** So many blobs; resolves when the last one has been taken. */
  async blobs(blob: Uint8Array, times: number): Promise<void> {
    const answer = new Promise<void>((resolve) => (this.#answered = resolve));
    for (let time = 1; time <= times; time++) {
      for (let at = 0; at < blob.length; at += CHUNK_BYTES) {
        const last = time === times && at + CHUNK_BYTES >= blob.length;
        const part = blob.slice(at, at + CHUNK_BYTES);
        part[0] = last ? 1 : 0;
        const open = write(
          this.#socket,
          this.#kind === 'noise' ? this.#out.sealPieces([part]) : [part],
        );
        if (!open) await once(this.#socket, 'drain');
      }
    }
    await answer;
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}
