/** Nodes on a network in memory, whose time a test tells to pass. */
import type { Clock } from '../../shared/clock.ts';
import { SimulatedClock, SkewedClock } from './simulated-clock.ts';
import { MemoryNetwork, type MemoryNetworkOptions, seededRandom } from '../memory.ts';
import type { Transport } from '../transport.ts';
import { NetNode, type NetNodeOptions } from './nodes.ts';

export type WorldNode = Omit<NetNodeOptions, 'clock' | 'transports' | 'ip'>;

export interface WorldOptions extends Omit<MemoryNetworkOptions, 'clock'> {
  /** How wrong clocks of nodes are, drawn from the seed: up to so many ms ahead, and up to so much faster or slower. Default right. */
  readonly skew?: { readonly offsetMs: number; readonly rate: number };
}

export class World implements AsyncDisposable {
  readonly clock = new SimulatedClock();
  readonly network: MemoryNetwork;
  readonly nodes: NetNode[] = [];

  readonly #skew: WorldOptions['skew'];
  readonly #random: () => number;

  constructor({ skew, ...options }: WorldOptions = {}) {
    this.network = new MemoryNetwork({ clock: this.clock, ...options });
    this.#skew = skew;
    this.#random = seededRandom(options.seed ?? 1);
  }

  /** The address of the n-th node. */
  ip(index: number): string {
    return `10.0.${index >> 8}.${index & 255}`;
  }

  transports(ip: string): Transport[] {
    return (['tcp', 'ws'] as const).map((kind) => this.network.transport(kind, ip));
  }

  async add(options: WorldNode): Promise<NetNode> {
    const ip = this.ip(this.nodes.length + 1);
    const node = await NetNode.start({
      ...options,
      clock: this.#clock(),
      ip,
      transports: this.transports(ip),
    });
    this.nodes.push(node);
    return node;
  }

  /** Nodes that know each other. */
  async acquainted(...options: readonly WorldNode[]): Promise<NetNode[]> {
    const added: NetNode[] = [];
    for (const each of options) added.push(await this.add(each));
    for (const node of this.nodes) node.meet(...this.nodes);
    return added;
  }

  /** Lets time pass until a promise has settled. @throws Error when that takes longer than `ms` */
  async until<T>(promise: Promise<T>, ms = 60_000): Promise<T> {
    let settled = false;
    const done = promise.finally(() => (settled = true));
    for (let passed = 0; !settled && passed <= ms; passed += 20) await this.clock.advance(20);
    if (!settled) throw new Error(`nothing happened within ${ms} ms`);
    return done;
  }

  /** Of one more node. */
  #clock(): Clock {
    if (this.#skew === undefined) return this.clock;
    const { offsetMs, rate } = this.#skew;
    return new SkewedClock(this.clock, {
      offsetMs: Math.floor(this.#random() * offsetMs),
      rate: 1 + rate * (2 * this.#random() - 1),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closing = Promise.all(this.nodes.map((node) => node[Symbol.asyncDispose]()));
    await this.until(closing, 600_000);
  }
}
