/**
 * Fake nodes on one development chain, each a program of its own with a home and ports of its own (kit.md §2.5). What one command has started
 * ends with it: its nodes, then its chain; a chain that was there before lives on.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Chain, startChain } from '../contracts/chain/chain.ts';
import { chainAnswersAt } from '../contracts/chain/find.ts';
import { BuildError } from './build/build-error.ts';
import { type FakeNetworkPlan, type FakeNodePlan, nodeArguments } from './fake-nodes.ts';

const LAUNCHER = fileURLToPath(new URL('../bin/hyperloom.mjs', import.meta.url));
const LEASH = new URL('./leash.ts', import.meta.url).href;
/** A node ends within ten seconds by itself; past this it is killed. */
const END_MS_MAX = 15_000;
const UP = /\bis up after \d+ ms(?:, at (\S+?))?\. /;
const REACHED = /\bother nodes reach it at (.+)$/;
/** Lines of a node that are kept for when it fails. */
const LINES_KEPT = 20;

export interface FakeNetworkOptions {
  readonly plan: FakeNetworkPlan;
  /** Further arguments of every node. */
  readonly more?: readonly string[];
  /** This terminal is the (only) node's own; nothing of it passes through here. */
  readonly attached: boolean;
  /** A line that a node has printed. */
  readonly show: (node: string, line: string) => void;
  /** Something about the chain. */
  readonly tell: (text: string) => void;
}

/** Where a node is, once it is up. */
export interface FakeNode extends FakeNodePlan {
  /** Of its web server. */
  readonly url: string;
  /** Of its ports for other nodes, as text. */
  readonly reached: string;
}

interface Running {
  readonly plan: FakeNodePlan;
  readonly child: ChildProcess;
  /** The exit code; -1 when a signal killed it. */
  readonly ended: Promise<number>;
}

export class FakeNetwork implements AsyncDisposable {
  readonly #options: FakeNetworkOptions;
  readonly #running = new Map<string, Running>();
  #chain: Chain | undefined;
  #over: Promise<void> | undefined;

  constructor(options: FakeNetworkOptions) {
    this.#options = options;
  }

  /**
   * Finds or starts the chain, then the nodes: the first alone, since it may have to build what all of them need.
   * @returns where they are; of an attached node nothing is known @throws BuildError or ChainError, and what was started still runs
   */
  async start(): Promise<readonly FakeNode[]> {
    const { plan, attached, tell } = this.#options;
    const { chainPort } = plan;
    const at = `http://127.0.0.1:${chainPort}`;
    if (await chainAnswersAt(chainPort)) tell(`uses the chain that is at ${at}`);
    else {
      const chain = await startChain({ port: chainPort });
      if (this.#over !== undefined) await chain.close();
      this.#chain = chain;
      tell(`started a chain at ${at}`);
      void chain.ended.then((reason) => this.#over ?? tell(`the chain has ended: ${reason}`));
    }
    const [first, ...others] = plan.nodes;
    if (first === undefined || this.#over !== undefined) return [];
    if (attached) {
      this.#spawn(first, ['inherit', 'inherit', 'inherit', 'ipc']);
      return [];
    }
    const up = await this.#boot(first);
    if (up === undefined) return [];
    const rest = await Promise.all(others.map((other) => this.#boot(other)));
    return [up, ...rest.filter((node) => node !== undefined)];
  }

  /** Types a line at a node's console. False: there is no such node, or it has ended. */
  enter(name: string, line: string): boolean {
    const child = this.#running.get(name)?.child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return false;
    child.stdin?.write(`${line}\n`);
    return true;
  }

  /** Resolves with the exit codes when all nodes have ended. */
  async ended(): Promise<readonly number[]> {
    return Promise.all([...this.#running.values()].map((each) => each.ended));
  }

  /** Ends the nodes, then the chain if it is ours. Twice is as once. */
  end(): Promise<void> {
    return (this.#over ??= this.#end());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }

  /** For who cannot wait. */
  kill(): void {
    for (const { child } of this.#running.values()) child.kill('SIGKILL');
  }

  async #end(): Promise<void> {
    const late = setTimeout(() => this.kill(), END_MS_MAX);
    for (const { child } of this.#running.values()) child.kill('SIGTERM');
    await this.ended();
    clearTimeout(late);
    await this.#chain?.close();
  }

  #spawn(plan: FakeNodePlan, stdio: NonNullable<Parameters<typeof spawn>[2]>['stdio']): Running {
    const { plan: network, more, attached } = this.#options;
    const args = nodeArguments(plan, network.chainPort, more);
    const child = spawn(process.execPath, ['--import', LEASH, LAUNCHER, ...args], {
      stdio,
      // Ctrl-C is kit's to handle; a node that has the terminal handles it itself.
      detached: !attached,
    });
    const ended = once(child, 'exit').then(([code]) => (code as number | null) ?? -1);
    const running = { plan, child, ended };
    this.#running.set(plan.name, running);
    return running;
  }

  /** Undefined: all of it was ended meanwhile. */
  async #boot(plan: FakeNodePlan): Promise<FakeNode | undefined> {
    if (this.#over !== undefined) return undefined;
    const { child, ended } = this.#spawn(plan, ['pipe', 'pipe', 'pipe', 'ipc']);
    child.stdin?.on('error', () => undefined);
    const last: string[] = [];
    const up = Promise.withResolvers<FakeNode | undefined>();
    let url: string | undefined;
    const read = (line: string): void => {
      this.#options.show(plan.name, line);
      last.push(line);
      if (last.length > LINES_KEPT) last.shift();
      const found = UP.exec(line);
      if (found !== null) url = found[1] ?? '';
      const reached = REACHED.exec(line)?.[1];
      if (url !== undefined && reached !== undefined) up.resolve({ ...plan, url, reached });
    };
    for (const stream of [child.stdout, child.stderr])
      if (stream !== null) createInterface({ input: stream }).on('line', read);
    let isUp = false;
    void up.promise.then(
      () => (isUp = true),
      () => undefined,
    );
    void ended.then((code) => {
      if (this.#over !== undefined) return up.resolve(undefined);
      if (isUp) return this.#options.tell(`${plan.name} has ended with code ${code}`);
      return up.reject(
        new BuildError(
          'fake-node',
          `${plan.name} has ended with code ${code} before it was up:\n${last.join('\n')}`,
        ),
      );
    });
    return up.promise;
  }
}
