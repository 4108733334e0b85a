/** Money is spent when a person says so, or `--yes` did. */
import { createInterface } from 'node:readline/promises';
import { JobError } from './job-error.ts';

/**
 * Asks a person at the terminal.
 * @param what  what it costs, as text
 * @throws JobError `declined` for anything but yes, and where nobody can be asked
 */
export async function agreed(
  question: string,
  { json, what }: { readonly json: boolean; readonly what: string },
): Promise<void> {
  if (json || !process.stdin.isTTY)
    throw new JobError('declined', `nobody is there to agree to ${what}: --yes agrees`);
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await lines.question(`${question} [y/N] `);
  lines.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new JobError('declined', 'nothing was paid');
}
