/** Whole nodes for tests of the network: a kernel whose guests are functions, or what another engine runs, `net` on it, and names told by hand. */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { systemClock, type Clock } from '../../../kernel/clock.ts';
import type { Engine } from '../../../kernel/engine.ts';
import { TestNode } from '../../../kernel/testing.ts';
import { encodeNetAction, type Routing } from '../../../wit/net-api.ts';
import { plainRequest } from '../../../wit/message.ts';
import { processId } from '../../../wit/address.ts';
import type { HnsUpdate } from '../../../wit/eth-api.ts';
import type { Answer, KernelPort, RuntimeModule } from '../../../kernel/module.ts';
import type { KernelMessage, ProcessId } from '../../../wit/types.ts';
import { net, type NetModule, type NetOptions } from '../index.ts';
import { seededRandom } from '../memory.ts';
import { tcpTransport } from '../tcp.ts';
import type { Transport, TransportKind } from '../transport.ts';
import { wsTransport } from '../ws.ts';

export const NET = processId('net:distro:sys');

/** The networking key of a name in tests: the same every time. */
export function testKey(name: string): KeyObject {
  const seed = Buffer.alloc(32);
  seed.write(name);
  return createPrivateKey({ key: seed, format: 'raw-private', asymmetricKeyType: 'ed25519' });
}

export function publicHex(key: KeyObject): string {
  return createPublicKey(key).export({ format: 'raw-public' }).toString('hex');
}

export interface NetNodeOptions extends Partial<Omit<NetOptions, 'us' | 'networkingKey'>> {
  readonly name: string;
  readonly clock?: Clock;
  readonly transports?: readonly Transport[];
  /** Transports to listen on; default TCP. */
  readonly listen?: readonly TransportKind[];
  readonly ip?: string;
  /** That it listens on; default one that is free. */
  readonly port?: number;
  /** With these it is indirect and does not listen. */
  readonly routers?: readonly string[];
  readonly key?: KeyObject;
  /** That runs components; default one whose guests are functions. */
  readonly engine?: Engine;
}

/** Asks as a module of the node that may message everybody. */
class Asker implements RuntimeModule<never> {
  readonly name = 'tester';
  readonly public = true;
  readonly waiting = new Map<KernelMessage['id'], (outcome: KernelMessage | string) => void>();

  decode(): { readonly ok: false; readonly error: undefined } {
    return { ok: false, error: undefined };
  }
  handle(): Promise<Answer | undefined> {
    return Promise.resolve(undefined);
  }
  onResponse(message: KernelMessage): void {
    this.#settle(message.id, message);
  }
  onSendError(error: { readonly kind: string }, id: KernelMessage['id']): void {
    this.#settle(id, error.kind);
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.waiting.clear();
  }
  #settle(id: KernelMessage['id'], outcome: KernelMessage | string): void {
    this.waiting.get(id)?.(outcome);
    this.waiting.delete(id);
  }
}

export class NetNode implements AsyncDisposable {
  readonly name: string;
  readonly node: TestNode;
  readonly module: NetModule;
  /** What others are to be told of it. */
  readonly update: HnsUpdate;
  readonly #asker: Asker;
  readonly #port: KernelPort;

  private constructor(parts: {
    node: TestNode;
    module: NetModule;
    update: HnsUpdate;
    asker: Asker;
    port: KernelPort;
  }) {
    this.name = parts.update.name;
    this.node = parts.node;
    this.module = parts.module;
    this.update = parts.update;
    this.#asker = parts.asker;
    this.#port = parts.port;
  }

  static async start(options: NetNodeOptions): Promise<NetNode> {
    const { name, clock = systemClock, ip = '127.0.0.1', routers } = options;
    const transports = options.transports ?? [tcpTransport(), wsTransport()];
    const { engine } = options;
    const node = new TestNode({ our: name, clock, ...(engine === undefined ? {} : { engine }) });
    const key = options.key ?? testKey(name);
    // Filled before anybody can ask: the ports are known once they are open.
    const ports = new Map<string, number>();
    const routing: Routing =
      routers === undefined
        ? { kind: 'Direct', value: { ip, ports } }
        : { kind: 'Routers', value: routers };
    const module = net({
      development: true,
      ...options,
      us: { name, networking_key: publicHex(key), routing },
      networkingKey: key,
    })({
      clock,
      transports,
      random: seededRandom(name.length),
      port: node.kernel.port('net'),
      deliver: (message) => node.kernel.inject(message),
      failed: (...what) => node.kernel.failed(...what),
    });
    node.kernel.registerModule(module);
    const asker = new Asker();
    const port = node.kernel.registerModule(asker);
    node.kernel.setNet(module.transport);
    await node.kernel.boot([]);
    if (routers === undefined)
      for (const kind of options.listen ?? (['tcp'] as const))
        ports.set(kind, await module.listen(kind, { ip, port: options.port ?? 0 }));
    const update = {
      name,
      public_key: publicHex(key),
      ips: routers === undefined ? [ip] : [],
      ports,
      routers: [...(routers ?? [])],
    };
    return new NetNode({ node, module, update, asker, port });
  }

  /** Tells it who the others are. */
  meet(...others: readonly NetNode[]): void {
    for (const other of others) this.module.net.update(other.update);
  }

  /** What became of a request: the text of the response, or `offline`, `timeout` (of the transport), or what the kernel says. */
  async ask(
    target: string,
    body: string | Uint8Array,
    process: ProcessId = NET,
    seconds = 10,
  ): Promise<string> {
    const outcome = await this.outcome(target, body, process, seconds);
    return typeof outcome === 'string' ? outcome : Buffer.from(outcome).toString();
  }

  /** The same, with the body of the response as it is. */
  outcome(
    target: string,
    body: string | Uint8Array,
    process: ProcessId,
    seconds: number,
  ): Promise<Uint8Array | string> {
    const { promise, resolve } = Promise.withResolvers<Uint8Array | string>();
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    const id = this.#port.send({
      target: { node: target, process },
      rsvp: undefined,
      message: { kind: 'request', request: plainRequest(bytes, seconds) },
      blob: undefined,
    });
    this.#asker.waiting.set(id, (outcome) => {
      if (typeof outcome === 'string') return resolve(outcome);
      const { message } = outcome;
      resolve(message.kind === 'response' ? message.response.body : '?');
    });
    return promise;
  }

  /** The level-0 lines printed so far. */
  get lines(): readonly string[] {
    return this.node.sink.at(0);
  }

  async diagnostics(): Promise<string> {
    return this.ask(this.name, encodeNetAction({ kind: 'GetDiagnostics' }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.node.kernel.shutdown();
  }
}

/** Nodes that know each other. */
export async function acquainted(...options: readonly NetNodeOptions[]): Promise<NetNode[]> {
  const nodes: NetNode[] = [];
  for (const each of options) nodes.push(await NetNode.start(each));
  for (const node of nodes) node.meet(...nodes);
  return nodes;
}
