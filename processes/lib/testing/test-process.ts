/** Runs a process definition against the in-memory host, turn by turn (kit.md §10.13, layer 1). */
import type { Methods } from '../contract.ts';
import { errorIn } from '../contract.ts';
import type { ProcessModule } from '../process.ts';
import { ProcessLoop } from '../process-loop.ts';
import { type IncomingRequest, MemoryHost, type Peer } from './memory-host.ts';

export interface TestOptions {
  /** Default `alice.os@test:test:sys`. */
  readonly our?: string;
  readonly peers?: Readonly<Record<string, Peer>>;
  /** Continue with what an earlier run stored. */
  readonly state?: Uint8Array | undefined;
}

export class TestProcess<M extends Methods, S> {
  readonly host: MemoryHost;
  readonly #loop: ProcessLoop<M, S>;

  private constructor(module: ProcessModule<M, S>, options: TestOptions) {
    this.host = new MemoryHost(options.our ?? 'alice.os@test:test:sys', options.peers);
    this.host.state = options.state;
    this.#loop = new ProcessLoop(this.host, module.definition);
  }

  /** Starts the process; resolves when its setup has run as far as it can. */
  static async start<M extends Methods, S>(
    module: ProcessModule<M, S>,
    options: TestOptions = {},
  ): Promise<TestProcess<M, S>> {
    const test = new TestProcess(module, options);
    test.#loop.start();
    await test.run();
    return test;
  }

  get ended(): boolean {
    return this.#loop.ended;
  }

  /** Lets the process work until its mailbox is empty. */
  async run(): Promise<void> {
    for (;;) {
      await jobsDone();
      if (this.#loop.ended) {
        this.#loop.finish();
        return;
      }
      this.#loop.rest();
      const delivery = this.host.receive();
      if (delivery === undefined) return;
      this.#loop.deliver(delivery);
    }
  }

  /** Sends a request and runs. Returns its answer's body as text, undefined while there is none. Throws what a client would throw. */
  async ask(body: string, incoming: Partial<IncomingRequest> = {}): Promise<string | undefined> {
    const id = this.host.arrive({
      expectsResponse: 5,
      ...incoming,
      body: new TextEncoder().encode(body),
    });
    await this.run();
    return this.answerTo(id);
  }

  /** The answer to a request that arrived earlier. */
  answerTo(id: number): string | undefined {
    const answered = this.host.responses.find((response) => response.id === id);
    if (answered === undefined) return undefined;
    const { body, metadata } = answered.response;
    const error = errorIn(body, metadata);
    if (error !== undefined) throw error;
    return new TextDecoder().decode(body);
  }
}

/** Promise jobs run before any timer. */
function jobsDone(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 0);
  });
}
