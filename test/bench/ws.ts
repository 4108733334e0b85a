/**
 * `ws.echo`, `ws.idle`: WebSockets of a native component beside plain `ws`, each in a process of its own; what is measured is the
 * server's CPU and memory, its clients are here.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { WebSocket } from 'ws';
import { alternate } from './measure.ts';
import { count, type Bench } from './row.ts';
import type { Used } from './ws-main.ts';

const ECHO_PATH = '/echo:bench:sys';
const ECHO_RATIO_MAX = 2.8;
const ECHO_BYTES = 128;
const CONNECTIONS = 64;
const IDLE = 2_000;
const IDLE_MIB_MAX = 60;
const MIB_BYTES = 1_048_576;
/** Connections opened at a time. */
const OPENED_AT_ONCE = 100;

type Kind = 'node' | 'plain';

export const webSockets: readonly Bench[] = [
  {
    name: 'ws.echo',
    async run(scale) {
      await using node = await Sockets.of('node', CONNECTIONS);
      await using plain = await Sockets.of('plain', CONNECTIONS);
      const echoes = count(60_000, scale, CONNECTIONS);
      const rates: number[] = [];
      const { ours, floor } = await alternate(
        scale.runs,
        async () => {
          const start = performance.now();
          const cpuUs = await node.echo(echoes);
          rates.push(echoes / (performance.now() - start));
          return cpuUs;
        },
        () => plain.echo(echoes),
      );
      return [
        {
          name: 'ws.echo',
          value: ours,
          unit: 'us',
          floor,
          target: { of: 'ratio', max: ECHO_RATIO_MAX },
          runs: scale.runs,
          note: `server CPU an echo of ${ECHO_BYTES} bytes, ${CONNECTIONS} connections, ${Math.round(Math.max(...rates))},000/s; floor: plain ws`,
        },
      ];
    },
  },
  {
    name: 'ws.idle',
    async run(scale) {
      const wanted = count(IDLE, scale, 10);
      const weight = async (kind: Kind): Promise<number> => {
        await using sockets = await Sockets.of(kind, 0);
        return await sockets.weigh(wanted);
      };
      const ours = await weight('node');
      const floor = await weight('plain');
      return [
        {
          name: 'ws.idle',
          value: ours / MIB_BYTES,
          unit: 'MiB',
          floor: floor / MIB_BYTES,
          target: { of: 'value', max: IDLE_MIB_MAX },
          runs: 1,
          note: `RSS of ${wanted} idle WebSockets over a server without any; floor: plain ws`,
        },
      ];
    },
  },
];

/** A server and the clients of it. */
class Sockets implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #url: string;
  readonly #clients: WebSocket[] = [];

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.#url = `ws://127.0.0.1:${port}${ECHO_PATH}`;
  }

  static async of(kind: Kind, clients: number): Promise<Sockets> {
    const file = fileURLToPath(new URL('ws-main.ts', import.meta.url));
    const child = fork(file, [kind], { execArgv: ['--expose-gc'] });
    const sockets = new Sockets(child, (await next(child)).port);
    await sockets.#grow(clients);
    return sockets;
  }

  /** Echoes that many frames, one under way on each connection; the server's CPU for each, in microseconds. */
  async echo(echoes: number): Promise<number> {
    const frame = Buffer.alloc(ECHO_BYTES, 'x');
    const before = await this.#used('now');
    let left = echoes;
    await Promise.all(
      this.#clients.map((client) => {
        return new Promise<void>((resolve) => {
          const onMessage = (): void => {
            if (left-- > 0) return client.send(frame);
            client.off('message', onMessage);
            resolve();
          };
          client.on('message', onMessage);
          left--;
          client.send(frame);
        });
      }),
    );
    return ((await this.#used('now')).cpuUs - before.cpuUs) / echoes;
  }

  /** Bytes that so many connections add to the server. */
  async weigh(connections: number): Promise<number> {
    // The first ones load what all share.
    await this.#grow(OPENED_AT_ONCE);
    await this.#shrink();
    const before = await this.#used('settle');
    await this.#grow(connections);
    const after = await this.#used('settle');
    return Math.max(0, after.rssBytes - before.rssBytes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#shrink();
    const exited = once(this.#child, 'exit');
    this.#child.disconnect();
    await exited;
  }

  async #grow(connections: number): Promise<void> {
    const wanted = this.#clients.length + connections;
    while (this.#clients.length < wanted) {
      const batch = Math.min(OPENED_AT_ONCE, wanted - this.#clients.length);
      const opened = Array.from(
        { length: batch },
        () => new WebSocket(this.#url, { perMessageDeflate: false }),
      );
      await Promise.all(opened.map((client) => once(client, 'open')));
      this.#clients.push(...opened);
    }
  }

  async #shrink(): Promise<void> {
    const closed = this.#clients.splice(0).map((client) => {
      client.close();
      return once(client, 'close');
    });
    await Promise.all(closed);
  }

  #used(when: 'now' | 'settle'): Promise<Used> {
    const answer = next(this.#child);
    this.#child.send(when);
    return answer;
  }
}

/** The child's next message; fails if it ends instead. */
async function next(child: ChildProcess): Promise<Used> {
  const over = new AbortController();
  const ended = once(child, 'exit', { signal: over.signal }).then(([code]) => {
    throw new Error(`the server ended with ${String(code)}`);
  });
  try {
    const [used] = (await Promise.race([once(child, 'message'), ended])) as [Used];
    return used;
  } finally {
    over.abort();
    ended.catch(() => undefined);
  }
}
