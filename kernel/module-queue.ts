/**
 * Runs a RuntimeModule for the kernel: requests are decoded in arrival order; work with equal keys runs one after another; answers
 * become responses; a killed requester's work is aborted; one source cannot pile up work without bound (style guide §3.1, 7 - 9).
 */
import { formatAddress, packageOf, sameAddress } from '../wit/address.ts';
import { capabilityKey } from '../wit/json.ts';
import { plainResponse } from '../wit/message.ts';
import type {
  Address,
  Capability,
  KernelMessage,
  PackageId,
  ProcessId,
  SendErrorKind,
} from '../wit/types.ts';
import { MODULE_JOBS_PER_PACKAGE_MAX, MODULE_JOBS_PER_SOURCE_MAX } from './limits.ts';
import { SuspendedSenders } from './mailbox.ts';
import type {
  Answer,
  Caller,
  ModuleRequest,
  ProcessEnding,
  RuntimeModule,
  SendFailure,
} from './module.ts';
import type { ModuleMember, Party } from './process-table.ts';
import type { TimerWheel } from './timer-wheel.ts';

export interface ModuleQueueNeeds {
  readonly timers: TimerWheel;
  /** Routes a message of this module. */
  readonly send: (source: ModuleMember, message: KernelMessage) => void;
  /** Reports a bug in the module. */
  readonly report: (text: string) => void;
  /** Unfinished work of a package, all its processes together; default `MODULE_JOBS_PER_PACKAGE_MAX`. */
  readonly jobsPerPackageMax?: ((of: PackageId) => number) | undefined;
}

interface Job {
  readonly work: unknown;
  readonly request: KernelMessage;
  readonly source: Source;
}

/** Unfinished work of one source. One on this node is kept while its process lives: most ask again. */
interface Source {
  readonly name: string;
  readonly isLocal: boolean;
  readonly package: PackageJobs;
  jobs: number;
  readonly abort: AbortController;
}

/** Accepted and unfinished jobs of a package, of all its sources. */
interface PackageJobs {
  readonly key: string;
  readonly of: PackageId;
  jobs: number;
  sources: number;
}

const STRANGER: Caller = { exists: false, holds: () => false, heldFrom: () => [] };

export class ModuleQueue {
  readonly #member: ModuleMember;
  readonly #module: RuntimeModule;
  readonly #needs: ModuleQueueNeeds;
  readonly #senders: SuspendedSenders;
  readonly #sources = new Map<string, Source>();
  /** The same of this node's members, by identity: putting a name together for each request costs more than the rest of `offer`. */
  readonly #known = new WeakMap<Party, Source>();
  /** By node and package, while any of its sources is kept. */
  readonly #packages = new Map<string, PackageJobs>();
  /** Jobs waiting behind a running one of the same key. */
  readonly #lines = new Map<string, Job[]>();
  readonly #running = new Set<Promise<void>>();
  #closed = false;

  constructor(member: ModuleMember, module: RuntimeModule, needs: ModuleQueueNeeds) {
    this.#member = member;
    this.#module = module;
    this.#needs = needs;
    this.#senders = new SuspendedSenders(needs.timers);
  }

