/** A real node in a process of its own, driven through its console as a pipe. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const LAUNCHER = fileURLToPath(new URL('../../bin/hyperloom.mjs', import.meta.url));
/** Long enough for a first start on a busy machine, which builds the bundled packages. */
const WAIT_MS = 120_000;
/** Between two askings: often enough for a test, and no load to the node asked. */
const RETYPE_MS = 100;

export class RunningNode implements AsyncDisposable {
  readonly child: ChildProcess;
  #output = '';
  #seen = 0;
  #changed = Promise.withResolvers<void>();
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;

  private constructor(child: ChildProcess) {
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8');
      stream?.on('data', (text: string) => {
        this.#output += text;
        this.#wake();
      });
    }
    this.exited = once(child, 'close').then(([code, signal]) => {
      this.#wake();
      return { code: code as number | null, signal: signal as NodeJS.Signals | null };
    });
  }

  /** Starts without waiting; another program than a node, such as kit, is one that shows what its nodes do. */
  static spawn(args: readonly string[], program: string = LAUNCHER): RunningNode {
    const child = spawn(process.execPath, [program, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1' },
    });
    return new RunningNode(child);
  }

  /** Starts and waits until the node is up. */
  static async start(home: string, args: readonly string[] = []): Promise<RunningNode> {
    const node = RunningNode.spawn([home, '--fake-node-name', 'test.dev', '--port', '0', ...args]);
    await node.until(/ is up after /);
    return node;
  }

  /** Everything shown so far. */
  get output(): string {
    return this.#output;
  }

  /** Waits for output after what earlier calls matched. @throws when the node ends first, or after WAIT_MS, with the output */
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    const deadline = Date.now() + WAIT_MS;
    for (;;) {
      const match = pattern.exec(this.#output.slice(this.#seen));
      if (match !== null) {
        this.#seen += match.index + match[0].length;
        return match;
      }
      if (this.child.exitCode !== null || this.child.signalCode !== null || Date.now() > deadline) {
        throw new Error(`${String(pattern)} was not printed:\n${this.#output}`);
      }
      const wait = Promise.withResolvers<void>();
      const timer = globalThis.setTimeout(wait.resolve, 1_000);
      await Promise.race([this.#changed.promise, wait.promise]);
      clearTimeout(timer);
    }
  }

  /** Enters a line and waits for what it should print. */
  async type(line: string, pattern: RegExp): Promise<RegExpExecArray> {
    this.#seen = this.#output.length;
    this.child.stdin?.write(`${line}\n`);
    return this.until(pattern);
  }

  /** Enters a line again and again until what it prints is as wanted. @throws as `until`, counted from the first time */
  async retype(
    line: string,
    pattern: RegExp,
    wanted: (match: RegExpExecArray) => boolean,
  ): Promise<RegExpExecArray> {
    const deadline = Date.now() + WAIT_MS;
    for (;;) {
      const match = await this.type(line, pattern);
      if (wanted(match)) return match;
      if (Date.now() > deadline)
        throw new Error(`${line} kept on printing ${match[0]}:\n${this.#output}`);
      await setTimeout(RETYPE_MS);
    }
  }

  /** Sends a signal and waits for the end. */
  async end(
    signal: NodeJS.Signals,
  ): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    this.child.kill(signal);
    return this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.end('SIGKILL');
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }
}
