/** A hart for jobs: a thread with the engine, on which one program after another runs, each in instances of its own. */
import { parentPort } from 'node:worker_threads';
import { ImageError } from '../../../../kernel/engine.ts';
import type { Linkable } from '../../../../kernel/hart/link.ts';
import { ProgramEngine, type ProgramEnd } from '../../../../kernel/hart/program-engine.ts';
import { PREVIEW1 } from '../../../../kernel/hart/wasi/preview1.ts';
import { loadProgram, prepareProgram } from '../../../../kernel/image/program.ts';
import type { Fault } from '../ending.ts';
import { JobFiles } from './files.ts';
import { preview1 } from './preview1.ts';
import { preview2 } from './preview2.ts';
import {
  LOG_WINDOW_BYTES,
  type FromHart,
  type JobEnd,
  type JobStart,
  type ToHart,
} from './protocol.ts';
import { JobSystem } from './system.ts';

/** As for a program that a signal ended: a trap is SIGABRT. */
const EXIT_TRAPPED = -6;
/** Programs kept linked; the least recently used goes. */
const PROGRAMS_MAX = 32;

const port = parentPort!;
const engine = new ProgramEngine();
const programs = new Map<string, Linkable>();
/** Bytes of the log that the other side has not taken, and who waits for it to. */
let untaken = 0;
let room: (() => void) | undefined;
let kill: (() => void) | undefined;

const say = (message: FromHart): void => port.postMessage(message);

port.on('message', (message: ToHart) => {
  switch (message.kind) {
    case 'prepare':
      void prepare(message.bytes);
      return;
    case 'program':
      programs.set(message.hash, loadProgram(message.bytes, message.prepared));
      if (programs.size > PROGRAMS_MAX) programs.delete(programs.keys().next().value!);
      return;
    case 'start':
      void run(message.job);
      return;
    case 'taken':
      untaken -= message.bytes;
      if (untaken <= LOG_WINDOW_BYTES) room?.();
      return;
    case 'kill':
      kill?.();
      // Its log may be what it waits for.
      room?.();
  }
});

async function prepare(bytes: Uint8Array): Promise<void> {
  try {
    say({ kind: 'prepared', prepared: await prepareProgram(bytes) });
  } catch (error) {
    const known = error instanceof ImageError;
    say({
      kind: 'refused',
      code: known ? error.code : undefined,
      message: known ? error.message : String(error),
    });
  }
}

function log(stream: 1 | 2 | 3, bytes: Uint8Array): Promise<void> | undefined {
  if (bytes.length === 0) return undefined;
  untaken += bytes.length;
  say({ kind: 'log', stream, bytes });
  if (untaken <= LOG_WINDOW_BYTES) return undefined;
  return new Promise((resolve) => {
    room = () => {
      room = undefined;
      resolve();
    };
  });
}

async function run(job: JobStart): Promise<void> {
  const program = programs.get(job.program)!;
  untaken = 0;
  const over = new AbortController();
  const system = new JobSystem(
    { args: job.args, env: job.env, seed: job.seed, log },
    (exceeded) =>
      new JobFiles({
        inputs: job.inputs,
        outputs: job.outputs,
        files: job.files,
        bytesMax: job.outputBytesMax,
        entriesMax: job.outputEntriesMax,
        exceeded,
      }),
  );
  const modules = preview1(system);
  const components = preview2(system, over.signal);
  const limits = { memoryPagesMax: job.memoryPagesMax, fuelMax: job.fuelMax };
  const { guest, ended } = engine.start(
    program,
    (from, name) => (from === PREVIEW1 ? modules(name) : components(from, name)),
    limits,
  );
  kill = () => guest.kill();
  const end = await ended;
  kill = undefined;
  over.abort();
  system.files[Symbol.dispose]();
  const { cpuMs, fuel } = guest.usage();
  const memory = guest.memory();
  const outOfFuel = fuel > job.fuelMax;
  say({
    kind: 'ended',
    end: {
      ...describeEnd(end, system, { refused: memory.refused, outOfFuel }),
      cpuMs,
      fuel,
      peakBytes: memory.peakBytes,
      wrote: system.files.wrote,
    },
  });
}

function describeEnd(
  end: ProgramEnd,
  { exitCode, fault }: JobSystem,
  why: { readonly refused: boolean; readonly outOfFuel: boolean },
): Pick<JobEnd, 'exitCode' | 'fault' | 'clean'> {
  if (end.kind === 'returned') {
    // A component's `run` returns a result; a command's _start nothing.
    const failed = (end.value as { readonly tag?: unknown } | undefined)?.tag === 'err';
    return { exitCode: failed ? 1 : 0, fault: undefined, clean: true };
  }
  if (fault !== undefined) return { exitCode: EXIT_TRAPPED, fault, clean: false };
  if (exitCode !== undefined) return { exitCode, fault: undefined, clean: true };
  if (end.kind === 'not-started')
    return { exitCode: EXIT_TRAPPED, fault: invalid(end.reason), clean: false };
  if (end.kind === 'killed') return { exitCode: EXIT_TRAPPED, fault: undefined, clean: false };
  return { exitCode: EXIT_TRAPPED, fault: trapped(end.report, why), clean: false };
}

function trapped(
  report: string,
  { refused, outOfFuel }: { readonly refused: boolean; readonly outOfFuel: boolean },
): Fault {
  if (outOfFuel) return { code: 'TIMEOUT', message: report };
  // Allocators abort when they get no more.
  if (refused) return { code: 'OOM', message: `it was refused more memory, then: ${report}` };
  return { code: 'EXIT_NONZERO', message: `the program trapped: ${report}` };
}

function invalid(reason: string): Fault {
  return { code: 'IMAGE_INVALID', message: `the module does not start: ${reason}` };
}
