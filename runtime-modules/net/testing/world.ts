/** Nodes on a network in memory, whose time a test tells to pass. */
import { SimulatedClock } from './simulated-clock.ts';
import { MemoryNetwork, type MemoryNetworkOptions } from '../memory.ts';
import type { Transport } from '../transport.ts';
import { NetNode, type NetNodeOptions } from './nodes.ts';

export type WorldNode = Omit<NetNodeOptions, 'clock' | 'transports' | 'ip'>;

export class World implements AsyncDisposable {
  readonly clock = new SimulatedClock();
  readonly network: MemoryNetwork;
  readonly nodes: NetNode[] = [];

  constructor(options: Omit<MemoryNetworkOptions, 'clock'> = {}) {
    this.network = new MemoryNetwork({ clock: this.clock, ...options });
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
      clock: this.clock,
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

  async [Symbol.asyncDispose](): Promise<void> {
    const closing = Promise.all(this.nodes.map((node) => node[Symbol.asyncDispose]()));
    await this.until(closing, 600_000);
  }
}
