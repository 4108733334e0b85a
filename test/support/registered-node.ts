/**
 * The web server of a registered node, as the composition root puts it together, on a kernel in memory: a keyfile with a password of its
 * own, and any host name. A whole node with one needs a name on the chain.
 */
import { randomBytes } from 'node:crypto';
import { systemClock } from '../../kernel/clock.ts';
import { openKeyfile, sealKeyfile } from '../../runtime-modules/identity/keyfile.ts';
import type { LoginIdentity } from '../../runtime-modules/identity/login-identity.ts';
import { hashPassword } from '../../runtime-modules/identity/password.ts';
import { timer } from '../../runtime-modules/timer/index.ts';
import type { Capability } from '../../wit/types.ts';
import { webOf } from '../../bin/web.ts';
import { id, testNode, type TestNode } from './node.ts';

export const REGISTERED_NAME = 'test.os';

export class RegisteredNode implements AsyncDisposable {
  readonly port: number;
  readonly passwordHash: string;
  readonly #node: TestNode;
  /** How often a key was derived. */
  readonly derived: () => number;

  private constructor(
    node: TestNode,
    options: Pick<RegisteredNode, 'port' | 'passwordHash' | 'derived'>,
  ) {
    this.#node = node;
    this.port = options.port;
    this.passwordHash = options.passwordHash;
    this.derived = options.derived;
  }

  static async start(password: string): Promise<RegisteredNode> {
    await using parts = new AsyncDisposableStack();
    const node = parts.use(await testNode());
    const { kernel } = node;
    const passwordHash = await hashPassword(password, REGISTERED_NAME);
    const { identity, derived } = await identityOf(passwordHash);
    const web = await webOf(
      { port: 0, host: '127.0.0.1' },
      {
        identity,
        port: kernel.port('http-server'),
        clock: systemClock,
        version: '0',
        figures: () => [],
        files: () => undefined,
      },
    );
    kernel.registerModule(web);
    kernel.registerModule(timer()({ clock: systemClock, port: kernel.port('timer') }));
    const { port } = await web.listen();
    parts.move();
    return new RegisteredNode(node, { port, passwordHash, derived });
  }

  /** What the processes have printed. */
  get printed(): string {
    return this.#node.prints.map((print) => ('text' in print ? print.text : '')).join('\n');
  }

  /** Runs a process that may serve browsers. */
  async run(process: string, component: Uint8Array): Promise<void> {
    const server: Capability = {
      issuer: { node: REGISTERED_NAME, process: id('http-server:distro:sys') },
      params: '"messaging"',
    };
    await this.#node.start(process, component, { capabilities: [server] });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#node[Symbol.asyncDispose]();
  }
}

async function identityOf(
  hash: string,
): Promise<{ readonly identity: LoginIdentity; readonly derived: () => number }> {
  const secret = {
    seed: randomBytes(32),
    sessionSecret: randomBytes(32),
    fileKey: randomBytes(32),
  };
  const keyfile = await sealKeyfile({ username: REGISTERED_NAME, routers: [] }, secret, hash);
  const opened = await openKeyfile(keyfile, hash);
  if (!opened.ok) throw new Error(opened.error);
  let derived = 0;
  return {
    derived: () => derived,
    identity: {
      name: REGISTERED_NAME,
      development: false,
      sessionSecret: opened.value.sessionKey(),
      unlock: async (tried) => {
        derived++;
        const { ok } = await openKeyfile(keyfile, tried);
        return ok;
      },
      encryptedKeyfile: () => Promise.resolve(new Uint8Array()),
    },
  };
}
