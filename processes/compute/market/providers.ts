/**
 * The providers that this market knows: its own node's, those that the operator named, and those of the registry (F47). Each is asked
 * what it offers, every minute, so many a round; what is known of their slots between two answers is counted here.
 */
import { client, NoResponse, type Process } from '../../lib/index.ts';
import type { Client } from '../../lib/client.ts';
import { namehash } from '../../../contracts/hypermap.ts';
import type { Provider as Registered } from '../shared/facilitator-contract.ts';
import { gpuContract, type ProviderState } from '../shared/gpu-contract.ts';
import { Machines } from './machines.ts';
import type { Candidate } from './matching.ts';
import { NEW_NODE, reputation, type Outcome, type ReputationEvents } from './reputation.ts';

export type Gpu = Client<(typeof gpuContract)['methods']>;

/** Providers asked in one round (F47). */
export const ASKED_PER_ROUND_MAX = 200;
/** Between two rounds, in milliseconds. */
export const ROUND_MS = 60_000;
/** Providers known at once; of too many those that the operator did not name are left out. */
export const PROVIDERS_MAX = 2_000;
/** A provider that did not answer is left alone so long, in milliseconds. */
const COOL_MS = 2_000;
/** Own outcomes kept of a provider. */
const OUTCOMES_MAX = 2_000;
/** Times between offer and acceptance kept of a provider. */
const ACCEPTS_MAX = 100;
const ASK_S = 15;
/** For the namespace to know the name of who has just registered, in milliseconds. */
const NAMED_MS = 60_000;
const GPU = 'gpu:compute:sys';
const REASON_CHARS_MAX = 200;
/** For a program to end by itself, in milliseconds. */
const GRACE_MS = 5_000;

export interface KnownProvider {
  readonly node: string;
  readonly nodeId: string;
  /** `local`, `operator`, `registry`, or `itself`: it said so. */
  readonly addedBy: string;
  state: ProviderState | undefined;
  /** Milliseconds since 1970; 0: never. */
  seenAt: number;
  /** Since when no extension is paired with it; undefined while one is. */
  unpairedSince: number | undefined;
  /** Slots in use by others than us when it was asked. */
  foreign: number;
  coolUntil: number;
  registered: Registered | undefined;
  /** Jobs of others that its stake answers for, as of when the registry was read. */
  staked: number;
  events: ReputationEvents;
  reputation: number;
  /** What it has done since then is not in it. */
  stale: boolean;
}

/** Nobody is asked twice at a time, however often it says that it has changed. */
interface Asking {
  again: boolean;
  done: Promise<void>;
}

export interface ProvidersNeeds {
  readonly process: Process<unknown>;
  readonly now: () => number;
  /** Jobs of ours that the node was offered or has. */
  readonly activeOn: (node: string) => number;
  /** Jobs of ours that its stake answers for. */
  readonly stakedOn: (node: string) => number;
  /** What somebody wants to know: one is there, gone, or free again. */
  readonly changed: (provider: KnownProvider) => void;
}

export class Providers {
  readonly #needs: ProvidersNeeds;
  readonly #known = new Map<string, KnownProvider>();
  readonly #byId = new Map<string, KnownProvider>();
  readonly #gpus = new Map<string, Gpu>();
  readonly #asking = new Map<string, Asking>();
  readonly #machines = new Machines();
  /** Ids of registered providers that no name was known of when they were met. */
  readonly #unnamed = new Set<string>();
  #namelessUntil = 0;
  #nextAsked = 0;
  /** Grows whenever what providers are has changed. */
  #revision = 0;

  constructor(needs: ProvidersNeeds) {
    this.#needs = needs;
    this.add(needs.process.our.node, 'local');
  }

  get local(): string {
    return this.#needs.process.our.node;
  }

