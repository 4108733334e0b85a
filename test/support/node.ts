/** A kernel with the real engine, in memory: for tests and benches that run components. */
import { generateKeyPairSync } from 'node:crypto';
import { createEngine, type EngineOptions } from '../../kernel/hart/create-engine.ts';
import type { Engine } from '../../kernel/engine.ts';
import type { HartPool } from '../../kernel/harts.ts';
import { Kernel } from '../../kernel/kernel.ts';
import type { Printout } from '../../kernel/print.ts';
import { MemoryStore } from '../../kernel/store.ts';
import type { Answer, KernelPort, RuntimeModule } from '../../kernel/module.ts';
import { parseProcessId } from '../../wit/address.ts';
import type { Capability, KernelMessage, LazyLoadBlob, ProcessId } from '../../wit/types.ts';

export interface TestNode extends AsyncDisposable {
  readonly kernel: Kernel;
  readonly prints: Printout[];
  /** Initializes and runs a component, public by default. */
  start(
    id: string,
    component: Uint8Array,
    options?: { readonly public?: boolean; readonly capabilities?: readonly Capability[] },
  ): Promise<ProcessId>;
  /** Sends a request as a process of the node that may message everybody; resolves with the response. */
  ask(
    target: string,
    body: Uint8Array | string,
    options?: { readonly blob?: LazyLoadBlob; readonly seconds?: number },
  ): Promise<Reply>;
}

export interface Reply {
  readonly body: Uint8Array;
  readonly text: string;
  readonly blob: LazyLoadBlob | undefined;
}

/** The module that tests speak through: named `tester:distro:sys`, it keeps what it awaits by id. */
class Asker implements RuntimeModule<never> {
  readonly name = 'tester';
  readonly public = true;
  readonly waiting = new Map<KernelMessage['id'], (message: KernelMessage) => void>();
  decode(): { ok: false; error: undefined } {
    return { ok: false, error: undefined };
  }
  async handle(): Promise<Answer | undefined> {
    return undefined;
  }
  onResponse(message: KernelMessage): void {
    this.waiting.get(message.id)?.(message);
    this.waiting.delete(message.id);
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.waiting.clear();
  }
}

export function id(text: string): ProcessId {
  const parsed = parseProcessId(text);
  if (!parsed.ok) throw new Error(`${text} is no process id`);
  return parsed.value;
}

export interface TestNodeOptions extends EngineOptions {
  /** Puts something between the kernel and the engine, to watch guests start and end. */
  readonly wrap?: (engine: Engine) => Engine;
  /** Makes the worker harts, given where to report. */
  readonly harts?: (report: (text: string) => void) => HartPool;
}

export async function testNode(options: TestNodeOptions = {}): Promise<TestNode> {
  const { engine: real, ...owned } = createEngine(options);
  const engine = options.wrap?.(real) ?? real;
  const prints: Printout[] = [];
  const seed = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }).d!;
  const kernel = new Kernel({
    our: 'test.os',
    engine,
    store: new MemoryStore(),
    seed: Buffer.from(seed, 'base64url'),
    sink: { print: (printout) => void prints.push(printout) },
    ...(options.harts === undefined
      ? {}
      : {
          harts: options.harts(
            (text) => void prints.push({ verbosity: 0, process: id('kernel:distro:sys'), text }),
          ),
        }),
  });
  const asker = new Asker();
  const port: KernelPort = kernel.registerModule(asker);
  await kernel.boot([]);
  return {
    kernel,
    prints,
    async start(name, component, { public: isPublic = true, capabilities = [] } = {}) {
      const process = id(name);
      const made = await kernel.initialize(
        {
          id: process,
          wasmBytesHandle: '',
          witVersion: 1,
          onExit: { kind: 'none' },
          public: isPublic,
          capabilities,
        },
        component,
      );
      if (!made.ok) throw new Error(`cannot initialize ${name}: ${made.error}`);
      await kernel.grant(port.our.process, [
        { issuer: { node: 'test.os', process }, params: '"messaging"' },
      ]);
      const refused = kernel.run(process);
      if (refused !== undefined) throw new Error(`cannot run ${name}: ${refused}`);
      return process;
    },
    ask(target, body, { blob, seconds = 30 } = {}) {
      return new Promise((resolve) => {
        const sent = port.send({
          target: { node: 'test.os', process: id(target) },
          rsvp: undefined,
          message: {
            kind: 'request',
            request: {
              inherit: false,
              expectsResponse: seconds,
              body: typeof body === 'string' ? new TextEncoder().encode(body) : body,
              metadata: undefined,
              capabilities: [],
            },
          },
          blob,
        });
        asker.waiting.set(sent, ({ message, blob: answered }) => {
          if (message.kind !== 'response') return;
          const { body: bytes } = message.response;
          resolve({ body: bytes, text: new TextDecoder().decode(bytes), blob: answered });
        });
      });
    },
    async [Symbol.asyncDispose]() {
      await kernel.shutdown();
      owned[Symbol.dispose]();
    },
  };
}
