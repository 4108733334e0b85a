/**
 * A process of its own that loads a web server: CONNECTIONS keep-alive connections over plain sockets, one request on each at a time.
 * Asked over IPC with a `Load`, it answers with a `Loaded`. It reads of an answer what it must: the status, and how long it is.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** Connections kept open by a load. */
export const CONNECTIONS = 64;

export interface Load {
  readonly port: number;
  readonly path: string;
  readonly requests: number;
}

export interface Loaded {
  readonly ms: number;
  /** Answers that were not 200, or not as long as the first. */
  readonly errors: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

class Client {
  readonly #socket: Socket;
  readonly #request: string;
  /** Of a whole answer; all answers of a load are alike. */
  #answerBytes = 0;
  #head = '';
  #got = 0;
  #sentMs = 0;
  #finished: ((ok: boolean, ms: number) => void) | undefined;

  constructor(socket: Socket, request: string) {
    this.#socket = socket;
    this.#request = request;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
  }

  send(finished: (ok: boolean, ms: number) => void): void {
    this.#finished = finished;
    this.#got = 0;
    this.#head = '';
    this.#sentMs = performance.now();
    this.#socket.write(this.#request);
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    if (this.#head.length < 12 || this.#answerBytes === 0) {
      this.#head += chunk.toString('latin1');
      const end = this.#head.indexOf('\r\n\r\n');
      if (end < 0) return;
      if (this.#answerBytes === 0) {
        const length = /content-length: (\d+)/i.exec(this.#head.slice(0, end))?.[1];
        this.#answerBytes = end + 4 + Number(length);
      }
    }
    this.#got += chunk.length;
    if (this.#got < this.#answerBytes) return;
    const ok = this.#got === this.#answerBytes && this.#head.startsWith('HTTP/1.1 200');
    this.#finished?.(ok, performance.now() - this.#sentMs);
  }
}

async function run({ port, path, requests }: Load): Promise<Loaded> {
  const text = `GET ${path} HTTP/1.1\r\nHost: localhost:${port}\r\nAccept: */*\r\nUser-Agent: load\r\n\r\n`;
  const clients: Client[] = [];
  for (let index = 0; index < Math.min(CONNECTIONS, requests); index++) {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    clients.push(new Client(socket, text));
  }
  const times: number[] = [];
  let errors = 0;
  let left = requests;
  const start = performance.now();
  await Promise.all(
    clients.map(
      (client) =>
        new Promise<void>((resolve) => {
          const next = (): void => {
            if (left-- <= 0) return resolve();
            client.send((ok, ms) => {
              if (!ok) errors++;
              times.push(ms);
              next();
            });
            return undefined;
          };
          next();
        }),
    ),
  );
  const ms = performance.now() - start;
  for (const client of clients) client.close();
  times.sort((a, b) => a - b);
  const at = (part: number): number => times[Math.floor(times.length * part)] ?? 0;
  return { ms, errors, p50Ms: at(0.5), p99Ms: at(0.99) };
}

if (import.meta.main) {
  process.on('message', (load: Load) => {
    void run(load).then((loaded) => process.send?.(loaded));
  });
}
