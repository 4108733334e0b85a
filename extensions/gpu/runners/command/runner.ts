/**
 * Command jobs: programs of the host, for machines without a container engine (compute-market.md §9.6). Off unless the operator wants it. In
 * bubblewrap where that works; else a plain child, for commands that the operator listed only. An extension that runs as root gives each run a
 * user of its own.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { constants } from 'node:os';
import { dirname } from 'node:path';
import type { Readable } from 'node:stream';
import { STREAM, type Stream } from '../../../../wit/jobs/log-records.ts';
import type { JobSpec } from '../../../../wit/jobs/spec.ts';
import { instanceId, isLive } from '../owner.ts';
import { exitCodeOfShell, hostArch, runEnd, usageOf, type Fault } from '../ending.ts';
import { followGpus, noGpu } from '../gpu-usage.ts';
import { RunFault, type Run, type RunEnd, type Runner } from '../runner.ts';
import { shareFolders } from '../share-folders.ts';
import { FREE_BYTES_FLOOR, overgrown, watchOutputs } from '../watchdog.ts';
import { launch, probe, type Confinement } from './confinement.ts';
import { allProcesses, below, carrying, signal } from '../processes.ts';
import { inScope, parseReport, probeScope, type ScopeMaker, type ScopeReport } from './scope.ts';

/** Users of runs, where this is root: none of the system's, and not nobody, so that no two runs meet. */
const FIRST_ID = 61_000;
const IDS = 4_000;
const KILL_MS = 10_000;
/** How often memory and processes are looked at. */
const LOOK_MS = 500;
/** How long output may come after the end, from whoever holds the pipe. */
const DRAIN_MS = 5_000;
const OUTPUT_ENTRIES_MAX = 10_000;
const OPEN_PIECE_BYTES_MAX = 64 * 1024;
const REPORT_CHARS_MAX = 16 * 1024;
/** In the environment of every command: whose run it is. By it the reaper finds those that went into another session. */
const MARK = 'HN_RUN';

/** A command that may run without bubblewrap. */
export interface AllowedCommand {
  /** `argv[0]`, exactly. */
  readonly path: string;
  /** All arguments, with a space between them, must match as a whole. */
  readonly args: RegExp;
}

export interface CommandOptions {
  /** For machines where nothing better than a plain child works. */
  readonly allow?: readonly AllowedCommand[];
  /** Runs plain children although they can reach the network: for machines that have no namespaces at all. */
  readonly network?: boolean;
  /** Default: the strongest that works. For tests of the others. */
  readonly confinement?: Confinement;
  /** How a run gets a cgroup; default: as it works here. `none`: not at all. */
  readonly scope?: ScopeMaker | 'none';
  readonly freeFloor?: number;
}

export interface CommandRunner extends Runner {
  readonly confinement: Confinement;
}

/** The runner, confined as well as this machine can. */
export async function commandRunner(options: CommandOptions = {}): Promise<CommandRunner> {
  const confinement = options.confinement ?? (await probe(isRoot() ? FIRST_ID : undefined));
  const scope = options.scope ?? (await probeScope());
  return new Command(confinement, scope === 'none' ? undefined : scope, options);
}

class Command implements CommandRunner {
  readonly kind = 'command';
  readonly confinement: Confinement;
  readonly #scope: ScopeMaker | undefined;
  readonly #options: CommandOptions;
  readonly #owner = instanceId();
  /** Users of runs that go on. */
  readonly #ids = new Set<number>();

  constructor(confinement: Confinement, scope: ScopeMaker | undefined, options: CommandOptions) {
    this.confinement = confinement;
    this.#scope = scope;
    this.#options = options;
  }

  describe(): unknown {
    const limits = this.#scope === undefined ? 'rlimit' : 'cgroup';
    return { namespace: this.confinement === 'bubblewrap', limits };
  }

