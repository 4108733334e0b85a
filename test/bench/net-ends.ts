/** Both ends of a network bench: a node here that works in a guest, and whatever answers it, in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { GuestApi } from '../../kernel/testing.ts';
import { NetNode, publicHex, testKey } from '../../runtime-modules/net/testing/nodes.ts';
import { address } from '../../wit/address.ts';
import { timed } from './measure.ts';

export const BLOB_BYTES = 1_048_576;
const WAIT_S = 600;
const ECHO = address('bob.os@echo:bench:sys');

/** The far end of a bench, until disposed of. */
export class Far implements Disposable {
  readonly port: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
  }

  static async start(...args: readonly (string | number)[]): Promise<Far> {
    const file = fileURLToPath(new URL('net-child.ts', import.meta.url));
    const child = spawn(process.execPath, [file, ...args.map(String)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const port = await new Promise<number>((resolve, reject) => {
      child.stdout?.once('data', (line: Buffer) => resolve(Number(line.toString())));
      child.once('exit', () => reject(new Error(`${args.join(' ')} ended before it had a port`)));
    });
    return new Far(child, port);
  }

  get pid(): number {
    return pidOf(this.#child);
  }

  [Symbol.dispose](): void {
    this.#child.stdin?.end();
    this.#child.kill();
  }
}

/** @throws Error when it never started */
export function pidOf({ pid }: ChildProcess): number {
  if (pid === undefined) throw new Error('a process that never started');
  return pid;
}

/** Tells a node of another one on this machine, at that port or behind routers. */
export function acquaint(
  node: NetNode,
  name: string,
  port: number | undefined,
  routers: string[] = [],
): void {
  node.module.net.update({
    name,
    public_key: publicHex(testKey(name)),
    ips: port === undefined ? [] : ['127.0.0.1'],
    ports: new Map(port === undefined ? [] : [['tcp', port]]),
    routers,
  });
}

/** alice.os, who runs work in a guest and knows bob.os somewhere. */
export class Near implements AsyncDisposable {
  readonly node: NetNode;
  #guests = 0;

  private constructor(node: NetNode) {
    this.node = node;
  }

  static async start(wire: 'reference' | 'hl/1', bob: number, router?: number): Promise<Near> {
    const node = await NetNode.start({ name: 'alice.os', wire });
    if (router === undefined) acquaint(node, 'bob.os', bob);
    else {
      acquaint(node, 'router.os', router);
      acquaint(node, 'bob.os', undefined, ['router.os']);
    }
    return new Near(node);
  }

  /** Milliseconds that `work` took inside a guest. */
  async timed(work: (guest: GuestApi) => Promise<void>): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    await this.node.node.start(
      `near-${this.#guests++}:bench:sys`,
      async (guest) => {
        try {
          // The connection is not what is measured.
          await trip(guest);
          resolve(await timed(() => work(guest)));
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      },
      { holds: [this.node.node.network()] },
    );
    return promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.node[Symbol.asyncDispose]();
  }
}

export const SMALL = Buffer.alloc(64, 1);

async function trip(guest: GuestApi): Promise<void> {
  const answer = await guest.sendAndAwait(ECHO, {
    body: SMALL,
    expectsResponse: WAIT_S,
  });
  if (!answer.ok) throw new Error(`bob.os did not answer: ${JSON.stringify(answer)}`);
}

export function blobs(near: Near, blob: Uint8Array, times: number): Promise<number> {
  return near.timed(async (guest) => {
    for (let time = 0; time < times; time++)
      await guest.send(ECHO, {}, { blob: { mime: undefined, bytes: blob } });
    await trip(guest);
  });
}
