/** Fake nodes for tests, on one chain, each a program of its own: what `kit boot-fake-node` starts, in a test's own hands. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Chain, type ChainOptions, startChain } from '../../contracts/chain/chain.ts';
import { personas } from '../../contracts/chain/personas.ts';
import { nodeArguments } from '../../kit/fake-nodes.ts';
import { RunningNode } from './running-node.ts';

export class FakeNetwork implements AsyncDisposable {
  #chain: Chain;
  readonly #folder: string;
  readonly #options: ChainOptions;
  readonly #nodes: RunningNode[] = [];
  #registered = Promise.resolve();

  private constructor(chain: Chain, folder: string, options: ChainOptions) {
    this.#chain = chain;
    this.#folder = folder;
    this.#options = options;
  }

  /** A chain and nobody on it. Homes are below `folder`, which is the caller's to delete. */
  static async start(folder: string, options: ChainOptions = {}): Promise<FakeNetwork> {
    return new FakeNetwork(await startChain(options), folder, options);
  }

  get chain(): Chain {
    return this.#chain;
  }

  /** Kills the chain: what it did since it was saved is lost. It comes back at the same port, from its file. */
  async killChain(): Promise<void> {
    const { pid, port, ended } = this.#chain;
    process.kill(pid, 'SIGKILL');
    await ended;
    // Nobody is there to be saved.
    await this.#chain.close().catch(() => undefined);
    this.#chain = await startChain({ ...this.#options, port });
  }

  /** Boots a node and waits until it is on the chain. `home`: another than the one of its name. */
  async boot(
    name: string,
    { home = name, more = [] as readonly string[] } = {},
  ): Promise<RunningNode> {
    const plan = { name, home: join(this.#folder, home), port: 0 };
    const node = RunningNode.spawn(nodeArguments(plan, this.#chain.port, more));
    this.#nodes.push(node);
    await node.until(/nodes that share its chain find it as /);
    return node;
  }

  /** Registers a name as `hyperloom register` does and boots the real node that it is of, with those arguments. */
  async register(
    name: string,
    how: readonly string[],
    more: readonly string[] = [],
  ): Promise<RunningNode> {
    const home = join(this.#folder, name);
    const secret = async (file: string, text: string): Promise<string> => {
      const path = join(this.#folder, file);
      await writeFile(path, text, { mode: 0o600 });
      return path;
    };
    const password = ['--password-file', await secret('password', 'correct horse')];
    const chain = ['--fakechain-port', String(this.chain.port)];
    const key = ['--key-file', await secret('wallet.key', personas.alice.privateKey)];
    // One after another: they share a wallet, whose transactions are numbered.
    this.#registered = this.#registered.then(async () => {
      const registering = RunningNode.spawn([
        ...['register', home, '--name', name, ...how, ...key, ...password, ...chain],
      ]);
      this.#nodes.push(registering);
      await registering.until(/ is registered/);
      await registering.exited;
    });
    await this.#registered;
    const node = RunningNode.spawn([home, ...password, ...chain, '--port', '0', ...more]);
    this.#nodes.push(node);
    await node.until(/ is up after /);
    return node;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node[Symbol.asyncDispose]()));
    await this.#chain.close();
  }
}
