/** The module's side of one child: frames out, answers in, and its end. */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { extname } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { CHILD_HEAP_MIB } from './limits.ts';
import { FrameCutter, FrameReader, type FrameWriter, type Kind } from './protocol.ts';

export interface ChildNeeds {
  /** Temporary files of large statements go here. */
  readonly temporary: string;
  /** More of its environment; default none. */
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** An answer to the oldest unanswered frame. */
  readonly onAnswer: (status: number, bytes: Uint8Array) => void;
  /** The process has ended, and everything it wrote has been seen. */
  readonly onEnd: (reason: string) => void;
}

const PROGRAM = fileURLToPath(new URL(`./child${extname(import.meta.filename)}`, import.meta.url));

export class ChildProcess {
  readonly #process: ChildProcessByStdio<Writable, Readable, Readable>;
  #sequence = 0;
  #stderr = '';
  #ended = false;
  readonly ended: Promise<void>;

  constructor(needs: ChildNeeds) {
    const child = spawn(
      process.execPath,
      [
        `--max-old-space-size=${CHILD_HEAP_MIB}`,
        '--disable-warning=ExperimentalWarning',
        PROGRAM,
        String(process.pid),
      ],
      {
        stdio: ['pipe', 'pipe', 'pipe'],
        // The engine's temporary files stay inside the home; nothing else of our own environment is the child's business.
        env: { ...needs.environment, SQLITE_TMPDIR: needs.temporary },
      },
    );
    this.#process = child;
    const cutter = new FrameCutter();
    child.stdout.on('data', (piece: Buffer) => {
      for (const frame of cutter.push(piece)) {
        const answer = new FrameReader(frame);
        const bytes = answer.isEmpty ? undefined : answer.bytes();
        needs.onAnswer(answer.kind, bytes ?? NO_BYTES);
      }
    });
    child.stderr.on('data', (piece: Buffer) => {
      this.#stderr = (this.#stderr + piece.toString()).slice(0, STDERR_CHARS_MAX);
    });
    // Writing to a child that has just ended fails; its end is told of anyway.
    child.stdin.on('error', () => undefined);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    const end = (reason: string): void => {
      if (this.#ended) return;
      this.#ended = true;
      needs.onEnd(reason);
      resolve();
    };
    child.on('error', (error) => end(error.message));
    child.on('close', (code, signal) => end(this.#stderr || `ended with ${signal ?? code}`));
  }

  send(kind: Kind, frame: FrameWriter): void {
    this.#sequence = (this.#sequence + 1) >>> 0;
    const { stdin } = this.#process;
    const parts = frame.finish(this.#sequence, kind);
    if (parts.length > 1) stdin.cork();
    for (const part of parts) stdin.write(part);
    if (parts.length > 1) stdin.uncork();
  }

  /** Ends it now, whatever it does. */
  kill(): void {
    this.#process.kill('SIGKILL');
  }

  /** Lets it close its databases, then end. */
  finish(): void {
    this.#process.stdin.end();
  }
}

const NO_BYTES = new Uint8Array();
const STDERR_CHARS_MAX = 4_096;
