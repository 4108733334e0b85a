/** A host of a test's network with a node on it that chats, in a process of its own, and what that node has stored (findings F27, F28). */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Hosts } from './hosts.ts';

const NODE = fileURLToPath(new URL('./host-node.ts', import.meta.url));
/** Attempts last 10 s, and what a dead socket was given is lost. */
const WAIT_MS = 45_000;

export interface Stored {
  readonly author: string;
  readonly content: string;
  readonly delivery: string;
}

/** One node's process, with what it has stored last. */
export class ChatHost implements AsyncDisposable {
  readonly #child: ChildProcess;
  #stored: Readonly<Record<string, readonly Stored[]>> = {};
  #changed = Promise.withResolvers<void>();

  constructor(hosts: Hosts, host: number, folder: string) {
    const others = Array.from({ length: hosts.count }, (_, other) => {
      const { ip, port } = hosts.at(host, other);
      return `n${other}.os=${ip}:${port}`;
    }).filter((_, other) => other !== host);
    const { ip, port } = hosts.own(host);
    const own = [`n${host}.os`, ip, `${port}`, join(folder, `n${host}`)];
    const command = [...hosts.command(host), process.execPath, NODE, ...own, ...others];
    this.#child = spawn(command[0]!, command.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      const text = Buffer.from(line, 'base64').toString();
      this.#stored =
        text === '' ? {} : (JSON.parse(text) as { state: Record<string, Stored[]> }).state;
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    });
  }

  post(to: number, text: string): void {
    this.#child.stdin?.write(`n${to}.os ${text}\n`);
  }

  with(other: number): readonly Stored[] {
    return this.#stored[`n${other}.os`] ?? [];
  }

  /** Waits until that message is stored here, and as that. @throws Error when it takes too long */
  async until(other: number, text: string, delivery: string): Promise<void> {
    const endMs = Date.now() + WAIT_MS;
    const fits = (each: Stored): boolean => each.content === text && each.delivery === delivery;
    while (!this.with(other).some(fits)) {
      const leftMs = endMs - Date.now();
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, Math.max(0, leftMs));
      await Promise.race([this.#changed.promise, late.promise]);
      clearTimeout(timer);
      if (leftMs <= 0)
        throw new Error(`${text} is not ${delivery}: ${JSON.stringify(this.#stored)}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'close');
  }
}
