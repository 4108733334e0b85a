/** A whole node in this process, with a market that a test plays, and the extension as a program of its own beside it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { bootNode, type Node } from '../../bin/node.ts';
import type { Answer, KernelPort, ModuleRequest, RuntimeModule } from '../../kernel/module.ts';
import { canonicalJson } from '../../wit/canonical-json.ts';
import { completeSpec, type JobSpec, specHash, timeoutOf } from '../../wit/jobs/spec.ts';
import { plainRequest, plainResponse } from '../../wit/message.ts';
import { processId } from '../../wit/address.ts';
import type { KernelMessage, LazyLoadBlob, Result } from '../../wit/types.ts';
import { openHome } from '../../runtime-modules/identity/home.ts';
import { removeHome } from './remove-home.ts';

const LAUNCHER = fileURLToPath(new URL('../../bin/hyperloom.mjs', import.meta.url));
const GPU = 'gpu:compute:sys';
const MARKET = 'market:compute:sys';
const utf8 = new TextDecoder();

export interface ComputeEvent {
  readonly kind: string;
  // What a test looks into; the shapes are those of the contract.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a test reads answers of any method
  readonly value: any;
  readonly blob: LazyLoadBlob | undefined;
  readonly request: ModuleRequest;
}

/** Answers an event; undefined: with nothing, as methods without a result do. */
export type Answering = (event: ComputeEvent) => unknown;

/** The market: `buyer:distro:sys`, a module, so that it is as quick as the test. */
export class TestMarket implements RuntimeModule<ComputeEvent> {
  readonly name = 'buyer';
  readonly public = true;
  readonly events: ComputeEvent[] = [];
  /** May wait, answer, or throw a text: then it is a refusal of that kind. */
  answering: Answering = () => undefined;
  port: KernelPort | undefined;
  readonly #waiting = new Map<unknown, (message: KernelMessage) => void>();

  decode(request: ModuleRequest): Result<ComputeEvent, Answer | undefined> {
    const body = JSON.parse(utf8.decode(request.body)) as string | Record<string, unknown>;
    const [kind = '', value] = typeof body === 'string' ? [body] : Object.entries(body)[0]!;
    return { ok: true, value: { kind, value, blob: request.blob, request } };
  }

  orderKey(): undefined {
    return undefined;
  }

  async handle(event: ComputeEvent): Promise<Answer | undefined> {
    if (event.kind === 'Told') return this.#told(event);
    this.events.push(event);
    try {
      const answer = await this.answering(event);
      const { blob, ...value } = (answer ?? {}) as { blob?: Uint8Array };
      const body =
        answer === undefined ? `"${event.kind}"` : JSON.stringify({ [event.kind]: value });
      return {
        body: Buffer.from(body),
        ...(blob === undefined ? {} : { blob: { mime: undefined, bytes: blob } }),
      };
    } catch (refusal) {
      const Err = { kind: String(refusal), message: 'refused by the test' };
      const body = Buffer.from(JSON.stringify({ Err }));
      const { id, source } = event.request;
      this.port!.send({
        id,
        target: source,
        rsvp: undefined,
        message: {
          kind: 'response',
          response: { ...plainResponse(body), metadata: '{"error":true}' },
          context: undefined,
        },
        blob: undefined,
      });
      return undefined;
    }
  }

