/** A kernel with the real modules that the market needs, the market as a component, and a provider without an extension. */
import { createSecretKey } from 'node:crypto';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WorkerHartPool } from '../../kernel/hart/hart-pool.ts';
import { systemClock } from '../../kernel/clock.ts';
import { buildComponent } from '../../kit/build/component.ts';
import { buildUi } from '../../kit/build/ui.ts';
import { Channels, channelsNeeds } from '../../runtime-modules/http-server/channels/channels.ts';
import { httpServer } from '../../runtime-modules/http-server/index.ts';
import { Secret } from '../../runtime-modules/identity/secret.ts';
import { signer } from '../../runtime-modules/signer/index.ts';
import { sqlite } from '../../runtime-modules/sqlite/index.ts';
import { timer } from '../../runtime-modules/timer/index.ts';
import { vfs } from '../../runtime-modules/vfs/index.ts';
import { typeOf } from '../../contracts/compute.ts';
import { processId } from '../../wit/address.ts';
import type { Capability } from '../../wit/types.ts';
import { testNode, type TestNode } from './node.ts';

const NODE = 'test.os';
const MARKET = 'market:compute:sys';
const GPU = 'gpu:compute:sys';

export interface MarketNode extends AsyncDisposable {
  readonly node: TestNode;
  /** Of the market's API. */
  readonly base: string;
  /** Of the owner. */
  readonly token: string;
  /** Kills the market on the spot and starts it again. Its state is gone with it, so that `token` is another. */
  restart(): Promise<void>;
}

function capability(issuer: string, params: unknown): Capability {
  const process = processId(issuer);
  return { issuer: { node: NODE, process }, params: JSON.stringify(params) };
}

export async function marketNode(): Promise<MarketNode> {
  await using parts = new AsyncDisposableStack();
  const root = await mkdtemp(join(tmpdir(), 'hyperloom-market-'));
  parts.defer(() => rm(root, { recursive: true, force: true }));
  // What the package came with, as boot writes it.
  await buildUi(path('../../processes/compute'));
  const page = join(root, 'vfs', 'compute:sys', 'pkg', 'ui');
  await cp(path('../../processes/compute/pkg/ui'), page, { recursive: true });
  // As a node has them: guests beside the kernel's thread.
  const harts = (report: (text: string) => void): WorkerHartPool =>
    new WorkerHartPool({ workers: 2, bundled: () => false, report });
  const node = parts.use(await testNode({ harts }));
  const { kernel } = node;
  const port = kernel.port('http-server');
  const server = httpServer({ port: 0, host: '127.0.0.1', answerS: 15 })({
    port,
    clock: systemClock,
    channels: new Channels({}, channelsNeeds(port, systemClock)),
    // Everybody here is the owner.
    accessTo: () => ({ kind: 'open', sandbox: false }),
    login: {
      page: () => Buffer.from(''),
      pageHeaders: () => [],
      asset: () => undefined,
      submit: async () => undefined,
      session: () => ({ status: 204, headers: [], body: new Uint8Array() }),
      logout: () => ({ status: 204, headers: [], body: new Uint8Array() }),
    },
  });
  const files = vfs({ root: join(root, 'vfs') })({ port: kernel.port('vfs') });
  kernel.registerModule(server);
  kernel.registerModule(files);
  kernel.registerModule(timer()({ clock: systemClock, port: kernel.port('timer') }));
  kernel.registerModule(
    sqlite({ root: join(root, 'sqlite') })({ port: kernel.port('sqlite'), clock: systemClock }),
  );
  kernel.registerModule(
    signer({ folder: join(root, '.wallets') })({
      port: kernel.port('signer'),
      clock: systemClock,
      wallMs: () => Date.now(),
      fileKey: new Secret(createSecretKey(Buffer.alloc(32, 1))),
      files: files.hashes,
    }),
  );
  const listening = await server.listen();
  const [market, provider] = await Promise.all([
    buildComponent(path('../../processes/compute/market/index.ts')),
    buildComponent(path('../bench/guests/compute-provider.ts')),
  ]);
  const modules = ['http-server', 'vfs', 'timer', 'sqlite', 'signer'];
  const messaging = modules.map((name) => capability(`${name}:distro:sys`, 'messaging'));
  const signing = [
    capability('signer:distro:sys', { create: 'executor' }),
    capability('signer:distro:sys', {
      key: 'executor',
      domain: {
        name: 'HypernodeEscrow',
        version: '1',
        chainId: 0,
        verifyingContract: `0x${'0'.repeat(40)}`,
      },
      types: [{ type: typeOf('JobReceipt') }],
    }),
  ];
  await node.start(GPU, provider, { capabilities: [...messaging, ...signing] });
  const start = async (): Promise<void> => {
    await node.start(MARKET, market, { capabilities: messaging });
  };
  await start();
  const base = `http://127.0.0.1:${listening.port}/${MARKET}`;
  let token = await tokenOf(base, node);
  const owned = parts.move();
  return {
    node,
    base,
    get token() {
      return token;
    },
    async restart() {
      await kernel.kill(processId(MARKET), { revoke: false });
      await start();
      token = await tokenOf(base, node);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function path(relative: string): string {
  return fileURLToPath(new URL(relative, import.meta.url));
}

/** Once the market serves. */
async function tokenOf(base: string, node: TestNode): Promise<string> {
  for (let tries = 0; tries < 2_400; tries += 1) {
    const answer = await fetch(`${base}/operator/token`, { method: 'POST' });
    if (answer.ok) return ((await answer.json()) as { token: string }).token;
    await answer.arrayBuffer();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`the market does not serve:\n${JSON.stringify(node.prints)}`);
}
