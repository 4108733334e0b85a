/** A node with the market in memory, for its tests: modules of `lib/testing`, and providers that do what a test says. */
import { createHash } from 'node:crypto';
import { signerRequest, signerResponse, typedData } from '../../../../wit/signer-api.ts';
import { encodeRecords, type LogRecord } from '../../../../wit/jobs/log-records.ts';
import { documentHash } from '../../../../wit/jobs/result.ts';
import { keccak256 } from '../../../../wit/keccak.ts';
import { toHex } from '../../../../contracts/hex.ts';
import { namehash } from '../../../../contracts/hypermap.ts';
import {
  digestOf,
  type Domain,
  FREE_DOMAIN,
  type JobReceipt,
  typedDataOf,
} from '../../../../contracts/compute.ts';
import { runEnd } from '../../../../contracts/compute-result.ts';
import {
  FakeHttpServer,
  type FakeRequest,
  type FakeResponse,
} from '../../../lib/testing/fake-http-server.ts';
import { FakeSigner } from '../../../lib/testing/fake-signer.ts';
import { FakeSqlite } from '../../../lib/testing/fake-sqlite.ts';
import { FakeVfs } from '../../../lib/testing/fake-vfs.ts';
import { fakeTimer } from '../../../lib/testing/fake-timer.ts';
import type { MemoryHost, Peer, Sent } from '../../../lib/testing/memory-host.ts';
import { TestProcess } from '../../../lib/testing/test-process.ts';
import { errorIn, ERROR_METADATA, encodeError } from '../../../lib/contract.ts';
import { RemoteError } from '../../../lib/errors.ts';
import type { News, NewsAnswer } from '../../shared/job-events-contract.ts';
import { marketContract } from '../../shared/market-contract.ts';
import module from '../index.ts';
import { FakeGpu, specOf } from './fake-gpu.ts';

export const NODE = 'alice.os';
export const OUR = `${NODE}@market:compute:sys`;
export const SITE = '/market:compute:sys';
const ZERO = `0x${'0'.repeat(64)}`;

/** Whatever was answered: tests look at what they expect of it. */
// eslint-disable-next-line typescript/no-explicit-any -- a wrong member fails the test that reads it
export type Json = any;

export const EMPTY_USAGE = {
  wallMs: 5,
  cpuMs: 5,
  gpuMs: 0,
  peakMemMiB: 1,
  peakVramMiB: 0,
  bytesIn: 0,
  bytesOut: 0,
  tokensIn: 0,
  tokensOut: 0,
};
export const NOTHING_NEW = {
  accepted: undefined,
  state: undefined,
  progress: undefined,
  log: undefined,
  result: undefined,
  lost: undefined,
};
const RUNTIME = {
  arch: 'x86_64',
  driver: '',
  gpu: '',
  image: '',
  module: '',
  runner: 'builtin',
  runnerVersion: '1',
};

export interface Output {
  readonly path: string;
  readonly bytes: Uint8Array;
}

export interface RunOptions {
  readonly outputs?: readonly Output[];
  readonly receipt?: Partial<JobReceipt>;
  readonly signedBy?: string;
  readonly lease?: string;
  readonly logCount?: number;
}

export class World {
  readonly server = new FakeHttpServer();
  readonly sqlite = new FakeSqlite();
  readonly vfs = new FakeVfs();
  readonly signer = new FakeSigner();
  readonly gpus = new Map<string, FakeGpu>();
  /** Further peers, by process id. */
  readonly peers: Record<string, Peer> = {};
  process!: TestProcess<never, never>;
  token = '';

  /** A provider; the market asks this node's by itself. */
  gpu(node = NODE): FakeGpu {
    const known = this.gpus.get(node);
    if (known !== undefined) return known;
    const made = new FakeGpu(node, this.signer.key(`executor of ${node}`));
    this.gpus.set(node, made);
    return made;
  }