  /** What is told of several attempts at a time is an event for each thing. */
  async #told({ value, blob, request }: ComputeEvent): Promise<Answer> {
    const answers: unknown[] = [];
    let at = 0;
    for (const news of value.news) {
      const from = at;
      at += news.log?.bytes ?? 0;
      const records = blob?.bytes.subarray(from, at) ?? new Uint8Array();
      try {
        for (const event of eventsIn(news, records)) {
          this.events.push({ ...event, request });
          await this.answering({ ...event, request });
        }
        answers.push('Taken');
      } catch (refusal) {
        answers.push({ Refused: { kind: String(refusal), message: 'refused by the test' } });
      }
    }
    return { body: Buffer.from(JSON.stringify({ Told: { answers } })) };
  }

  onResponse(message: KernelMessage): void {
    this.#waiting.get(message.id)?.(message);
    this.#waiting.delete(message.id);
  }

  /** What the process answers to a method; a refusal is `{Err}`. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- as above
  async ask(method: string, args?: unknown): Promise<any> {
    if (method !== 'Offer') return (await this.full(method, args)).value;
    // One of those that go together.
    const { value } = await this.full('Offers', { offers: [args] });
    return value.answers?.[0] ?? value;
  }

  /** The same of the node's own market: then this module is a client. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- as above
  async askMarket(method: string, args: unknown, blob?: Uint8Array): Promise<any> {
    return (await this.full(method, args, MARKET, blob)).value;
  }

  full(
    method: string,
    args?: unknown,
    process = GPU,
    bytes?: Uint8Array,
    // eslint-disable-next-line @typescript-eslint/no-explicit-any -- as above
  ): Promise<{ value: any; blob: Uint8Array | undefined }> {
    const port = this.port!;
    const body = Buffer.from(JSON.stringify(args === undefined ? method : { [method]: args }));
    return new Promise((resolve) => {
      const id = port.send({
        target: { node: port.our.node, process: processId(process) },
        rsvp: undefined,
        message: { kind: 'request', request: { ...plainRequest(body), expectsResponse: 60 } },
        blob: bytes === undefined ? undefined : { mime: undefined, bytes },
      });
      this.#waiting.set(id, ({ message, blob }) => {
        if (message.kind !== 'response') return;
        const read = JSON.parse(utf8.decode(message.response.body)) as Record<string, unknown>;
        const value = typeof read === 'object' && 'Err' in read ? read : Object.values(read)[0];
        resolve({ value: typeof read === 'string' ? undefined : value, blob: blob?.bytes });
      });
    });
  }

  of(kind: string): readonly ComputeEvent[] {
    return this.events.filter((event) => event.kind === kind);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#waiting.clear();
  }
}

/** Of one attempt, in the order in which they happened. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- as above
function eventsIn(news: any, records: Uint8Array): Omit<ComputeEvent, 'request'>[] {
  const { jobId, lease, state, progress, log, result, lost } = news;
  const leased = { jobId, lease };
  const events: Omit<ComputeEvent, 'request'>[] = [];
  const add = (kind: string, value: object, bytes?: Uint8Array): void =>
    void events.push({
      kind,
      value: { ...leased, ...value },
      blob: bytes && { mime: undefined, bytes },
    });
  if (state) add('JobState', { state });
  if (progress) add('Progress', progress);
  if (log) add('Logs', { firstSeq: log.firstSeq }, records);
  if (result) {
    const { end, outputs } = result as { end: string; outputs: string };
    add('JobResult', { result: { ...JSON.parse(end), outputs: JSON.parse(outputs) } });
  }
  if (lost) add('JobLost', lost);
  return events;
}

export class ComputeNode implements AsyncDisposable {
  readonly folder: string;
  readonly home: string;
  node!: Node;
  market!: TestMarket;
  #output = '';
  #port = 0;
  readonly #extensions = new Set<RunningExtension>();

  private constructor(folder: string) {
    this.folder = folder;
    this.home = join(folder, 'home');
  }

  static async start(settings: object = {}): Promise<ComputeNode> {
    const made = new ComputeNode(await mkdtemp(join(tmpdir(), 'hyperloom-compute-')));
    await (await openHome(made.home)).release();
    const drive = join(made.home, 'vfs', 'compute:sys', 'gpu');
    await mkdir(drive, { recursive: true });
    const policy = {
      free: 'Own',
      paid: true,
      minPrice: '0',
      allow: ['distro:sys'],
      deny: [],
      slots: null,
      payTo: '0x70997970C51812dc3A010C7d01b50e0d17dc79C8',
      prices: [],
      takesJobs: true,
    };
    // The market of the test is a module; `free` of it needs its name in `allow`.
    await writeFile(join(drive, 'policy.json'), JSON.stringify({ ...policy, free: 'Allowed' }));
    await writeFile(
      join(drive, 'settings.json'),
      JSON.stringify({ orphanMs: 300_000, ...settings }),
    );
    await made.boot();
    return made;
  }

  get output(): string {
    return this.#output;
  }

  get url(): string {
    return this.node.url!;
  }

  async boot(port = 0): Promise<void> {
    const output = new PassThrough();
    output.on('data', (text: Buffer) => (this.#output += text.toString()));
    this.node = await bootNode({
      home: this.home,
      fakeNodeName: 'test.dev',
      detached: true,
      logging: false,
      input: new PassThrough(),
      output,
      quit: () => undefined,
      web: { port, host: '127.0.0.1', extensions: true },
    });
    this.#port = Number(new URL(this.url).port);
    this.market = new TestMarket();
    this.market.port = this.node.kernel.registerModule(this.market);
    const issuers = [GPU, MARKET].map((name) => ({
      node: this.node.name,
      process: processId(name),
    }));
    await this.node.kernel.grant(
      this.market.port.our.process,
      issuers.map((issuer) => ({ issuer, params: '"messaging"' })),
    );
  }

  /** Where it listens, or listened last. */
  get port(): number {
    return this.#port;
  }

  /** The node ends and starts again, at the same port. */
  async restart(): Promise<void> {
    await this.node.close();
    await this.boot(this.#port);
  }

  /** The folder of the attempts of an extension. */
  jobs(name = 'ext'): string {
    return join(this.folder, name, 'jobs');
  }

  /** Ends all of them; resolves when the node knows. */
  async stopExtensions(): Promise<void> {
    for (const one of this.#extensions) await one.kill();
    this.#extensions.clear();
    const deadline = Date.now() + 30_000;
    while ((await this.market.ask('Provider')).paired === true && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 20));
  }

  get tokenFile(): string {
    return join(this.home, 'vfs', 'compute:sys', 'gpu', 'pairing-token');
  }

  /** Starts the program; `name`: of its home. */
  extension(
    name = 'ext',
    args: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
  ): RunningExtension {
    const made = new RunningExtension(
      [
        ...['extension', 'gpu', '--node', this.url, '--token-file', this.tokenFile],
        ...['--home', join(this.folder, name), '--slots', '4', ...args],
      ],
      env,
    );
    this.#extensions.add(made);
    return made;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of this.#extensions) await one.kill();
    await this.node.close();
    await removeHome(this.folder);
  }
}