  all(): readonly KnownProvider[] {
    return [...this.#known.values()];
  }

  get(node: string): KnownProvider | undefined {
    return this.#known.get(node);
  }

  /** Whose it is: of a node that is not registered the node itself says so. */
  operatorOf(node: string): string {
    return this.#known.get(node)?.registered?.operator.toLowerCase() ?? node;
  }

  byId(nodeId: string): KnownProvider | undefined {
    return this.#byId.get(nodeId.toLowerCase());
  }

  /** @returns undefined when there is no room for one more */
  add(node: string, addedBy: string): KnownProvider | undefined {
    const known = this.#known.get(node);
    if (known !== undefined) return known;
    if (this.#known.size >= PROVIDERS_MAX && addedBy !== 'operator') return undefined;
    const made: KnownProvider = {
      node,
      nodeId: namehash(node),
      addedBy,
      state: undefined,
      seenAt: 0,
      unpairedSince: undefined,
      foreign: 0,
      coolUntil: 0,
      registered: undefined,
      staked: 0,
      events: NEW_NODE,
      reputation: reputation(NEW_NODE, this.#needs.now()),
      stale: false,
    };
    this.#revision += 1;
    this.#known.set(node, made);
    this.#byId.set(made.nodeId, made);
    return made;
  }

  remove(node: string): boolean {
    const known = this.#known.get(node);
    if (known === undefined || known.addedBy === 'local') return false;
    this.#known.delete(node);
    this.#byId.delete(known.nodeId);
    this.#gpus.delete(node);
    this.#machines.set(node, []);
    return true;
  }

  /** The same as before: nobody suits a spec now that did not suit it then. */
  get revision(): number {
    return this.#revision;
  }

  /** Asks its `gpu:compute:sys`. */
  gpu(node: string): Gpu {
    let known = this.#gpus.get(node);
    if (known === undefined) {
      known = client(this.#needs.process, gpuContract, `${node}@${GPU}`, { timeoutS: ASK_S });
      this.#gpus.set(node, known);
    }
    return known;
  }

  /** Asks those whose turn it is; resolves when all have answered or had their time. */
  async round(): Promise<void> {
    const all = this.all();
    for (const { node, events, stale } of all) if (stale) this.setEvents(node, events);
    const count = Math.min(all.length, ASKED_PER_ROUND_MAX);
    const turn = Array.from(
      { length: count },
      (_, index) => all[(this.#nextAsked + index) % all.length]!,
    );
    this.#nextAsked = all.length === 0 ? 0 : (this.#nextAsked + count) % all.length;
    await Promise.all(turn.map(({ node }) => this.ask(node)));
  }

  /** What it offers now. Nothing is changed by one that does not answer: it grows old. Asked while it is being asked it is asked once more. */
  ask(node: string): Promise<void> {
    const asking = this.#asking.get(node);
    if (asking !== undefined) {
      asking.again = true;
      return asking.done;
    }
    const made: Asking = { again: false, done: Promise.resolve() };
    this.#asking.set(node, made);
    made.done = (async () => {
      try {
        do {
          made.again = false;
          await this.#ask(node);
        } while (made.again);
      } finally {
        this.#asking.delete(node);
      }
    })();
    return made.done;
  }

  async #ask(node: string): Promise<void> {
    const known = this.#known.get(node);
    if (known === undefined) return;
    const before = this.#needs.activeOn(node);
    try {
      const state = await this.gpu(node).Provider();
      this.#heard(known, state, before);
    } catch (error) {
      known.coolUntil = this.#needs.now() + COOL_MS;
      if (!(error instanceof NoResponse)) {
        this.#needs.process.print(`provider ${node}: ${String(error)}`, 2);
      }
    }
  }

  /** Something of it has arrived: it is there. */
  seen(node: string): void {
    const known = this.#known.get(node);
    if (known !== undefined) known.seenAt = this.#needs.now();
  }

  /** It is told us that nothing runs there now. */
  unpaired(node: string): void {
    const known = this.#known.get(node);
    if (known?.state === undefined) return;
    known.state = { ...known.state, paired: false };
    known.unpairedSince ??= this.#needs.now();
    this.#needs.changed(known);
  }

  /** It is full, or did not answer: it is left alone for so long. */
  cool(node: string, ms = COOL_MS): void {
    const known = this.#known.get(node);
    if (known !== undefined) known.coolUntil = this.#needs.now() + ms;
  }

  /** Tells a node that its lease is over. Not awaited: a run that does not hear it has a time-out of its own. */
  release(
    node: string,
    leased: { readonly jobId: string; readonly lease: string },
    why: string,
  ): void {
    const reason = why.slice(0, REASON_CHARS_MAX);
    this.gpu(node)
      .Cancel({ ...leased, reason, graceMs: GRACE_MS })
      .catch(nothing);
  }

  /** Tells a node that nothing of that attempt is wanted any more. */
  drop(node: string, leased: { readonly jobId: string; readonly lease: string }): void {
    this.gpu(node).Drop(leased).catch(nothing);
  }

  /** What the registry says of providers. @returns nodes of those that nothing was known of before */
  meet(registered: readonly Registered[]): readonly string[] {
    return registered.flatMap((one) => this.#register(one) ?? []);
  }

  /** Those that are new: their turn in a round would come a minute later. Of very many the rest waits for it. */
  async askSome(nodes: readonly string[]): Promise<void> {
    await Promise.all(nodes.slice(0, ASKED_PER_ROUND_MAX).map((node) => this.ask(node)));
  }

  #register(registered: Registered): string | undefined {
    const { name, nodeId, on, slots } = registered;
    const before = this.byId(nodeId);
    if (before === undefined) {
      if (!on || slots === 0) return undefined;
      if (name === undefined) return this.#nameless(nodeId);
    }
    const known = before ?? (name === undefined ? undefined : this.add(name, 'registry'));
    // A name that does not belong to the id would let one provider speak for another.
    if (known?.nodeId === nodeId.toLowerCase()) {
      known.registered = registered;
      known.staked = Math.max(0, registered.active - this.#needs.stakedOn(known.node));
    }
    return before === undefined ? known?.node : undefined;
  }

  /** The namespace may know its name in a moment; once it is waited for. */
  #nameless(nodeId: string): undefined {
    if (this.#unnamed.has(nodeId) || this.#unnamed.size >= PROVIDERS_MAX) return;
    this.#unnamed.add(nodeId);
    this.#namelessUntil = this.#needs.now() + NAMED_MS;
  }

  /** Whether a provider was heard of a moment ago whose name the namespace has perhaps by now. */
  awaitsName(): boolean {
    return this.#needs.now() < this.#namelessUntil;
  }

  /** Providers that say they have one of its GPUs: no others, whatever they are called (threat 30). */
  sharedWith(node: string): readonly string[] {
    return this.#machines.sharedWith(node);
  }

  /** Slots that nobody has, as far as is known. */
  freeOf({ node, state, foreign, coolUntil }: KnownProvider): number {
    if (state === undefined || !state.paired || coolUntil > this.#needs.now()) return 0;
    return Math.max(0, state.slots - foreign - this.#needs.activeOn(node));
  }

  candidates(priceAt: (provider: KnownProvider) => bigint): Candidate[] {
    return this.all().flatMap((provider) => {
      const { node, state, seenAt, reputation: points, registered } = provider;
      if (state === undefined) return [];
      return [
        {
          node,
          state,
          seenAt,
          reputation: points,
          free: this.freeOf(provider),
          price: priceAt(provider),
          local: node === this.local,
          ...(registered === undefined ? {} : { stake: this.#stakeOf(provider, registered) }),
        },
      ];
    });
  }

  #stakeOf(
    { node, staked }: KnownProvider,
    { on, slots, reservation, executor }: Registered,
  ): NonNullable<Candidate['stake']> {
    const slotsFree = slots - staked - this.#needs.stakedOn(node);
    return { on, slotsFree, reservation, executor };
  }

  /** The chain says that its stake answers for as many jobs as it may: more than was known here. It gets none until the registry is read again. */
  stakeTaken(node: string): void {
    const known = this.#known.get(node);
    if (known !== undefined) known.staked = known.registered?.slots ?? 0;
  }

  // ---- how they do

  /** Counts with the next round: a guest takes milliseconds for the sum over thousands of jobs. */
  noteOutcome(node: string, outcome: Outcome): void {
    this.#note(node, ({ outcomes }) => ({ outcomes: [...outcomes, outcome].slice(-OUTCOMES_MAX) }));
  }

  /** It has accepted an offer so quickly. Counts with the next round. */
  accepted(node: string, ms: number): void {
    this.#note(node, ({ acceptMs }) => ({ acceptMs: [...acceptMs, ms].slice(-ACCEPTS_MAX) }));
  }

  #note(node: string, more: (events: ReputationEvents) => Partial<ReputationEvents>): void {
    const known = this.#known.get(node);
    if (known === undefined) return;
    known.events = { ...known.events, ...more(known.events) };
    known.stale = true;
  }

  setEvents(node: string, events: ReputationEvents): void {
    const known = this.#known.get(node);
    if (known === undefined) return;
    known.events = events;
    known.stale = false;
    known.reputation = reputation(events, this.#needs.now());
  }

  #heard(known: KnownProvider, state: ProviderState, activeBefore: number): void {
    if (state.nodeId.toLowerCase() !== known.nodeId) {
      this.#needs.process.print(`provider ${known.node} says that it is ${state.nodeId}`, 1);
      return;
    }
    const now = this.#needs.now();
    this.#revision += 1;
    known.state = state;
    known.seenAt = now;
    known.coolUntil = 0;
    known.unpairedSince = state.paired ? undefined : (known.unpairedSince ?? now);
    known.foreign = Math.max(0, state.slots - state.free - activeBefore);
    this.#noteMachine(known.node, state);
    this.#needs.changed(known);
  }

  #noteMachine(node: string, { device }: ProviderState): void {
    const before = this.sharedWith(node);
    this.#machines.set(node, device?.gpus ?? []);
    const fresh = this.sharedWith(node).filter((other) => !before.includes(other));
    if (fresh.length > 0)
      this.#needs.process.print(`provider ${node} has a GPU that ${fresh.join(', ')} has too`, 1);
  }
}

function nothing(): void {}
