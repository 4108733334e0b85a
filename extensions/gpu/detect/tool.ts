/** Vendors' tools: run without a shell, not for long, and never fatal (compute-market.md §11). */
import { execFile } from 'node:child_process';

const TOOL_MS = 5_000;
const OUTPUT_BYTES_MAX = 1024 * 1024;

export type ToolOutput =
  /** There is no such program. */
  | { readonly kind: 'missing' }
  /** It took too long or said too much. */
  | { readonly kind: 'stuck' }
  | {
      readonly kind: 'ran';
      readonly code: number;
      readonly stdout: string;
      readonly stderr: string;
    };

/** Runs a program by name. Never rejects. */
export type Tools = (name: string, args: readonly string[]) => Promise<ToolOutput>;

export const hostTools: Tools = (name, args) =>
  new Promise((resolve) => {
    const options = {
      timeout: TOOL_MS,
      maxBuffer: OUTPUT_BYTES_MAX,
      killSignal: 'SIGKILL',
    } as const;
    // In plain English and plain numbers, whatever the operator speaks.
    const { PATH, HOME } = process.env;
    const env = { PATH, HOME, LC_ALL: 'C' };
    execFile(name, [...args], { ...options, env }, (error, stdout, stderr) => {
      if (error === null) resolve({ kind: 'ran', code: 0, stdout, stderr });
      else if (error.code === 'ENOENT' || error.code === 'EACCES') resolve({ kind: 'missing' });
      else if (typeof error.code === 'number')
        resolve({ kind: 'ran', code: error.code, stdout, stderr });
      else resolve({ kind: 'stuck' });
    });
  });

/** What a vendor's tool told. */
export interface Found<Device> {
  readonly gpus: readonly Device[];
  /** For the operator. */
  readonly warnings: readonly string[];
}

/** JSON of a tool as an object; undefined for what is none. */
export function objectOf(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A text that says something. */
export function textOf(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  const text = value.trim();
  return text === '' || /^n\/a$/i.test(text) ? undefined : text;
}

/** A whole number of what is counted, from a number or digits; undefined for anything else. */
export function countOf(value: unknown): number | undefined {
  const number =
    typeof value === 'string' && /^\d+(\.\d+)?$/.test(value.trim()) ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isFinite(number) || number < 0) return undefined;
  return Math.floor(number);
}
