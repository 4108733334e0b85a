/**
 * One hart of the pool, from outside. States: idle -> busy -> idle, or dead. What is asked of a hart that dies ends with the reason; its
 * owner puts another in its place.
 */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { ImageError } from '../../../../kernel/engine.ts';
import type { PreparedProgram } from '../../../../kernel/image/program.ts';
import type { Stream } from '../../../../wit/jobs/log-records.ts';
import type { FromHart, JobEnd, JobStart, ToHart } from './protocol.ts';

/** V8 heap of a hart in MiB; linear memories are outside of it and have limits of their own. */
const HEAP_MIB_MAX = 256;
/** How long a killed program has to unwind before its thread is ended under it. */
const KILL_MS = 1_000;
/** How long a program may take to be prepared, as for processes (findings.md F10). */
const PREPARE_MS_MAX = 20_000;

export interface Program {
  readonly hash: string;
  readonly bytes: Uint8Array;
  readonly prepared: PreparedProgram;
}

/** The thread ended before the job did. */
export class HartDied extends Error {
  override readonly name = 'HartDied';
}

export class Hart {
  readonly #worker: Worker;
  readonly #programs = new Set<string>();
  #hear: ((message: FromHart) => void) | undefined;
  #lost: ((error: HartDied) => void) | undefined;
  #death: string | undefined;

  constructor() {
    this.#worker = new Worker(
      new URL(`./hart-main${extname(import.meta.filename)}`, import.meta.url),
      { resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB_MAX } },
    );
    // Idle, it must not keep the extension from ending.
    this.#worker.unref();
    this.#worker.on('message', (message: FromHart) => this.#hear?.(message));
    this.#worker.on('error', (error) => this.#die(`a hart failed: ${String(error)}`));
    this.#worker.on('exit', () => this.#die('a hart ended'));
  }

  get dead(): boolean {
    return this.#death !== undefined;
  }

  /** @throws ImageError, HartDied */
  async prepare(bytes: Uint8Array): Promise<PreparedProgram> {
    const timer = setTimeout(
      () => this.#die(`preparing the module took over ${PREPARE_MS_MAX} ms`),
      PREPARE_MS_MAX,
    );
    try {
      return await this.#ask<PreparedProgram>(
        (message, answer, refuse) => {
          if (message.kind === 'prepared') answer(message.prepared);
          else if (message.kind === 'refused')
            refuse(
              message.code === undefined
                ? new Error(message.message)
                : new ImageError(message.code, message.message),
            );
        },
        () => this.#say({ kind: 'prepare', bytes }),
      );
    } finally {
      clearTimeout(timer);
    }
  }

  /** Runs a job to its end. `log` gets its output in order, one at a time. @throws HartDied */
  async run(
    program: Program,
    job: JobStart,
    log: (stream: Stream, bytes: Uint8Array) => Promise<void>,
  ): Promise<JobEnd> {
    let logged = Promise.resolve();
    const end = await this.#ask<JobEnd>(
      (message, answer) => {
        if (message.kind === 'ended') answer(message.end);
        if (message.kind !== 'log') return;
        const { stream, bytes } = message;
        logged = logged
          .then(() => log(stream, bytes))
          .finally(() => this.#say({ kind: 'taken', bytes: bytes.length }));
        // Whoever awaits `logged` below gets the error.
        logged.catch(() => {});
      },
      () => {
        if (!this.#programs.has(program.hash)) {
          this.#programs.add(program.hash);
          this.#say({ kind: 'program', ...program });
        }
        this.#say({ kind: 'start', job });
      },
    );
    await logged;
    return end;
  }

  /** Ends the program that runs, and the thread if that takes long. */
  kill(): void {
    this.#say({ kind: 'kill' });
    setTimeout(() => this.#die('the program did not unwind'), KILL_MS).unref();
  }

  async close(): Promise<void> {
    this.#die('the runner is closing');
    await this.#worker.terminate();
  }

  #ask<T>(
    hear: (message: FromHart, answer: (value: T) => void, refuse: (error: Error) => void) => void,
    begin: () => void,
  ): Promise<T> {
    if (this.#death !== undefined) return Promise.reject(new HartDied(this.#death));
    this.#worker.ref();
    return new Promise<T>((resolve, reject) => {
      this.#hear = (message) => hear(message, resolve, reject);
      this.#lost = reject;
      begin();
    }).finally(() => {
      this.#hear = undefined;
      this.#lost = undefined;
      this.#worker.unref();
    });
  }

  #say(message: ToHart): void {
    if (!this.dead) this.#worker.postMessage(message);
  }

  #die(reason: string): void {
    if (this.dead) return;
    this.#death = reason;
    void this.#worker.terminate();
    this.#lost?.(new HartDied(reason));
  }
}
