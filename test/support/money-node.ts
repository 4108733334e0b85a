/**
 * The money side of a node on a real chain: the real kernel, `eth`, `signer`, `sqlite`, `vfs` and `timer`, the facilitator (and the oracle)
 * run as functions, and a market that notes what it is told and passes on what the test asks. A power cut leaves the home and nothing else.
 */
import { createSecretKey } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { facilitatorMay, oracleMay, settingsOf } from '../../bin/compute.ts';
import { CHAIN_ID } from '../../contracts/addresses.ts';
import type { Persona } from '../../contracts/chain/personas.ts';
import { systemClock } from '../../kernel/clock.ts';
import type { Answer, KernelPort, RuntimeModule } from '../../kernel/module.ts';
import { type InMemoryNetwork, TestNode } from '../../kernel/testing.ts';
import facilitator from '../../processes/compute/facilitator/index.ts';
import {
  facilitatorContract,
  type JobMoney,
  jobMoney,
} from '../../processes/compute/shared/facilitator-contract.ts';
import { client, type Client } from '../../processes/lib/client.ts';
import { Refusal } from '../../processes/lib/errors.ts';
import type { Contract, Methods } from '../../processes/lib/contract.ts';
import { defineProcess, type ProcessModule } from '../../processes/lib/process.ts';
import { eth } from '../../runtime-modules/eth/index.ts';
import { Secret } from '../../runtime-modules/identity/secret.ts';
import { Accounts } from '../../runtime-modules/shared/accounts.ts';
import { readQuotas } from '../../runtime-modules/shared/quotas.ts';
import { signer } from '../../runtime-modules/signer/index.ts';
import { sqlite } from '../../runtime-modules/sqlite/index.ts';
import { timer } from '../../runtime-modules/timer/index.ts';
import { vfs } from '../../runtime-modules/vfs/index.ts';
import { address, moduleId, processId } from '../../wit/address.ts';
import type { JsonValue } from '../../wit/json.ts';
import { plainRequest } from '../../wit/message.ts';
import type { Capability, KernelMessage, ProcessId } from '../../wit/types.ts';
import { libraryGuest } from './library-guest.ts';

const MARKET = processId('market:compute:sys');
const FACILITATOR = processId('facilitator:compute:sys');
const MODULES = ['eth', 'signer', 'sqlite', 'timer', 'vfs'].map((name) => `${name}:distro:sys`);
const ASK_S = 60;

/** Asks as a module of the node. */
class Asker implements RuntimeModule<never> {
  readonly name = 'tester';
  readonly public = true;
  readonly waiting = new Map<KernelMessage['id'], (message: KernelMessage | string) => void>();
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

export interface MoneyOptions {
  readonly chainUrl: string;
  /** Signs for the platform, and pays for gas. */
  readonly platform: Persona;
  readonly verifier?: Persona;
  readonly home?: string;
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Processes beside the facilitator, by name. */
  readonly also?: Readonly<Record<string, ProcessModule<never, unknown>>>;
  readonly name?: string;
  /** Of what the signer lets the facilitator do as a development node: all, unless it says otherwise. */
  readonly mayDo?: (grant: JsonValue) => boolean;
  /** Which other nodes it reaches. */
  readonly network?: InMemoryNetwork;
}

export class MoneyNode implements AsyncDisposable {
  readonly home: string;
  readonly node: TestNode;
  /** What the market was told, in order. */
  readonly told: JobMoney[] = [];
  /** Everything that the market was told, as it came, but money. */
  readonly heard: { readonly kind: string; readonly body: string }[] = [];
  /** Files that it was sent, by hash. */
  readonly uploads = new Map<string, Uint8Array>();
  /** Answers no news. */
  deaf = false;
  /** Finds nobody to run a job again: one of twenty is picked for that, whatever the test is about. */
  alone = true;
  readonly facilitator: Client<(typeof facilitatorContract)['methods']>;
  readonly #options: MoneyOptions;
  readonly #asker: Asker;
  readonly #port: KernelPort;
  #powered = true;

  private constructor(
    options: MoneyOptions,
    parts: { home: string; node: TestNode; asker: Asker; port: KernelPort },
  ) {
    this.#options = options;
    this.home = parts.home;
    this.node = parts.node;
    this.#asker = parts.asker;
    this.#port = parts.port;
    this.facilitator = this.client(facilitatorContract, FACILITATOR);
  }

