/** What every command says at its end, as text or as JSON. */

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

/** A guest's own words: its control characters do not reach the terminal. */
export function printable(text: string): string {
  return text.replaceAll(/[^\P{Cc}\n\t]/gu, '?');
}

/** A size as a person reads it. */
export function size(bytes: number): string {
  if (bytes < 1_024) return `${bytes} B`;
  const kib = bytes / 1_024;
  return kib < 1_024 ? `${kib.toFixed(1)} KiB` : `${(kib / 1_024).toFixed(2)} MiB`;
}

/** Our own codes are words; those of the runtime (`ERR_…`, `ENOENT`) mean that nobody foresaw the error. */
function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  const { code } = error;
  return typeof code === 'string' && /^[a-z-]+$/.test(code) ? code : undefined;
}