  async start(state?: Uint8Array): Promise<void> {
    this.vfs.put('compute:sys/pkg/ui/index.html', '<head></head>the page');
    this.server.files = this.vfs.files;
    const gpus: Peer = (sent, host) => {
      const gpu = this.gpus.get(sent.target.node);
      const part = gpu?.part(sent);
      if (part !== undefined) return part;
      try {
        return gpu?.answer(sent);
      } catch (error) {
        const kind = error instanceof Error ? error.message : 'Internal';
        host.answer(sent, encodeError({ kind, message: kind }), undefined, ERROR_METADATA);
        return undefined;
      }
    };
    const signer: Peer = (sent, host) => {
      for (const [path, bytes] of this.vfs.files) {
        const sha256 = createHash('sha256').update(bytes).digest('hex');
        this.signer.files.set(`/${path}`, { sha256: `0x${sha256}`, bytes: bytes.length });
      }
      return this.signer.peer(sent, host);
    };
    this.process = (await TestProcess.start(module, {
      our: OUR,
      state,
      peers: {
        'http-server:distro:sys': this.server.peer,
        'sqlite:distro:sys': this.sqlite.peer,
        'vfs:distro:sys': this.vfs.peer,
        'timer:distro:sys': fakeTimer(),
        'signer:distro:sys': signer,
        'gpu:compute:sys': gpus,
        ...this.peers,
      },
    })) as never;
    await this.process.run();
    await this.login();
  }

  /** As the owner; tokens are good for an hour. */
  async login(): Promise<void> {
    const { text } = await this.request('POST', '/operator/token');
    this.token = (JSON.parse(text) as { token: string }).token;
  }

  /** The market dies on the spot, and starts again with what is on disk. */
  async crash(): Promise<void> {
    await this.start(this.process.host.state);
  }

  get host(): MemoryHost {
    return this.process.host;
  }

  /** Lets it work, and what it leaves for a moment later. */
  async settle(): Promise<void> {
    await this.process.run();
    await this.advance(0.002);
  }

  async advance(seconds: number): Promise<void> {
    this.host.advance(seconds);
    await this.process.run();
  }

  // ---- HTTP

  request(method: string, path: string, options: FakeRequest = {}): Promise<FakeResponse> {
    return this.server.request(this.process, `${SITE}${path}`, { method, ...options });
  }

