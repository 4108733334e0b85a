/** Splitting what was typed (runtime-modules.md §10.2, §10.4). */

/** First word and the rest, verbatim; undefined for a blank line. */
export function splitCommand(line: string): { head: string; rest: string } | undefined {
  const text = line.trim();
  if (text === '') return undefined;
  const space = text.indexOf(' ');
  return space === -1
    ? { head: text, rest: '' }
    : { head: text.slice(0, space), rest: text.slice(space + 1).trimStart() };
}

/** Words: a run in single quotes (without them), or a run of non-blanks. A quote cannot be escaped. */
export function tokens(text: string): string[] {
  return Array.from(text.matchAll(/'([^']*)'|(\S+)/g), (match) => match[1] ?? match[2] ?? '');
}

const PROCESS_ID = /^[a-z0-9-]+:[a-z0-9-]+:[a-z0-9.-]+$/;

export function isProcessId(text: string): boolean {
  return PROCESS_ID.test(text);
}
