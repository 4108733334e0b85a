/** What every command says at its end, as text or as JSON. */
import { BuildError } from './build/build-error.ts';

/** Prints one line for a person, or one object for a program. */
export function say(json: boolean, text: string, value: unknown): void {
  process.stdout.write(`${json ? JSON.stringify(value) : text}\n`);
}

/**
 * Ends the command with exit code 1 and one sentence on stderr (or an object on stdout). Errors with a stable `code` are expected;
 * anything else is a bug and shows its stack.
 */
export function fail(json: boolean, error: unknown): void {
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  process.exitCode = 1;
  if (json) {
    process.stdout.write(`${JSON.stringify({ error: { code: code ?? 'bug', message } })}\n`);
    return;
  }
  const stack = error instanceof Error ? (error.stack ?? message) : message;
  process.stderr.write(`${code === undefined ? stack : `kit: ${message}`}\n`);
}

/** A size as a person reads it. */
export function size(bytes: number): string {
  if (bytes < 1_024) return `${bytes} B`;
  const kib = bytes / 1_024;
  return kib < 1_024 ? `${kib.toFixed(1)} KiB` : `${(kib / 1_024).toFixed(2)} MiB`;
}

function codeOf(error: unknown): string | undefined {
  if (error instanceof BuildError) return error.code;
  if (error instanceof Error && 'code' in error && typeof error.code === 'string')
    return error.code;
  return undefined;
}
