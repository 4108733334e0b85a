/** What a container uses, from the engine's own figures once a second. A run of less than that has only its end. */
import type Docker from 'dockerode';
import type { Fault } from '../ending.ts';
import { within } from './engine.ts';

/** Looks in a row at which a program holds all the processes it may have, until it is a fork bomb. */
const PIDS_LOOKS_MAX = 3;

export interface Sampled {
  cpuMs: number;
  peakBytes: number;
}

/** Follows the figures until the container ends or `signal` aborts. Never rejects. */
export async function followUsage(
  container: Docker.Container,
  {
    pids,
    signal,
    exceeded,
  }: {
    readonly pids: number;
    readonly signal: AbortSignal;
    readonly exceeded: (fault: Fault) => void;
  },
  sampled: Sampled,
): Promise<void> {
  let full = 0;
  try {
    // The client's types know only a question with one answer.
    const stream = (await container.stats({ stream: true })) as unknown as NodeJS.ReadableStream & {
      destroy(): void;
    };
    signal.addEventListener('abort', () => stream.destroy(), { once: true });
    if (signal.aborted) stream.destroy();
    let line = '';
    for await (const chunk of stream) {
      line += chunk.toString();
      const lines = line.split('\n');
      line = lines.pop() ?? '';
      for (const text of lines) {
        const stats = JSON.parse(text) as Stats;
        const { usage = 0, max_usage: most = 0 } = stats.memory_stats ?? {};
        sampled.peakBytes = Math.max(sampled.peakBytes, usage, most);
        sampled.cpuMs = Math.max(
          sampled.cpuMs,
          (stats.cpu_stats?.cpu_usage?.total_usage ?? 0) / 1e6,
        );
        full = (stats.pids_stats?.current ?? 0) >= pids ? full + 1 : 0;
        if (full === PIDS_LOOKS_MAX)
          exceeded({ code: 'PIDS_LIMIT', message: `it held all of its ${pids} processes` });
      }
    }
  } catch {
    // A stream that is cut off has said what it had to say.
  }
}

/** Processes of a running container as its host has them; undefined where the engine does not say. */
export async function processesOf(
  container: Docker.Container,
): Promise<ReadonlySet<number> | undefined> {
  try {
    // The client's types know nothing of the answer.
    const { Titles, Processes } = (await within('looking at the processes', () =>
      container.top(),
    )) as { readonly Titles: readonly string[]; readonly Processes: readonly string[][] };
    const column = Titles.indexOf('PID');
    return column < 0 ? undefined : new Set(Processes.map((row) => Number(row[column])));
  } catch {
    return undefined;
  }
}

interface Stats {
  readonly memory_stats?: { readonly usage?: number; readonly max_usage?: number };
  readonly cpu_stats?: { readonly cpu_usage?: { readonly total_usage?: number } };
  readonly pids_stats?: { readonly current?: number };
}
