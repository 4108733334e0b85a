/**
 * Nodes that chat over a network in memory, are killed, cut off from each other and started again, all drawn from a seed (findings F28). Time is
 * simulated, so that a day of it is a matter of minutes.
 */
import chat from '../../processes/chat/chat/index.ts';
import { conversations, type Message } from '../../processes/chat/chat/conversations.ts';
import { seededRandom } from '../../runtime-modules/net/memory.ts';
import { NetNode } from '../../runtime-modules/net/testing/nodes.ts';
import { World } from '../../runtime-modules/net/testing/world.ts';
import { processId } from '../../wit/address.ts';
import { type Disk, libraryGuest } from './library-guest.ts';
import { RequestLedger } from './request-ledger.ts';

export const CHAT = processId('chat:chat:sys');
/** Seconds until a killed node is started again, and a cut is mended, at most. */
const DOWN_S_MAX = 12;

interface Place {
  readonly name: string;
  readonly ip: string;
  readonly disk: Disk;
  /** Undefined while it is down. */
  node: NetNode | undefined;
}

/** How bad the days are: chances within a second. */
export interface Weather {
  readonly kills: number;
  readonly cuts: number;
  /** Messages posted in a second. */
  readonly posts: number;
  /** Other requests in a second, most of them short. */
  readonly asks?: number;
}

/** Of every tenth request, up to this goes with it. */
const BLOB_BYTES_MAX = 1_000_000;

export class ChatNetwork implements AsyncDisposable {
  readonly world: World;
  readonly places: readonly Place[];
  readonly requests: RequestLedger;
  readonly #random: () => number;
  readonly #later: { readonly second: number; readonly work: () => Promise<void> | void }[] = [];
  #second = 0;
  posted = 0;
  kills = 0;
  cuts = 0;

  private constructor(seed: number, count: number) {
    this.#random = seededRandom(seed);
    this.world = new World({ seed, latencyMs: 15, jitterMs: 40, loss: 0.02 });
    this.requests = new RequestLedger(this.world.clock);
    this.places = Array.from({ length: count }, (_, index) => ({
      name: `n${index}.os`,
      ip: this.world.ip(index + 1),
      disk: { state: undefined },
      node: undefined,
    }));
  }

  static async start(seed: number, count: number): Promise<ChatNetwork> {
    const network = new ChatNetwork(seed, count);
    for (const place of network.places) await network.#boot(place);
    return network;
  }