  /** Accepted and unfinished jobs. */
  get jobs(): number {
    let jobs = 0;
    for (const source of this.#sources.values()) jobs += source.jobs;
    return jobs;
  }

  /** Accepted and unfinished jobs of one source. */
  jobsOf(source: Address): number {
    return this.#sources.get(formatAddress(source))?.jobs ?? 0;
  }

  /** Decodes and starts or queues a request; false when its source has too much unfinished work here. */
  offer(message: KernelMessage, sender: Party | undefined): boolean {
    if (this.#closed) return true;
    const source = this.#sourceOf(message.source, sender);
    if (source.jobs >= MODULE_JOBS_PER_SOURCE_MAX) return false;
    const { of, jobs } = source.package;
    if (jobs >= (this.#needs.jobsPerPackageMax?.(of) ?? MODULE_JOBS_PER_PACKAGE_MAX)) {
      this.#release(source);
      return false;
    }
    const request = moduleRequest(message, sender);
    if (request === undefined) {
      this.#release(source);
      return true;
    }
    let decoded: ReturnType<RuntimeModule['decode']>;
    let key: string | undefined;
    try {
      decoded = this.#module.decode(request);
      if (decoded.ok) {
        key =
          this.#module.orderKey === undefined ? source.name : this.#module.orderKey(decoded.value);
      }
    } catch (error) {
      this.#bug('decoding', message, error);
      this.#release(source);
      return true;
    }
    if (decoded.ok) this.#accept({ work: decoded.value, request: message, source }, key);
    else {
      if (decoded.error !== undefined) this.#answer(message, decoded.error);
      this.#release(source);
    }
    return true;
  }

  /** Puts a sender that `offer` refused to sleep. */
  suspend(message: KernelMessage, sender: Party, giveUp: () => void): Promise<void> {
    return this.#senders.suspend(message, { admit: () => this.offer(message, sender), giveUp });
  }

  reply(message: KernelMessage): void {
    try {
      this.#module.onResponse?.(message);
    } catch (error) {
      this.#bug('taking a response', message, error);
    }
  }

  /** A request the module sent failed. Told in a later microtask, so that the module knows the id by then. */
  failed(message: KernelMessage, kind: SendErrorKind, why: SendFailure): void {
    if (this.#module.onSendError === undefined) return;
    const error = { kind, target: message.target, message: message.message, blob: message.blob };
    queueMicrotask(() => {
      try {
        this.#module.onSendError?.(error, message.id, why);
      } catch (cause) {
        this.#bug('taking a send error', message, cause);
      }
    });
  }

  /** The process is gone: its running work is aborted, its waiting work never starts. */
  cancel(source: Address, reason: string): void {
    const name = formatAddress(source);
    const cancelled = this.#sources.get(name);
    if (cancelled === undefined) return;
    this.#forget(cancelled);
    cancelled.abort.abort(new DOMException(reason, 'AbortError'));
  }

  /** Tells the module that a process has ended, after its work was cancelled or while the rest of it still runs. */
  processGone(process: ProcessId, ending: ProcessEnding): void {
    try {
      this.#module.onProcessGone?.(process, ending);
    } catch (error) {
      this.#needs.report(`bug in ${this.#member.id} at the end of ${process}: ${String(error)}`);
    }
  }

  /** Whether the module says that this capability of its own limits its holder; what it cannot say counts as yes. */
  limits(capability: Capability): boolean {
    try {
      return this.#module.limits?.(capability) ?? false;
    } catch (error) {
      this.#needs.report(`bug in ${this.#member.id} judging a capability: ${String(error)}`);
      return true;
    }
  }

  /** Aborts all work, waits for it to end and disposes of the module. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#senders.close();
    for (const source of this.#sources.values()) {
      source.abort.abort(new DOMException('the node shuts down', 'AbortError'));
    }
    this.#lines.clear();
    await Promise.all(this.#running);
    await this.#module[Symbol.asyncDispose]();
  }

  #sourceOf(address: Address, sender: Party | undefined): Source {
    const known = sender === undefined ? undefined : this.#known.get(sender);
    if (known !== undefined && !known.abort.signal.aborted) return known;
    const name = formatAddress(address);
    let source = this.#sources.get(name);
    if (source === undefined) {
      const key = packageKey(address);
      const of = packageOf(address.process);
      const own = this.#packages.get(key) ?? { key, of, jobs: 0, sources: 0 };
      this.#packages.set(key, own);
      own.sources++;
      source = {
        name,
        isLocal: sender !== undefined,
        package: own,
        jobs: 0,
        abort: new AbortController(),
      };
      this.#sources.set(name, source);
    }
    if (sender !== undefined) this.#known.set(sender, source);
    return source;
  }

  #accept(job: Job, key: string | undefined): void {
    job.source.jobs++;
    job.source.package.jobs++;
    if (key === undefined) return this.#start(job, undefined);
    const line = this.#lines.get(key);
    if (line !== undefined) {
      line.push(job);
      return;
    }
    this.#lines.set(key, []);
    this.#start(job, key);
  }

  /** What a module answers at once is sent at once: a promise for it would cost more than such an answer does. */
  #start(job: Job, key: string | undefined): void {
    const { work, request, source } = job;
    const { signal } = source.abort;
    if (signal.aborted) return this.#finished(job, key);
    let answer: ReturnType<RuntimeModule['handle']>;
    try {
      answer = this.#module.handle(work, signal);
    } catch (error) {
      this.#bug('handling', request, error);
      return this.#finished(job, key);
    }
    if (!(answer instanceof Promise)) {
      if (answer !== undefined) this.#answer(request, answer);
      return this.#finished(job, key);
    }
    const run = this.#run(answer, job).finally(() => {
      this.#running.delete(run);
      this.#finished(job, key);
    });
    this.#running.add(run);
  }

  async #run(
    answering: Promise<Answer | undefined>,
    { request, source: { abort } }: Job,
  ): Promise<void> {
    try {
      const answer = await answering;
      if (answer !== undefined) this.#answer(request, answer);
    } catch (error) {
      if (!abort.signal.aborted) this.#bug('handling', request, error);
    }
  }