  refusal(spec: JobSpec): ReturnType<Runner['refusal']> {
    if (spec.kind !== 'command') return { code: 'unsupported', message: 'this is no command job' };
    if (process.platform === 'win32' || spec.entry.cmd === undefined)
      return { code: 'unsupported', message: 'commands do not run here' };
    if (spec.network?.mode === 'allow')
      return { code: 'policy', message: 'jobs have no network here' };
    if (this.confinement === 'none' && this.#options.network !== true)
      return { code: 'policy', message: 'nothing here keeps a command from the network' };
    if (this.confinement === 'bubblewrap' || this.#isAllowed(spec.entry.cmd)) return undefined;
    return { code: 'policy', message: `${spec.entry.cmd[0]} is not among the allowed commands` };
  }

  async prepare({ spec }: Run): Promise<void> {
    const refusal = this.refusal(spec);
    if (refusal !== undefined) throw new RunFault('REJECTED', refusal.message);
    await Promise.resolve();
  }

  async run(run: Run): Promise<RunEnd> {
    const id = isRoot() ? this.#freeId() : undefined;
    try {
      return await this.#runAs(run, id);
    } finally {
      if (id !== undefined) this.#ids.delete(id);
    }
  }

  async #runAs(run: Run, id: number | undefined): Promise<RunEnd> {
    if (id !== undefined && this.confinement !== 'bubblewrap') await checkReach(run.inputs);
    await shareFolders(run, id);
    const mark = `${this.#owner}/${randomBytes(8).toString('hex')}`;
    const marked = { [MARK]: mark };
    const confined = launch(this.confinement, run, marked, id);
    const { file, args, env, cwd } =
      this.#scope === undefined
        ? confined
        : inScope(this.#scope, run.spec.limits, confined, marked);
    const child = spawn(file, args, {
      ...{ cwd, detached: true, stdio: ['ignore', 'pipe', 'pipe', 'pipe'] },
      // bubblewrap sets the command's own; it is found itself by PATH.
      env: { PATH: '/usr/local/bin:/usr/bin:/bin', ...env, ...marked },
    });
    try {
      await once(child, 'spawn');
    } catch (error) {
      throw new RunFault('INTERNAL', `the command does not start: ${String(error)}`);
    }
    const isBoxed = this.confinement === 'bubblewrap';
    const everybody: Everybody = { child, mark, isBoxed, isScoped: this.#scope !== undefined };
    try {
      return await this.#watch(run, everybody);
    } finally {
      killAll(everybody, 'SIGKILL');
    }
  }

  /** Kills what programs like this one left behind. */
  async reap(): Promise<void> {
    for (const { pid, value } of carrying(MARK)) {
      const owner = value.split('/')[0] ?? '';
      if (owner !== this.#owner && !isLive(owner)) signal(pid, 'SIGKILL');
    }
    await Promise.resolve();
  }

  /** By chance, so that other extensions on this machine have others. */
  #freeId(): number {
    for (;;) {
      const id = FIRST_ID + randomInt(IDS);
      if (this.#ids.has(id)) continue;
      this.#ids.add(id);
      return id;
    }
  }

  async #watch(run: Run, everybody: Everybody): Promise<RunEnd> {
    const { child } = everybody;
    const { limits } = run.spec;
    const used = { cpuMs: 0, peakBytes: 0, ...noGpu() };
    const over = new AbortController();
    const killed: { fault?: Fault } = {};
    const timers: NodeJS.Timeout[] = [];
    const stop = (fault: Fault): void => {
      if (killed.fault !== undefined) return;
      killed.fault = fault;
      const gently = fault.code === 'TIMEOUT' || fault.code === 'CANCELLED';
      killAll(everybody, gently ? 'SIGTERM' : 'SIGKILL');
      if (gently) timers.push(setTimeout(() => killAll(everybody, 'SIGKILL'), KILL_MS));
    };
    const aborted = (): void => stop({ code: 'CANCELLED', message: 'the job was cancelled' });
    const outputs = {
      bytesMax: limits.outMiB * 1024 * 1024,
      entriesMax: run.spec.outputs?.maxFiles ?? OUTPUT_ENTRIES_MAX,
      freeFloor: this.#options.freeFloor ?? FREE_BYTES_FLOOR,
    };
    const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
    const read = Promise.all([
      readAll(child.stdout!, STREAM.stdout, run),
      readAll(child.stderr!, STREAM.stderr, run),
    ]);
    read.catch(() => {});
    const report = reportOf(child.stdio[3] as Readable);
    run.started();
    timers.push(
      setTimeout(
        () => stop({ code: 'TIMEOUT', message: `it ran for ${run.timeoutS} s` }),
        run.timeoutS * 1000,
      ),
    );
    const { isScoped } = everybody;
    const looking = setInterval(() => look(child, run, { used, isScoped, stop }), LOOK_MS);
    void followGpus(
      {
        ...{ uuids: run.gpus, vramMiB: limits.vramMiB, exceeded: stop, signal: over.signal },
        pids: () => Promise.resolve(new Set(everyPid(everybody))),
      },
      used,
    );
    const unwatch = watchOutputs(run.outputs, outputs, stop);
    run.signal.addEventListener('abort', aborted, { once: true });
    if (run.signal.aborted) aborted();
    try {
      const [code, signalName] = await ended;
      // Those that it left behind hold its output open.
      killAll(everybody, 'SIGKILL');
      const late = new Promise<undefined>((resolve) => {
        timers.push(setTimeout(() => resolve(undefined), DRAIN_MS));
      });
      await Promise.race([read, late]);
      const counted = await Promise.race([report, late]);
      const fault =
        killed.fault ??
        kernelFault(counted, code, run) ??
        signalFault(signalName, code) ??
        (await overgrown(run.outputs, outputs));
      const { cpuMs = used.cpuMs, peakBytes = used.peakBytes } = counted ?? {};
      return runEnd(exitCodeOf(code, signalName), fault, {
        usage: usageOf(cpuMs, peakBytes, used),
        runtime: {
          ...{ arch: hostArch(), driver: used.driver, gpu: used.gpu, image: '', module: '' },
          ...{ runner: 'command', runnerVersion: `1 ${this.confinement}` },
        },
      });
    } finally {
      clearInterval(looking);
      over.abort();
      unwatch();
      for (const timer of timers) clearTimeout(timer);
      run.signal.removeEventListener('abort', aborted);
      for (const stream of child.stdio) stream?.destroy();
    }
  }

  #isAllowed([path, ...args]: readonly string[]): boolean {
    const line = args.join(' ');
    return (this.#options.allow ?? []).some((one) => {
      if (one.path !== path || !path.startsWith('/')) return false;
      return new RegExp(`^(?:${one.args.source})$`, one.args.flags.replace('g', '')).test(line);
    });
  }
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

interface Looking {
  readonly used: { cpuMs: number; peakBytes: number };
  /** Whether the kernel holds memory and processes to their limits. */
  readonly isScoped: boolean;
  readonly stop: (fault: Fault) => void;
}

function look(child: ChildProcess, { spec }: Run, { used, isScoped, stop }: Looking): void {
  const mine = below(child.pid!, allProcesses());
  const bytes = mine.reduce((sum, one) => sum + one.residentBytes, 0);
  used.peakBytes = Math.max(used.peakBytes, bytes);
  used.cpuMs = Math.max(
    used.cpuMs,
    mine.reduce((sum, one) => sum + one.cpuMs, 0),
  );
  // Memory that processes share was counted once for each.
  if (isScoped) return;
  if (bytes > spec.limits.memMiB * 1024 * 1024)
    stop({ code: 'OOM', message: `over ${spec.limits.memMiB} MiB of memory` });
  // What confines it is a process or two of its own.
  else if (mine.length > spec.limits.pids + 2)
    stop({ code: 'PIDS_LIMIT', message: `over ${spec.limits.pids} processes` });
}

/** What a scope says at its end; undefined where there is none. */
async function reportOf(stream: Readable): Promise<ScopeReport | undefined> {
  let text = '';
  try {
    for await (const chunk of stream)
      if (text.length < REPORT_CHARS_MAX) text += (chunk as Buffer).toString('latin1');
  } catch {
    // It was closed in the middle, which is as good as nothing.
  }
  return text === '' ? undefined : parseReport(text);
}

/** What the kernel did to hold a program to its limits. */
function kernelFault(
  report: ScopeReport | undefined,
  code: number | null,
  { spec: { limits } }: Run,
): Fault | undefined {
  if (report === undefined) return undefined;
  if (report.oomKills > 0) return { code: 'OOM', message: `over ${limits.memMiB} MiB of memory` };
  // A program may have coped with it.
  if (report.forksRefused > 0 && code !== 0)
    return { code: 'PIDS_LIMIT', message: `over ${limits.pids} processes` };
  return undefined;
}

interface Everybody {
  readonly child: ChildProcess;
  readonly mark: string;
  /** Whether the child is bubblewrap, and the command below it. */
  readonly isBoxed: boolean;
  /** Whether it is the shell that stays beside all that. */
  readonly isScoped: boolean;
}

/** Descendants, wherever their sessions and groups are, and who carries the mark of the run. */
function everyPid({ child: { pid }, mark }: Everybody): Set<number> {
  const all = new Set(below(pid!, allProcesses()).map((one) => one.pid));
  all.add(pid!);
  for (const one of carrying(MARK)) if (one.value === mark) all.add(one.pid);
  return all;
}

function killAll(everybody: Everybody, name: NodeJS.Signals): void {
  const { child, isBoxed, isScoped } = everybody;
  if (child.pid === undefined) return;
  const all = everyPid(everybody);
  // Bubblewrap would take the command with it before that can say goodbye; in a scope it is the child of the one beside.
  if (name === 'SIGTERM' && isBoxed)
    for (const pid of isScoped ? childrenOf(child.pid) : [child.pid]) all.delete(pid);
  for (const one of all) signal(one, name);
}

function childrenOf(pid: number): number[] {
  return allProcesses().flatMap((one) => (one.parent === pid ? [one.pid] : []));
}

async function readAll(stream: Readable, name: Stream, run: Run): Promise<void> {
  for await (const chunk of stream) {
    // Pipes give Buffers unless told otherwise.
    const bytes = chunk as Buffer;
    for (let at = 0; at < bytes.length; at += OPEN_PIECE_BYTES_MAX)
      await run.log(name, Uint8Array.from(bytes.subarray(at, at + OPEN_PIECE_BYTES_MAX)));
  }
}

/** A signal that a limit of the kernel sent; shells, and bubblewrap, say 128 + n. */
function signalFault(name: NodeJS.Signals | null, code: number | null): Fault | undefined {
  const is = (one: NodeJS.Signals): boolean =>
    name === one || code === 128 + constants.signals[one];
  if (is('SIGXFSZ')) return { code: 'OUTPUT_LIMIT', message: 'it wrote a file that is too large' };
  if (is('SIGXCPU')) return { code: 'TIMEOUT', message: 'it used all of its CPU time' };
  return undefined;
}

function exitCodeOf(code: number | null, name: NodeJS.Signals | null): number {
  if (name !== null) return -constants.signals[name];
  return exitCodeOfShell(code ?? 0);
}

/** A plain child finds its inputs by their path on the host. @throws RunFault if a folder on the way lets nobody else in */
async function checkReach(folder: string): Promise<void> {
  for (let at = dirname(folder); at !== dirname(at); at = dirname(at)) {
    const { mode } = await stat(at);
    if ((mode & 0o001) === 0)
      throw new RunFault(
        'INTERNAL',
        `the command runs as a user that may not enter ${at}: give jobs a folder that others may enter`,
      );
  }
}
