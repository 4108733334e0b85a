/** The processes of one run, as /proc tells: descendants, and whoever carries its mark in the environment, wherever it went. */
import { readdirSync, readFileSync } from 'node:fs';

export interface ProcessFigures {
  readonly pid: number;
  readonly parent: number;
  readonly residentBytes: number;
  /** With what of its children has ended. */
  readonly cpuMs: number;
}

/** `getconf` of these on every Linux that Node runs on; the page size is asked below. */
const TICK_MS = 10;

/** All processes of this machine; empty where there is no /proc. */
export function allProcesses(): ProcessFigures[] {
  return pids().flatMap((pid) => figuresOf(pid) ?? []);
}

/** Those below `root`, itself included. */
export function below(root: number, all: readonly ProcessFigures[]): ProcessFigures[] {
  const found = new Set([root]);
  // Parents need not come first.
  for (let before = 0; before < found.size;) {
    before = found.size;
    for (const { pid, parent } of all) if (found.has(parent)) found.add(pid);
  }
  return all.filter(({ pid }) => found.has(pid));
}

/** Pids and values of all processes that were started with this variable. */
export function carrying(variable: string): { readonly pid: number; readonly value: string }[] {
  const start = `${variable}=`;
  return pids().flatMap((pid) => {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
      const value = environment.find((one) => one.startsWith(start))?.slice(start.length);
      return value === undefined ? [] : [{ pid, value }];
    } catch {
      // Of another user, or gone.
      return [];
    }
  });
}

/** Sends a signal; a process that is gone has got all it will. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

function pids(): number[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}

function figuresOf(pid: number): ProcessFigures | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, in parentheses, may hold anything. Fields of proc(5): 4 parent, 14 to 17 times, 24 resident pages.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const number = (field: number): number => Number(fields[field - 3] ?? 0);
    const ticks = number(14) + number(15) + number(16) + number(17);
    return {
      pid,
      parent: number(4),
      residentBytes: number(24) * PAGE_BYTES,
      cpuMs: ticks * TICK_MS,
    };
  } catch {
    return undefined;
  }
}

/** From this process's own figures, which /proc gives in pages and in kB. */
const PAGE_BYTES = pageBytes();

function pageBytes(): number {
  try {
    const pages = Number(readFileSync('/proc/self/statm', 'utf8').split(' ')[0]);
    const kilobytes = Number(
      /VmSize:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1],
    );
    const bytes = (kilobytes * 1024) / pages;
    // The two are read one after the other.
    return [4096, 16_384, 65_536].find((size) => Math.abs(size - bytes) < size / 2) ?? 4096;
  } catch {
    return 4096;
  }
}