  #finished({ source }: Job, key: string | undefined): void {
    source.jobs--;
    source.package.jobs--;
    this.#release(source);
    if (key !== undefined) {
      const next = this.#lines.get(key)?.shift();
      if (next === undefined) this.#lines.delete(key);
      // In a turn of its own: a line of answers given at once must not pile up on the stack.
      else queueMicrotask(() => this.#start(next, key));
    }
    if (this.#senders.size > 0) this.#senders.admitEach();
  }

  /** Forgets a source that is done: one of another node with its last job, one of this node after its process. */
  #release(source: Source): void {
    if (source.jobs === 0 && !source.isLocal) this.#forget(source);
    this.#releasePackage(source.package);
  }

  #forget(source: Source): void {
    if (this.#sources.get(source.name) !== source) return;
    this.#sources.delete(source.name);
    source.package.sources--;
    this.#releasePackage(source.package);
  }

  #releasePackage(own: PackageJobs): void {
    if (own.sources === 0 && own.jobs === 0 && this.#packages.get(own.key) === own)
      this.#packages.delete(own.key);
  }

  #answer(request: KernelMessage, answer: Answer): void {
    const { message } = request;
    if (message.kind !== 'request') return;
    const send = answer.send ?? 'if-wanted';
    const expects = message.request.expectsResponse !== undefined;
    if (send === 'if-expected' && !expects) return;
    if (send === 'if-wanted' && !expects && request.rsvp === undefined) return;
    const target = send === 'always-to-source' ? request.source : (request.rsvp ?? request.source);
    const echoes = answer.echoMetadata ?? send === 'if-wanted';
    this.#needs.send(this.#member, {
      id: request.id,
      source: this.#member.address,
      target,
      rsvp: undefined,
      message: {
        kind: 'response',
        response: plainResponse(answer.body, echoes ? message.request.metadata : undefined),
        context: undefined,
      },
      blob: answer.blob,
    });
  }

  #bug(doing: string, message: KernelMessage, error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#needs.report(
      `bug in ${this.#member.id} while ${doing} a message of ${formatAddress(message.source)}: ${text}`,
    );
  }
}

/** A package of another node is another package. */
function packageKey({ node, process }: Address): string {
  return `${node} ${packageOf(process)}`;
}

function moduleRequest(
  message: KernelMessage,
  sender: Party | undefined,
): ModuleRequest | undefined {
  if (message.message.kind !== 'request') return undefined;
  const { request } = message.message;
  return {
    id: message.id,
    source: message.source,
    local: sender !== undefined,
    rsvp: message.rsvp,
    body: request.body,
    blob: message.blob,
    metadata: request.metadata,
    expectsResponse: request.expectsResponse !== undefined,
    timeoutS: request.expectsResponse === undefined ? undefined : Number(request.expectsResponse),
    capabilities: request.capabilities,
    caller: sender === undefined ? STRANGER : callerOf(sender),
  };
}

function callerOf(sender: Party): Caller {
  return {
    exists: sender.exists,
    holds: (capability) => sender.held.has(capabilityKey(capability)),
    heldFrom: (issuer) =>
      [...sender.held.values()].filter((held) => sameAddress(held.issuer, issuer)),
  };
}