  static async start(options: MoneyOptions): Promise<MoneyNode> {
    const home = options.home ?? (await mkdtemp(join(tmpdir(), 'hyperloom-money-')));
    const node = new TestNode({ our: options.name ?? 'test.os', clock: systemClock });
    const { kernel } = node;
    kernel.registerModule(timer()({ clock: systemClock, port: kernel.port('timer') }));
    const accounts = new Accounts(await readQuotas(home));
    const files = vfs({ root: join(home, 'vfs') })({ port: kernel.port('vfs'), accounts });
    kernel.registerModule(files);
    kernel.registerModule(
      sqlite({ root: join(home, 'sqlite') })({
        port: kernel.port('sqlite'),
        clock: systemClock,
        budget: accounts.book(async () => 0),
      }),
    );
    kernel.registerModule(
      await eth({
        home,
        defaults: [
          {
            chain_id: CHAIN_ID,
            trusted: true,
            provider: { kind: 'RpcUrl', value: { url: options.chainUrl, auth: undefined } },
          },
        ],
      })({ port: kernel.port('eth'), clock: systemClock }),
    );
    kernel.registerModule(
      signer({ folder: join(home, '.wallets') })({
        port: kernel.port('signer'),
        clock: systemClock,
        wallMs: () => Date.now(),
        fileKey: new Secret(createSecretKey(Buffer.alloc(32, 7))),
        files: files.hashes,
      }),
    );
    const asker = new Asker();
    const port = kernel.registerModule(asker);
    options.network?.join(kernel);
    const started = new MoneyNode(options, { home, node, asker, port });
    await kernel.boot([]);
    await kernel.grant(port.our.process, [
      { issuer: { node: node.our, process: moduleId('signer') }, params: '{"root":true}' },
    ]);
    await started.#startProcesses();
    return started;
  }

  /** The same home again, after a power cut: nothing that was under way is done. */
  async again(): Promise<MoneyNode> {
    await this.cut();
    return MoneyNode.start({ ...this.#options, home: this.home });
  }

  async cut(): Promise<void> {
    this.#powered = false;
    await this.node.kernel.shutdown();
  }

  /** Typed calls of a process, as the market. `target`: of this node, or an address. */
  client<M extends Methods>(contract: Contract<M>, target: string): Client<M> {
    return client(
      {
        resolve: (to) => (typeof to === 'string' ? address(`${this.node.our}@${to}`) : to),
        request: async (_target, body) => {
          const bytes = typeof body === 'string' ? body : new TextDecoder().decode(body);
          const asked = JSON.stringify({ Pass: { to: target, body: bytes } });
          const { message } = await this.#ask(MARKET, asked);
          if (message.kind !== 'response') throw new Error('no response');
          const { body: answer, metadata, capabilities } = message.response;
          return {
            source: address(target.includes('@') ? target : `${this.node.our}@${target}`),
            body: answer,
            metadata,
            capabilities,
            blob: undefined,
          };
        },
      },
      contract,
      target,
    );
  }

  /** What the signer is asked by who may do everything. */
  async root(body: JsonValue, blob?: Uint8Array): Promise<string> {
    const { message } = await this.#ask(processId('signer:distro:sys'), JSON.stringify(body), blob);
    return message.kind === 'response' ? Buffer.from(message.response.body).toString() : '?';
  }

  /** The newest that the market was told of a job. */
  moneyOf(jobId: string): JobMoney | undefined {
    return this.told
      .filter((each) => each.jobId === jobId)
      .reduce<JobMoney | undefined>(
        (newest, each) => (newest === undefined || each.rev > newest.rev ? each : newest),
        undefined,
      );
  }

  get lines(): readonly string[] {
    return this.node.sink.at(0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#powered) await this.cut();
    await rm(this.home, { recursive: true, force: true });
  }

  async #startProcesses(): Promise<void> {
    const { platform, verifier, settings = {}, also = {} } = this.#options;
    const files = join(this.home, 'vfs', 'compute:sys', 'initfiles');
    await mkdir(files, { recursive: true });
    await writeFile(
      join(files, 'compute.json'),
      JSON.stringify({
        ...settingsOf(),
        ...settings,
      }),
    );
    await this.#import('platform', platform);
    if (verifier !== undefined) await this.#import('verifier', verifier);
    const names = ['facilitator', ...Object.keys(also)].map((name) => `${name}:compute:sys`);
    await this.#guest(MARKET, this.#market(), [...MODULES, ...names]);
    for (const [name, module] of Object.entries({ facilitator, ...also }))
      await this.#guest(
        processId(`${name}:compute:sys`),
        // Proof of the type: what a process does to its contract is its own business here.
        module as ProcessModule<never, unknown>,
        [...MODULES, ...names, MARKET],
      );
  }

  async #import(name: string, { privateKey }: Persona): Promise<void> {
    await this.root({ ImportKey: { name } }, Buffer.from(privateKey.slice(2), 'hex'));
  }

