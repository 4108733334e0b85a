/** A node with many processes of one component: what spawning and holding them costs. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProcessId } from '../../wit/types.ts';
import { id, testNode, type TestNode } from '../support/node.ts';

/** Asked at the same time while growing; more would only fill mailboxes. */
const ASKED_AT_ONCE = 200;
/** How long any one answer may take before the bench gives up. */
const ANSWER_S = 60;

export class Population implements AsyncDisposable {
  readonly #node: TestNode;
  readonly #component: Uint8Array;
  #live = 0;
  #named = 0;

  private constructor(node: TestNode, component: Uint8Array) {
    this.#node = node;
    this.#component = component;
  }

  static async of(component: Uint8Array): Promise<Population> {
    const population = new Population(await testNode(), component);
    // The image is made by the first start; from here on it is cached.
    await population.spawnAndKill();
    return population;
  }

  get live(): number {
    return this.#live;
  }

  /** Starts processes until `count` are live, and hears an answer from each new one. */
  async growTo(count: number): Promise<void> {
    while (this.#live < count) {
      const batch = Math.min(ASKED_AT_ONCE, count - this.#live);
      await Promise.all(Array.from({ length: batch }, () => this.#spawn()));
      this.#live += batch;
      // What starting leaves behind is collected between turns, as on a node that lives longer.
      await sleep(0);
    }
  }

  /** Starts one more, hears its first answer, ends it. Returns milliseconds from the command to the answer. */
  async spawnAndKill(): Promise<number> {
    const start = performance.now();
    const spawned = await this.#spawn();
    const ms = performance.now() - start;
    await this.#node.kernel.kill(spawned);
    // It unwinds in the next turn, outside of the next measurement.
    await sleep(0);
    return ms;
  }

  /** Asks every live process once more; resolves when all have answered. */
  async askAll(): Promise<number> {
    let answers = 0;
    const live = [...this.#node.kernel.usage().keys()].filter((name) =>
      name.endsWith(':bench:sys'),
    );
    for (let from = 0; from < live.length; from += ASKED_AT_ONCE) {
      const batch = live.slice(from, from + ASKED_AT_ONCE);
      await Promise.all(batch.map((name) => this.#ask(name)));
      answers += batch.length;
    }
    return answers;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#node[Symbol.asyncDispose]();
  }

  async #spawn(): Promise<ProcessId> {
    const process = id(`p${(this.#named += 1)}:bench:sys`);
    const { kernel } = this.#node;
    const settings = {
      id: process,
      wasmBytesHandle: '',
      witVersion: 1,
      onExit: { kind: 'none' },
      public: true,
      capabilities: [],
    } as const;
    const made = await kernel.initialize(settings, this.#component);
    const refusal = made.ok ? kernel.run(process) : made.error;
    if (refusal !== undefined) throw new Error(`cannot start ${process}: ${refusal}`);
    await this.#ask(process);
    return process;
  }

  async #ask(process: string): Promise<void> {
    const asked = this.#node.ask(process, 'hello', { seconds: ANSWER_S });
    const late = new AbortController();
    const answer = await Promise.race([
      asked,
      sleep(ANSWER_S * 1_000, undefined, { signal: late.signal }),
    ]);
    late.abort();
    if (answer === undefined) {
      const said = this.#node.prints.map((line) => ('text' in line ? line.text : '')).slice(-3);
      throw new Error(`${process} does not answer; the kernel said last: ${said.join(' | ')}`);
    }
  }
}