  /** Lets seconds pass in such weather. `eachSecond` may look at the stores. */
  async pass(seconds: number, weather: Weather, eachSecond = (): void => {}): Promise<void> {
    for (let left = seconds; left > 0; left--) {
      this.#second++;
      const due = this.#later.filter(({ second }) => second <= this.#second);
      for (const each of due) {
        this.#later.splice(this.#later.indexOf(each), 1);
        await each.work();
      }
      for (let count = 0; count < weather.posts; count++) this.#post();
      for (let count = weather.asks ?? 0; count > 0; count--) this.#ask();
      if (this.#random() < weather.kills) await this.#killOne();
      if (this.#random() < weather.cuts) this.#cutOne();
      await this.world.clock.advance(1_000);
      eachSecond();
    }
  }

  /** All nodes up, everything mended. */
  async mend(): Promise<void> {
    for (const { work } of this.#later.splice(0)) await work();
  }

  /** Ends every node without a word and starts it again from its store. */
  async restartAll(): Promise<void> {
    for (const place of this.places) await this.#kill(place);
    for (const place of this.places) await this.#boot(place);
  }

  /** What a node has stored of its conversation with another one. */
  stored(of: string, other: string): readonly Message[] {
    const place = this.places.find(({ name }) => name === of);
    if (place?.disk.state === undefined) return [];
    const text = new TextDecoder().decode(place.disk.state);
    const head = /^\{"state-version":\d+,"state":/.exec(text)?.[0] ?? '';
    const decoded = conversations.decode(
      new TextEncoder().encode(head === '' ? text : text.slice(head.length, -1)),
    );
    if (!decoded.ok) throw new Error(`${of} has stored what cannot be read`);
    return decoded.value.get(other) ?? [];
  }

  /** The same as its running process says. */
  async shown(of: string, other: string): Promise<{ content: string; delivery: string }[]> {
    const node = this.places.find(({ name }) => name === of)?.node;
    if (node === undefined) throw new Error(`${of} is down`);
    const text = await this.world.until(node.ask(of, `{"History":"${other}"}`, CHAT));
    return (JSON.parse(text) as { History: { content: string; delivery: string }[] }).History;
  }

  /** Every promise that is broken: a request that has not ended once and in time; a message shown as delivered and not in the other's store, or there more than once, or out of order. */
  broken(): string[] {
    const wrong = this.requests.broken();
    for (const [from, to] of this.pairs()) {
      const received = this.stored(to, from).flatMap(({ author, content }) =>
        author === from ? [content] : [],
      );
      if (new Set(received).size !== received.length) wrong.push(`${from} to ${to}: doubled`);
      const order = received.map((content) => Number(content.split(' ')[1]));
      if (order.some((at, index) => at <= (order[index - 1] ?? -1)))
        wrong.push(`${from} to ${to}: out of order`);
      for (const { author, content, delivery } of this.stored(from, to))
        if (author === from && delivery.kind === 'Delivered' && !received.includes(content))
          wrong.push(`${from} to ${to}: ${content} is not there`);
    }
    return wrong;
  }

  /** Every message that its sender has kept and does not show as delivered. */
  undelivered(): string[] {
    return this.pairs().flatMap(([from, to]) =>
      this.stored(from, to).flatMap(({ author, content, delivery }) =>
        author === from && delivery.kind !== 'Delivered' ? [`${from} to ${to}: ${content}`] : [],
      ),
    );
  }

  pairs(): [string, string][] {
    const names = this.places.map(({ name }) => name);
    return names.flatMap((from) =>
      names.flatMap((to): [string, string][] => (from === to ? [] : [[from, to]])),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const place of this.places) await this.#kill(place);
  }

  async #boot(place: Place): Promise<void> {
    const { name, ip, disk } = place;
    if (place.node !== undefined) return;
    const node = await NetNode.start({
      name,
      ip,
      clock: this.world.clock,
      transports: this.world.transports(ip),
    });
    place.node = node;
    for (const other of this.places) {
      if (other.node === undefined) continue;
      other.node.meet(node);
      node.meet(other.node);
    }
    await this.requests.join(node);
    const powered = (): boolean => place.node === node;
    await node.node.start(CHAT, libraryGuest(chat, disk, powered), {
      holds: [node.node.network()],
      public: true,
    });
  }

  /** As if the power went: nothing is said to anybody, nothing more is stored. */
  async #kill(place: Place): Promise<void> {
    const { node } = place;
    if (node === undefined) return;
    place.node = undefined;
    this.requests.forget(node);
    this.world.network.kill(place.ip);
    await this.world.until(node[Symbol.asyncDispose](), 600_000);
  }

  async #killOne(): Promise<void> {
    const place = this.#any();
    if (place.node === undefined) return;
    this.kills++;
    await this.#kill(place);
    this.#laterOn(() => this.#boot(place));
  }

  #cutOne(): void {
    const [a, b] = [this.#any().ip, this.#any().ip];
    if (a === b || this.world.network.isCut(a, b)) return;
    this.cuts++;
    this.world.network.partition(a, b);
    this.#laterOn(() => this.world.network.heal(a, b));
  }

  #post(): void {
    const [from, to] = [this.#any(), this.#any()];
    if (from === to || from.node === undefined) return;
    const target = to.name;
    const message = `message ${this.posted++}`;
    void from.node.ask(from.name, JSON.stringify({ Send: { target, message } }), CHAT);
  }

  #ask(): void {
    const [from, to] = [this.#any(), this.#any()];
    const long = this.#random() < 0.1 ? this.#random() * BLOB_BYTES_MAX : 0;
    if (from !== to && from.node !== undefined) this.requests.ask(from.node, to.name, long);
  }

  #laterOn(work: () => Promise<void> | void): void {
    const second = this.#second + 1 + Math.floor(this.#random() * DOWN_S_MAX);
    this.#later.push({ second, work });
  }

  #any(): Place {
    return this.places[Math.floor(this.#random() * this.places.length)]!;
  }
}