  async #guest(
    id: ProcessId,
    module: ProcessModule<never, unknown>,
    holds: readonly string[],
  ): Promise<void> {
    const code = libraryGuest(module, { state: undefined }, () => this.#powered);
    const { mayDo = () => true } = this.#options;
    const granted = signerGrants(id)
      .filter(mayDo)
      .map((params): Capability => ({
        issuer: { node: this.node.our, process: moduleId('signer') },
        params: JSON.stringify(params),
      }));
    const all = [...holds, ...granted, this.node.network()];
    await this.node.start(id, code, { public: true, holds: all });
  }

  /** Passes on what the test asks, and keeps what it is told. */
  #market(): ProcessModule<never, unknown> {
    const definition = defineProcess({
      onMessage: async (context, process) => {
        const body = JSON.parse(context.text) as Record<string, unknown>;
        const [kind = ''] = Object.keys(body);
        if (kind === 'Pass') {
          const { to, body: passed } = body[kind] as { to: string; body: string };
          const reply = await process.request(to, passed, { timeoutS: ASK_S });
          const { metadata, capabilities } = reply;
          context.reply(reply.body, {
            capabilities,
            ...(metadata === undefined ? {} : { metadata }),
          });
          return;
        }
        if (kind === 'Upload') {
          const { sha256, offset, size } = body[kind] as Readonly<Record<string, number | string>>;
          const before = this.uploads.get(String(sha256)) ?? new Uint8Array();
          if (before.length === size || before.length !== offset) {
            if (before.length !== size) throw new Refusal('Conflict', `${before.length} are here`);
          } else {
            const bytes = context.blob()?.bytes ?? new Uint8Array();
            this.uploads.set(String(sha256), Buffer.concat([before, bytes]));
          }
          const bytes = this.uploads.get(String(sha256))?.length ?? 0;
          context.reply(JSON.stringify({ Upload: { bytes, complete: bytes === size } }));
          return;
        }
        if (this.deaf) throw new Error('the market is deaf');
        if (this.alone && kind === 'RerunWanted')
          throw new Refusal('NoNodes', 'nobody else is there');
        if (kind === 'MoneyChanged') {
          const money = jobMoney.decode(JSON.stringify(body[kind]));
          if (!money.ok) throw new Error(`money that cannot be read: ${money.error.path}`);
          this.told.push(money.value);
        } else this.heard.push({ kind, body: JSON.stringify(body[kind]) });
        context.reply(`{"${kind}":null}`);
      },
    });
    // Proof of the type: it has no contract and no state.
    return definition as unknown as ProcessModule<never, unknown>;
  }

  #ask(process: ProcessId, body: string, blob?: Uint8Array): Promise<KernelMessage> {
    return new Promise((resolve, reject) => {
      const request = plainRequest(Buffer.from(body), ASK_S);
      const sent = this.#port.send({
        target: { node: this.node.our, process },
        rsvp: undefined,
        message: { kind: 'request', request },
        blob: blob && { mime: undefined, bytes: blob },
      });
      this.#asker.waiting.set(sent, (outcome) => {
        if (typeof outcome === 'string') reject(new Error(`${process}: ${outcome}`));
        else resolve(outcome);
      });
    });
  }
}

/** As of a development node. */
function signerGrants(id: ProcessId): readonly JsonValue[] {
  if (id === FACILITATOR) return facilitatorMay();
  return id === 'oracle:compute:sys' ? oracleMay() : [];
}
