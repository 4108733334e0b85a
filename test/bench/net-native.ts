/** Nodes of a network bench that run components: one that asks, and one that answers (`net-child.ts native`). */
import { createEngine, type OwnedEngine } from '../../kernel/hart/create-engine.ts';
import { NetNode, type NetNodeOptions } from '../../runtime-modules/net/testing/nodes.ts';
import { processId } from '../../wit/address.ts';
import { countBody, echoGuest, guest } from './guests.ts';
import { acquaint } from './net-ends.ts';

const REQUESTER = processId('requester:bench:sys');
const ECHO = processId('echo:bench:sys');
const WAIT_S = 600;

/** A node with one component, which may use the network. */
class NativeNode implements AsyncDisposable {
  readonly node: NetNode;
  readonly #engine: OwnedEngine;

  private constructor(node: NetNode, engine: OwnedEngine) {
    this.node = node;
    this.#engine = engine;
  }

  static async start(
    options: NetNodeOptions,
    id: ReturnType<typeof processId>,
    component: Uint8Array,
  ): Promise<NativeNode> {
    const owned = createEngine();
    const node = await NetNode.start({ ...options, engine: owned.engine });
    const { kernel } = node.node;
    const made = await kernel.initialize(
      {
        id,
        wasmBytesHandle: '',
        witVersion: 1,
        onExit: { kind: 'none' },
        public: true,
        capabilities: [node.node.network()],
      },
      component,
    );
    if (!made.ok) throw new Error(`cannot initialize ${id}: ${made.error}`);
    const refused = kernel.run(id);
    if (refused !== undefined) throw new Error(`cannot run ${id}: ${refused}`);
    return new NativeNode(node, owned);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.node[Symbol.asyncDispose]();
    this.#engine[Symbol.dispose]();
  }
}

/** A component of alice.os that asks echo:bench:sys of bob.os. */
export class NativeNear implements AsyncDisposable {
  readonly #node: NativeNode;
  /** When each request went to the network, in ms. */
  #sentMs: number[] = [];

  private constructor(node: NativeNode) {
    this.#node = node;
    const { kernel } = node.node.node;
    const { transport } = node.node.module;
    kernel.setNet({
      send: (message) => {
        this.#sentMs.push(performance.now());
        return transport.send(message);
      },
    });
  }

  static async start(bob: number): Promise<NativeNear> {
    const component = await guest('requester.wat');
    const node = await NativeNode.start({ name: 'alice.os' }, REQUESTER, component);
    acquaint(node.node, 'bob.os', bob);
    return new NativeNear(node);
  }

  /** How long each of so many round trips of 64 bytes took, in ms: from one request to the next, for the component does nothing in between. */
  async each(trips: number): Promise<readonly number[]> {
    this.#sentMs = [];
    // The connection, which the first one may need, is not what is measured.
    const body = countBody(trips + 2, 'bob.os');
    const outcome = await this.#node.node.outcome('alice.os', body, REQUESTER, WAIT_S);
    if (typeof outcome === 'string') throw new Error(`alice.os did not ask: ${outcome}`);
    const [, ...sent] = this.#sentMs;
    return sent.slice(1).map((ms, index) => ms - (sent[index] ?? 0));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#node[Symbol.asyncDispose]();
  }
}

/** A node whose component sends back what it is sent. @returns the node, which knows nobody */
export async function nativeEcho(name: string): Promise<NetNode> {
  return (await NativeNode.start({ name }, ECHO, await echoGuest())).node;
}
