/** A node of a fake network whose operator sells computation: its policy, its extension, its place in the registry. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HYPER, NODE_REGISTRY } from '../../contracts/abi/constants.ts';
import { HYPERMAP } from '../../contracts/addresses.ts';
import { encodeCall } from '../../contracts/calls.ts';
import type { Chain } from '../../contracts/chain/chain.ts';
import { personas, type Persona } from '../../contracts/chain/personas.ts';
import { namehash } from '../../contracts/hypermap.ts';
import { register } from '../../kit/job/registry.ts';
import { openHome } from '../../runtime-modules/identity/home.ts';
import { RunningExtension } from './compute-node.ts';
import type { FakeNetwork } from './fake-network.ts';
import type { RunningNode } from './running-node.ts';

/** For an extension to be paired, and for a token to be there, in milliseconds. */
const PAIRED_MS_MAX = 120_000;
const ZERO_HASH = `0x${'0'.repeat(64)}`;

export interface Seller {
  readonly name: string;
  /** Whose name and stake it is. */
  readonly operator: Persona;
  readonly payTo: string;
  /** Millionths of HYPER for an hour of a core. */
  readonly rate: bigint;
  /** Nodes whose jobs it runs for nothing too: without some, nothing can be audited here. */
  readonly allow: readonly string[];
}

export class ProviderNode {
  readonly node: RunningNode;
  readonly url: string;
  readonly #seller: Seller;
  readonly #home: string;

  private constructor(seller: Seller, home: string, node: RunningNode, url: string) {
    this.#seller = seller;
    this.#home = home;
    this.node = node;
    this.url = url;
  }

  /** @param folder  of the network's homes */
  static async boot(network: FakeNetwork, folder: string, seller: Seller): Promise<ProviderNode> {
    const { name, payTo, rate, allow } = seller;
    const home = join(folder, name);
    await (await openHome(home)).release();
    const drive = join(home, 'vfs', 'compute:sys', 'gpu');
    await mkdir(drive, { recursive: true });
    const policy = {
      ...{ free: 'Allowed', paid: true, minPrice: '0', allow, deny: [], slots: null },
      ...{ payTo, prices: [{ class: 'cpu', price: String(rate) }], takesJobs: true },
    };
    await writeFile(join(drive, 'policy.json'), JSON.stringify(policy));
    const node = await network.boot(name, { more: ['--extensions'] });
    return new ProviderNode(seller, home, node, urlOf(node));
  }

  get tokenFile(): string {
    return join(this.#home, 'vfs', 'compute:sys', 'gpu', 'pairing-token');
  }

  /** Of the extension. */
  get extensionHome(): string {
    return `${this.#home}.ext`;
  }

  /** The extension as a program of its own. */
  async startExtension(more: readonly string[] = []): Promise<RunningExtension> {
    const made = new RunningExtension(
      [
        ...['extension', 'gpu', '--node', this.url, '--token-file', this.tokenFile],
        ...['--home', this.extensionHome, '--slots', '4', '--no-probe', ...more],
      ],
      {},
    );
    const until = Date.now() + PAIRED_MS_MAX;
    while (!made.output.includes('paired')) {
      if (made.child.exitCode !== null || Date.now() > until) throw new Error(made.output);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return made;
  }

  /** The name becomes the operator's, who registers it with that stake, as `kit provider register` does. */
  async register(chain: Chain, stake: bigint): Promise<void> {
    const { name, operator, payTo } = this.#seller;
    const { owner } = personas;
    const node = namehash(name);
    if (operator.address !== owner.address) {
      // transferFrom(address,address,uint256)
      const words = [BigInt(owner.address), BigInt(operator.address), BigInt(node)];
      const data = encodeCall('23b872dd', words);
      await chain.rpc.send({ from: owner.address, to: HYPERMAP, data });
    }
    const walletFile = `${this.#home}.wallet`;
    await writeFile(walletFile, operator.privateKey, { mode: 0o600 });
    await register(
      { rpc: chain.url, chainId: chain.chainId, registry: NODE_REGISTRY, token: HYPER },
      {
        ...{ node: name, walletFile, payTo, stake, metaHash: ZERO_HASH },
        executorFile: join(this.extensionHome, 'executor.key'),
        tell: () => undefined,
      },
    );
  }

  /** The pairing token, once there is one. */
  async token(): Promise<string> {
    const until = Date.now() + PAIRED_MS_MAX;
    for (;;) {
      const text = await readFile(this.tokenFile, 'utf8').catch(() => '');
      if (text !== '' || Date.now() > until) return text;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** Where a node says that it is. */
export function urlOf(node: RunningNode): string {
  return / is up after .*, at (http:\/\/localhost:[0-9]+)/.exec(node.output)?.[1] ?? '';
}