  /** As the owner. Text for a body is sent as it is, anything else as JSON. */
  async ask(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<{ readonly status: number; readonly json: Json; readonly response: FakeResponse }> {
    const response = await this.request(method, path, {
      headers: { authorization: `Bearer ${this.token}`, ...headers },
      body:
        body instanceof Uint8Array || typeof body === 'string' ? body : JSON.stringify(body ?? {}),
    });
    let json: unknown;
    try {
      json = JSON.parse(response.text);
    } catch {
      json = undefined;
    }
    return { status: response.status, json, response };
  }

  async submit(
    spec: Readonly<Record<string, unknown>> = specOf(),
    more: Readonly<Record<string, unknown>> = {},
  ): Promise<string> {
    const { status, json } = await this.ask('POST', '/api/facilitator/submit-job', {
      spec,
      ...more,
    });
    if (status !== 202) throw new Error(`submit: ${status} ${JSON.stringify(json)}`);
    return json.jobId as string;
  }

  async job(jobId: string): Promise<Json> {
    return (await this.ask('GET', `/api/jobs/${jobId}`)).json;
  }

  // ---- what providers tell

  /** A request of a provider to the market. Throws what it would be refused with. */
  async tell(gpu: FakeGpu, kind: string, value: unknown, blob?: Uint8Array): Promise<unknown> {
    const id = this.host.arrive({
      source: gpu.source,
      body: marketContract.requests.encode({ kind, value }),
      blob: blob && { mime: undefined, bytes: blob },
      expectsResponse: 30,
    });
    await this.settle();
    const answered = this.host.responses.find((one) => one.id === id);
    if (answered === undefined) return undefined;
    const error = errorIn(answered.response.body, answered.response.metadata);
    if (error !== undefined) throw error;
    const read = marketContract.responses.decode(answered.response.body);
    return { value: read.ok ? read.value.value : undefined, blob: answered.blob?.bytes };
  }

  /** What is new of one attempt. Throws what it would be refused with. */
  async news(gpu: FakeGpu, jobId: string, more: Partial<News>, blob?: Uint8Array): Promise<void> {
    const news = { ...NOTHING_NEW, jobId, lease: gpu.lease(jobId), ...more };
    const told = (await this.tell(gpu, 'Told', { news: [news] }, blob)) as
      | { readonly value: { readonly answers: readonly NewsAnswer[] } }
      | undefined;
    const answer = told?.value.answers[0];
    if (answer?.kind === 'Refused') throw new RemoteError(answer.value.kind, answer.value.message);
    if (answer?.kind === 'Over') gpu.over(jobId);
  }

  started(gpu: FakeGpu, jobId: string): Promise<void> {
    return this.news(gpu, jobId, { state: { kind: 'Started' } });
  }

  log(gpu: FakeGpu, jobId: string, records: readonly LogRecord[]): Promise<void> {
    const bytes = encodeRecords(records);
    const log = { firstSeq: records[0]?.seq ?? 0, bytes: bytes.length };
    return this.news(gpu, jobId, { log }, bytes);
  }

  lost(gpu: FakeGpu, jobId: string, code: string): Promise<void> {
    return this.news(gpu, jobId, { lost: { code, message: 'so it was' } });
  }

  /** A run ends, with a receipt that the provider's executor signs; members may be replaced. */
  finished(gpu: FakeGpu, jobId: string, options: RunOptions = {}): Promise<void> {
    const lease = options.lease ?? gpu.lease(jobId);
    return this.news(gpu, jobId, { lease, result: this.result(gpu, jobId, options) });
  }

  /** How a run ended, signed. */
  result(gpu: FakeGpu, jobId: string, options: RunOptions = {}): NonNullable<News['result']> {
    const { offers } = gpu;
    const offer = offers.findLast((one) => one.jobId === jobId);
    if (offer === undefined) throw new Error(`${gpu.node} was not offered ${jobId}`);
    const outputs = (options.outputs ?? []).map(({ path, bytes }) => {
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      gpu.files.set(sha256, gpu.files.get(sha256) ?? bytes);
      return { path, size: bytes.length, sha256 };
    });
    const receipt: JobReceipt = {
      jobId,
      nodeId: namehash(gpu.node),
      attempt: offer.attempt,
      specHash: offer.specHash,
      inputsRoot: ZERO,
      outputsRoot: ZERO,
      logsRoot: ZERO,
      stdoutHash: ZERO,
      runtimeHash: documentHash(RUNTIME),
      usageHash: documentHash(EMPTY_USAGE),
      exitCode: 0,
      status: 0,
      startedAt: 1n,
      finishedAt: 2n,
      claimed: 0n,
      ...options.receipt,
    };
    // As executors sign: free jobs are in nobody's escrow.
    const domain = offer.money === undefined ? FREE_DOMAIN : this.domain;
    const end = runEnd.stringify({
      receipt,
      signature: this.sign(options.signedBy ?? `executor of ${gpu.node}`, domain, receipt),
      receiptHash: digestOf(domain, 'JobReceipt', receipt),
      logs: { count: options.logCount ?? 0, truncated: false },
      usage: EMPTY_USAGE,
      runtime: RUNTIME,
    });
    return { end, outputs: JSON.stringify(outputs) };
  }

  /** Of receipts of paid jobs. */
  domain: Domain = FREE_DOMAIN;

  /** Of a wallet that logs in. */
  async walletToken(key: string): Promise<string> {
    const login = async (body: unknown): Promise<Json> => {
      const { status, text } = await this.request('POST', '/api/auth/login', {
        body: JSON.stringify(body),
      });
      if (status !== 200) throw new Error(`login: ${status} ${text}`);
      return JSON.parse(text);
    };
    const { message } = await login({ address: this.signer.key(key) });
    return (await login({ message, signature: this.personalSign(key, message) })).token as string;
  }

  /** As `personal_sign` does, with a key of the fake signer. */
  personalSign(key: string, text: string): string {
    const utf8 = new TextEncoder();
    const bytes = utf8.encode(text);
    const head = utf8.encode(`\u0019Ethereum Signed Message:\n${bytes.length}`);
    return this.signDigest(key, toHex(keccak256(Uint8Array.of(...head, ...bytes))));
  }

  /** By a key of the fake signer: of 32 bytes that are no typed data. */
  signDigest(key: string, digest: string): string {
    return this.signer.signDigest(this.signer.key(key), digest);
  }

  /** By a key of the fake signer. */
  sign(key: string, domain: Domain, receipt: JobReceipt): string {
    this.signer.key(key);
    const data = typedData.decode(JSON.stringify(typedDataOf(domain, 'JobReceipt', receipt)));
    if (!data.ok) throw new Error(`typed data: ${data.error.path}`);
    const body = signerRequest.encode({ kind: 'SignTypedData', value: { key, data: data.value } });
    const answer = this.signer.peer({ request: { body } } as Sent, this.host);
    const read = signerResponse.decode(answer as Uint8Array);
    if (!read.ok || read.value.kind !== 'Signature') throw new Error('not signed');
    return read.value.value.signature;
  }
}
