/** A kernel with the indexer's components, `eth` on a real chain, and a `net` that notes what it is told. */
import { mkdtemp, mkdir, rm, writeFile, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { decode } from '@msgpack/msgpack';
import { HYPERMAP } from '../../contracts/addresses.ts';
import { buildPackage } from '../../kit/build/package.ts';
import { systemClock } from '../../kernel/clock.ts';
import type { Answer, ModuleRequest, RuntimeModule } from '../../kernel/module.ts';
import { eth } from '../../runtime-modules/eth/index.ts';
import { Accounts } from '../../runtime-modules/shared/accounts.ts';
import { timer } from '../../runtime-modules/timer/index.ts';
import { vfs } from '../../runtime-modules/vfs/index.ts';
import { readQuotas } from '../../runtime-modules/shared/quotas.ts';
import { testNode, type TestNode } from './node.ts';
import type { Capability, ProcessId } from '../../wit/types.ts';

const FOLDER = fileURLToPath(new URL('../../processes/hns-indexer', import.meta.url));
const NODE = 'test.os';

/** As net is told of a node: name, key, IPs, ports, routers. */
export type Update = readonly [
  name: string,
  key: string,
  ips: string[],
  ports: Record<string, number>,
  routers: string[],
];

class NotedNet implements RuntimeModule<never> {
  readonly name = 'net';
  readonly public = false;
  readonly batches: (readonly Update[])[] = [];
  decode(request: ModuleRequest): { ok: false; error: Answer | undefined } {
    const body = decode(request.body) as { HnsBatchUpdate: readonly Update[] };
    this.batches.push(body.HnsBatchUpdate);
    return { ok: false, error: undefined };
  }
  async handle(): Promise<Answer | undefined> {
    return undefined;
  }
  async [Symbol.asyncDispose](): Promise<void> {}
}

export interface IndexerOptions {
  /** Providers of the chain, and whether they are trusted. */
  readonly providers: readonly { readonly url: string; readonly trusted: boolean }[];
  readonly firstBlock?: number;
  /** With any, the cacher of this node is asked first. */
  readonly cacheSources?: readonly string[];
  /** Its processes are started later, by `startProcesses`. */
  readonly idle?: boolean;
}

export class IndexerNode implements AsyncDisposable {
  readonly node: TestNode;
  readonly net: NotedNet;
  readonly #home: string;
  readonly settings: { readonly first_block: number; readonly cache_sources: readonly string[] };
  #package = 'hns-indexer:sys';

  private constructor(
    node: TestNode,
    net: NotedNet,
    home: string,
    settings: IndexerNode['settings'],
  ) {
    this.node = node;
    this.net = net;
    this.#home = home;
    this.settings = settings;
  }

  static async start({
    providers,
    firstBlock = 0,
    cacheSources = [],
    idle = false,
  }: IndexerOptions): Promise<IndexerNode> {
    const home = await mkdtemp(join(tmpdir(), 'hyperloom-indexer-'));
    const node = await testNode();
    const { kernel } = node;
    const net = new NotedNet();
    kernel.registerModule(net);
    kernel.registerModule(timer()({ clock: systemClock, port: kernel.port('timer') }));
    const accounts = new Accounts(await readQuotas(home));
    kernel.registerModule(vfs({ root: join(home, 'vfs') })({ port: kernel.port('vfs'), accounts }));
    const configs = providers.map(({ url, trusted }) => ({
      chain_id: 31_337,
      trusted,
      provider: { kind: 'RpcUrl', value: { url, auth: undefined } } as const,
    }));
    const module = eth({ home, defaults: configs });
    kernel.registerModule(await module({ port: kernel.port('eth'), clock: systemClock }));
    const started = new IndexerNode(node, net, home, {
      first_block: firstBlock,
      cache_sources: cacheSources,
    });
    if (!idle) await started.startProcesses();
    return started;
  }

  /** @param pkg  a name of its own has an index of its own */
  async startProcesses(pkg = this.#package): Promise<void> {
    this.#package = pkg;
    const files = join(this.#home, 'vfs', pkg, 'initfiles');
    await mkdir(files, { recursive: true });
    const settings = { chain_id: 31_337, hypermap: HYPERMAP, ...this.settings };
    await writeFile(join(files, 'chain.json'), JSON.stringify(settings));
    await buildPackage(FOLDER);
    const component = (name: string): Promise<Uint8Array> =>
      readFile(join(FOLDER, 'pkg', `${name}.wasm`));
    await this.node.start(`ledger:${pkg}`, await component('ledger'));
    const capabilities = ['eth', 'net', 'timer', 'vfs'].map((name): Capability => ({
      issuer: { node: NODE, process: `${name}:distro:sys` as ProcessId },
      params: '"messaging"',
    }));
    await this.node.start(`hns-indexer:${pkg}`, await component('hns-indexer'), { capabilities });
  }

  /** As at a restart of the node: both processes, with what they have stored. */
  async restart(): Promise<void> {
    await this.stopProcesses();
    await this.startProcesses();
  }

  async stopProcesses(): Promise<void> {
    for (const name of ['hns-indexer', 'ledger'])
      await this.node.kernel.kill(`${name}:${this.#package}` as ProcessId, { revoke: false });
  }

  async ask(body: unknown, seconds = 20): Promise<unknown> {
    const reply = await this.node.ask(`hns-indexer:${this.#package}`, JSON.stringify(body), {
      seconds,
    });
    return JSON.parse(reply.text) as unknown;
  }

  /** What net was last told of a node. */
  told(name: string): Update | undefined {
    return this.net.batches.flat().findLast(([each]) => each === name);
  }

  get prints(): string[] {
    return this.node.prints.map((each) => ('text' in each ? each.text : ''));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.node[Symbol.asyncDispose]();
    await rm(this.#home, { recursive: true, force: true });
  }
}
