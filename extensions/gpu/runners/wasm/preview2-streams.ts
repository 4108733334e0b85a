/** Streams and waiting of WASI 0.2 for one job. Nothing here is ever not ready: an output makes the guest wait by taking its time. */
import { Trap } from '../../../../kernel/process-host.ts';
import {
  err,
  ok,
  type WasiFunction,
  type WasiResult,
} from '../../../../kernel/hart/wasi/interface.ts';
import { STREAM, type Stream } from '../../../../wit/jobs/log-records.ts';
import { TRANSFER_BYTES_MAX, type OpenFile } from './files.ts';
import { LOG_WRITE_BYTES_MAX, type JobSystem } from './system.ts';

type StreamResult<T> = WasiResult<T, { readonly tag: 'closed' }>;
type Writing = StreamResult<undefined> | Promise<StreamResult<undefined>>;

const closed = err({ tag: 'closed' } as const);

/** Where an `output-stream` goes. */
export interface Output {
  write(bytes: Uint8Array): Promise<void> | undefined;
}

/** The resource `input-stream`, of a file; without one it is stdin, which has ended. */
export class Input implements Disposable {
  readonly #system: JobSystem;
  readonly #file: OpenFile | undefined;
  #at: number;

  constructor(system: JobSystem, file?: OpenFile, at = 0) {
    this.#system = system;
    this.#file = file;
    this.#at = at;
  }

  read(length: bigint): StreamResult<Uint8Array> {
    if (this.#file === undefined) return closed;
    const most = Math.min(Number(length), TRANSFER_BYTES_MAX);
    if (most === 0) return ok(new Uint8Array(0));
    const bytes = new Uint8Array(most);
    const got = this.#system.files.read(this.#file, bytes, this.#at);
    this.#at += got;
    return got === 0 ? closed : ok(bytes.subarray(0, got));
  }

  [Symbol.dispose](): void {
    if (this.#file !== undefined) this.#system.files.close(this.#file);
  }
}

/** One end of the log. */
export class LogOutput implements Output {
  readonly #system: JobSystem;
  readonly #stream: Stream;

  constructor(system: JobSystem, stream: Stream) {
    this.#system = system;
    this.#stream = stream;
  }

  write(bytes: Uint8Array): Promise<void> | undefined {
    return this.#system.log(this.#stream, bytes);
  }
}

/** A file from `at` on, or at its end wherever that is. */
export class FileOutput implements Output, Disposable {
  readonly #system: JobSystem;
  readonly #file: OpenFile;
  #at: number | undefined;

  constructor(system: JobSystem, file: OpenFile, at: number | undefined) {
    this.#system = system;
    this.#file = file;
    this.#at = at;
  }

  write(bytes: Uint8Array): undefined {
    for (let done = 0; done < bytes.length;) {
      const at = this.#at ?? this.#file.entry.size;
      const count = this.#system.files.write(this.#file, bytes.subarray(done), at);
      if (this.#at !== undefined) this.#at += count;
      done += count;
    }
  }

  [Symbol.dispose](): void {
    this.#system.files.close(this.#file);
  }
}

/** The resource `pollable`: ready at an instant of the job's clock, or always. */
export class JobPollable {
  readonly atNs: bigint;

  constructor(atNs = 0n) {
    this.atNs = atNs;
  }
}

/** `wasi:io/streams`, `wasi:io/poll` and what of `wasi:cli` and `wasi:clocks` makes such resources. */
export function streamFunctions(
  system: JobSystem,
): Readonly<Record<string, Readonly<Record<string, WasiFunction>>>> {
  const { clock } = system;
  const isReady = ({ atNs }: JobPollable): boolean => atNs <= clock.nowNs;
  const read = (input: Input, length: bigint): StreamResult<Uint8Array> => input.read(length);
  const skip = (input: Input, length: bigint): StreamResult<bigint> => {
    const got = input.read(length);
    return got.tag === 'err' ? got : ok(BigInt(got.val?.length ?? 0));
  };
  const subscribe = (): JobPollable => new JobPollable();
  const zeroes = (output: Output, length: bigint): Writing => {
    if (length > BigInt(LOG_WRITE_BYTES_MAX)) return write(output, TOO_LONG);
    return write(output, new Uint8Array(Number(length)));
  };
  const splice = (output: Output, input: Input, length: bigint): unknown => {
    const got = input.read(length < SPLICE_BYTES_MAX ? length : SPLICE_BYTES_MAX);
    if (got.tag === 'err') return got;
    const bytes = got.val ?? new Uint8Array(0);
    const written = ok(BigInt(bytes.length));
    const wait = output.write(bytes);
    return wait === undefined ? written : wait.then(() => written);
  };
  return {
    'wasi:io/streams': {
      '[method]input-stream.read': read,
      '[method]input-stream.blocking-read': read,
      '[method]input-stream.skip': skip,
      '[method]input-stream.blocking-skip': skip,
      '[method]input-stream.subscribe': subscribe,
      '[method]output-stream.check-write': () => ok(BigInt(LOG_WRITE_BYTES_MAX)),
      '[method]output-stream.write': write,
      '[method]output-stream.blocking-write-and-flush': write,
      '[method]output-stream.flush': () => ok(),
      '[method]output-stream.blocking-flush': () => ok(),
      '[method]output-stream.subscribe': subscribe,
      '[method]output-stream.write-zeroes': zeroes,
      '[method]output-stream.blocking-write-zeroes-and-flush': zeroes,
      '[method]output-stream.splice': splice,
      '[method]output-stream.blocking-splice': splice,
    },
    'wasi:io/poll': {
      '[method]pollable.ready': isReady,
      '[method]pollable.block': ({ atNs }: JobPollable) => clock.waitUntil(atNs),
      poll: (pollables: readonly JobPollable[]) => {
        if (pollables.length === 0) throw new Trap('poll was called with no pollable');
        clock.waitUntil(
          pollables.reduce((first, { atNs }) => (atNs < first ? atNs : first), pollables[0]!.atNs),
        );
        return pollables.flatMap((pollable, index) => (isReady(pollable) ? [index] : []));
      },
    },
    'wasi:clocks/monotonic-clock': {
      now: () => clock.read(),
      resolution: () => 1_000_000n,
      'subscribe-instant': (instant: bigint) => new JobPollable(instant),
      'subscribe-duration': (duration: bigint) => new JobPollable(clock.nowNs + duration),
    },
    'wasi:cli/stdin': { 'get-stdin': () => new Input(system) },
    'wasi:cli/stdout': { 'get-stdout': () => new LogOutput(system, STREAM.stdout) },
    'wasi:cli/stderr': { 'get-stderr': () => new LogOutput(system, STREAM.stderr) },
  };
}

const SPLICE_BYTES_MAX = BigInt(LOG_WRITE_BYTES_MAX);
const TOO_LONG = new Uint8Array(LOG_WRITE_BYTES_MAX + 1);

/** @throws Trap for more than `check-write` permits, as the interface says */
function write(output: Output, bytes: Uint8Array): Writing {
  if (bytes.length > LOG_WRITE_BYTES_MAX)
    throw new Trap(`wrote more than the ${LOG_WRITE_BYTES_MAX} bytes that a stream permits`);
  const wait = output.write(bytes);
  return wait === undefined ? ok() : wait.then(() => ok());
}