export class RunningExtension {
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  output = '';

  constructor(args: readonly string[], env: Readonly<Record<string, string>>) {
    this.child = spawn(process.execPath, [LAUNCHER, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.on('data', (text: Buffer) => (this.output += text.toString()));
    this.exited = once(this.child, 'exit').then(([code]) => code as number | null);
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<number | null> {
    this.child.kill(signal);
    return this.exited;
  }
}

let jobs = 0;

/** An offer of a free builtin job. */
export function offerOf(
  fn: string,
  args: object = {},
  more: Partial<Record<keyof JobSpec, unknown>> & { attempt?: number; timeoutS?: number } = {},
): Record<string, unknown> & { jobId: string } {
  const { attempt = 0, timeoutS, ...members } = more;
  const spec = completeSpec({
    v: 1,
    type: 'custom',
    kind: 'builtin',
    entry: { fn, args },
    inputs: [],
    ...(timeoutS === undefined ? {} : { limits: { timeoutS } }),
    ...members,
  } as never);
  if (!spec.ok) throw new Error(JSON.stringify(spec.error));
  return {
    jobId: `0x${(jobs += 1).toString(16).padStart(64, '0')}`,
    attempt,
    spec: canonicalJson(spec.value),
    specHash: specHash(spec.value),
    price: '0',
    timeoutS: timeoutOf(spec.value),
    expiresAt: Math.floor(Date.now() / 1000) + 60,
    money: null,
  };
}
