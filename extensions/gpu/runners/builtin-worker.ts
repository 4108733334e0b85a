/** Thread that runs one function after another. What takes too long is ended with the thread. Loaded by `builtin.ts` only. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parentPort } from 'node:worker_threads';
import type { Arguments } from './builtins/builtin.ts';
import { BUILTINS } from './builtins/all.ts';

export interface BuiltinJob {
  readonly fn: string;
  readonly args: Arguments;
  readonly inputs: readonly string[];
  readonly outputs: string;
}

export type BuiltinNews =
  | { readonly kind: 'text'; readonly stream: 1 | 2; readonly bytes: Uint8Array }
  | { readonly kind: 'progress'; readonly ppm: number }
  | { readonly kind: 'end'; readonly code: number; readonly cpuMs: number }
  | { readonly kind: 'failed'; readonly message: string };

/** Between two reports of progress: a loop may call it every microsecond. */
const PROGRESS_MS = 500;

parentPort?.on('message', (job: BuiltinJob) => {
  const tell = (news: BuiltinNews): void => parentPort?.postMessage(news);
  const before = process.threadCpuUsage();
  let toldMs = 0;
  try {
    const code = BUILTINS.get(job.fn)!.run({
      args: job.args,
      inputs: job.inputs,
      output: (name, content) => writeFileSync(join(job.outputs, name), content),
      stdout: (text) => tell({ kind: 'text', stream: 1, bytes: Buffer.from(text) }),
      stderr: (text) => tell({ kind: 'text', stream: 2, bytes: Buffer.from(text) }),
      progress: (ppm) => {
        if (performance.now() - toldMs < PROGRESS_MS) return;
        toldMs = performance.now();
        tell({ kind: 'progress', ppm });
      },
    });
    const { user, system } = process.threadCpuUsage(before);
    tell({ kind: 'end', code, cpuMs: Math.ceil((user + system) / 1000) });
  } catch (error) {
    tell({ kind: 'failed', message: error instanceof Error ? error.message : String(error) });
  }
});
