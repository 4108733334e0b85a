/** A kernel with the real http-server, vfs and timer, and one process that serves browsers. The owner's session is a cookie. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../kernel/clock.ts';
import { Channels, channelsNeeds } from '../../runtime-modules/http-server/channels/channels.ts';
import { httpServer } from '../../runtime-modules/http-server/index.ts';
import { timer } from '../../runtime-modules/timer/index.ts';
import { vfs } from '../../runtime-modules/vfs/index.ts';
import { processId } from '../../wit/address.ts';
import { testNode, type TestNode } from './node.ts';

/** Who brings it is the owner. */
export const SESSION = { name: 'session', value: 'the-owner' } as const;
const LOGIN_PAGE = Buffer.from('the login page');
const NOTHING = { status: 204, headers: [], body: new Uint8Array() };

export interface WebNode extends AsyncDisposable {
  readonly node: TestNode;
  readonly port: number;
}

export interface Served {
  readonly process: string;
  readonly component: Uint8Array;
  /** Puts the package's files below the vfs's folder. */
  readonly files?: (root: string) => Promise<void>;
}

export async function webNode({ process, component, files }: Served): Promise<WebNode> {
  await using parts = new AsyncDisposableStack();
  const root = await mkdtemp(join(tmpdir(), 'hyperloom-web-'));
  parts.defer(() => rm(root, { recursive: true, force: true }));
  await files?.(root);
  const node = parts.use(await testNode());
  const { kernel } = node;
  const port = kernel.port('http-server');
  const server = httpServer({ port: 0, host: '127.0.0.1', answerS: 15 })({
    port,
    clock: systemClock,
    channels: new Channels({}, channelsNeeds(port, systemClock)),
    accessTo: ({ cookie = '' }, { authenticated }) => {
      const owner = cookie.split('; ').includes(`${SESSION.name}=${SESSION.value}`);
      return !authenticated || owner ? { kind: 'open', sandbox: false } : { kind: 'login' };
    },
    login: {
      page: () => LOGIN_PAGE,
      pageHeaders: () => [],
      asset: () => undefined,
      submit: async () => undefined,
      session: () => NOTHING,
      logout: () => NOTHING,
    },
  });
  kernel.registerModule(server);
  kernel.registerModule(timer()({ clock: systemClock, port: kernel.port('timer') }));
  kernel.registerModule(vfs({ root })({ port: kernel.port('vfs') }));
  const capabilities = ['http-server', 'vfs', 'timer'].map((name) => ({
    issuer: { node: 'test.os', process: processId(`${name}:distro:sys`) },
    params: '"messaging"',
  }));
  const listening = await server.listen();
  await node.start(process, component, { capabilities });
  const owned = parts.move();
  return { node, port: listening.port, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
