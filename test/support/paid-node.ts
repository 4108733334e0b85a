/** A provider of paid jobs, all of it as people start it: a chain, a node on it, the extension as a program of its own. */
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HYPER, NODE_REGISTRY } from '../../contracts/abi/constants.ts';
import { type Chain, startChain } from '../../contracts/chain/chain.ts';
import { personas } from '../../contracts/chain/personas.ts';
import { register } from '../../kit/job/registry.ts';
import { openHome } from '../../runtime-modules/identity/home.ts';
import { RunningExtension } from './compute-node.ts';
import { RunningNode } from './running-node.ts';
import { removeHome } from './remove-home.ts';

/** For an extension to be paired, in milliseconds. */
const PAIRED_MS_MAX = 120_000;

export interface PaidNodeOptions {
  readonly name: string;
  readonly slots: number;
}

export class PaidNode implements AsyncDisposable {
  readonly name: string;
  readonly chain: Chain;
  readonly folder: string;
  /** Who owns the name of a development node that shares a chain. */
  readonly operator = personas.owner;
  readonly payTo = personas.heidi;
  readonly #slots: number;
  #node: RunningNode | undefined;
  #extension: RunningExtension | undefined;
  #url = '';

  private constructor(chain: Chain, folder: string, { name, slots }: PaidNodeOptions) {
    this.chain = chain;
    this.folder = folder;
    this.name = name;
    this.#slots = slots;
  }

  /** Up, its extension paired, its name on the chain, and not registered. */
  static async start(options: PaidNodeOptions): Promise<PaidNode> {
    const folder = await mkdtemp(join(tmpdir(), 'hyperloom-paid-'));
    const made = new PaidNode(await startChain(), folder, options);
    try {
      await made.#start();
      return made;
    } catch (error) {
      await made[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Of its web server, the same after every start. */
  get url(): string {
    return this.#url;
  }

  get node(): RunningNode {
    if (this.#node === undefined) throw new Error('no node was started');
    return this.#node;
  }

  get extension(): RunningExtension {
    if (this.#extension === undefined) throw new Error('no extension was started');
    return this.#extension;
  }

  /** Of the extension. */
  get extensionHome(): string {
    return join(this.folder, 'ext');
  }

  /** Nothing that was under way is done; up again when it resolves. */
  async kill(): Promise<void> {
    await this.#node?.end('SIGKILL');
    await this.#startNode(Number(new URL(this.#url).port));
  }

  /** The operator registers the extension's key and stakes, as `kit provider register` does. */
  async register(stake: bigint): Promise<void> {
    const { url, chainId } = this.chain;
    const walletFile = join(this.folder, 'operator.key');
    await writeFile(walletFile, this.operator.privateKey, { mode: 0o600 });
    await register(
      { rpc: url, chainId, registry: NODE_REGISTRY, token: HYPER },
      {
        ...{ node: this.name, walletFile, payTo: this.payTo.address, stake },
        executorFile: join(this.extensionHome, 'executor.key'),
        metaHash: `0x${'0'.repeat(64)}`,
        tell: () => undefined,
      },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#extension?.kill();
    await this.#node?.[Symbol.asyncDispose]();
    await this.chain.close();
    await removeHome(this.folder);
  }

  async #start(): Promise<void> {
    const home = join(this.folder, 'home');
    await (await openHome(home)).release();
    const drive = join(home, 'vfs', 'compute:sys', 'gpu');
    await mkdir(drive, { recursive: true });
    const policy = { free: 'Own', paid: true, minPrice: '0', allow: [], deny: [], slots: null };
    const text = { ...policy, payTo: this.payTo.address, prices: [], takesJobs: true };
    await writeFile(join(drive, 'policy.json'), JSON.stringify(text));
    await this.#startNode(0);
    const extension = new RunningExtension(
      [
        ...['extension', 'gpu', '--node', this.#url, '--home', this.extensionHome],
        ...['--token-file', join(drive, 'pairing-token'), '--slots', String(this.#slots)],
      ],
      {},
    );
    this.#extension = extension;
    const until = Date.now() + PAIRED_MS_MAX;
    while (!extension.output.includes('paired')) {
      if (extension.child.exitCode !== null || Date.now() > until)
        throw new Error(extension.output);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    // The name is on the chain.
    await this.#node?.until(new RegExp(`find it as ${this.name.replaceAll('.', '\\.')}`));
  }

  async #startNode(port: number): Promise<void> {
    const args = ['--fakechain-port', String(this.chain.port), '--extensions'];
    const home = join(this.folder, 'home');
    const name = ['--fake-node-name', this.name];
    this.#node = RunningNode.spawn([home, ...name, '--port', String(port), ...args]);
    const [, url = ''] = await this.#node.until(/ is up after .*, at (http:\/\/localhost:[0-9]+)/);
    this.#url = url;
  }
}
