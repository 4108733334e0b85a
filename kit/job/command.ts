/** What the commands of `kit job` have in common: who asks, slips in flags, the end at Ctrl-C, and how a failure is told. */
import { unknownFlag } from '../known-flags.ts';
import { fail, say } from '../report.ts';
import { JobError } from './job-error.ts';
import { login, type LoggedIn, type LoginFlags } from './login.ts';

/** Of a signal, as shells have it. */
const INTERRUPTED = 130;
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

export interface Given extends LoginFlags {
  readonly _: readonly string[];
  readonly json?: boolean | undefined;
}

export interface JobCommand extends LoggedIn {
  /** Aborted at Ctrl-C. */
  readonly signal: AbortSignal;
  /** Words beside flags, and those after `--`. */
  readonly words: readonly string[];
  readonly command: readonly string[];
  /** A line for a person, or an object for a program. */
  readonly say: (text: string, value: unknown) => void;
  readonly json: boolean;
}

/** Runs a command: every failure is one sentence and exit code 1, Ctrl-C ends it with 130 and leaves the job as it is. */
export async function asCommand(
  known: Parameters<typeof unknownFlag>[1],
  { args, rawArgs }: { readonly args: Given; readonly rawArgs: readonly string[] },
  work: (command: JobCommand) => Promise<void>,
): Promise<void> {
  const json = args.json === true;
  const ended = new AbortController();
  const end = (): void => ended.abort();
  for (const signal of SIGNALS) process.once(signal, end);
  try {
    const wrong = unknownFlag(args, known);
    if (wrong !== undefined)
      throw new JobError('bad-flags', `there is no flag --${wrong}; see --help`);
    const at = rawArgs.indexOf('--');
    const command = at < 0 ? [] : rawArgs.slice(at + 1);
    const words = args._.slice(0, args._.length - command.length);
    await work({
      ...(await login(args)),
      signal: ended.signal,
      words,
      command,
      json,
      say: (text, value) => say(json, text, value),
    });
  } catch (error) {
    if (ended.signal.aborted) process.exitCode = INTERRUPTED;
    else fail(json, error);
  } finally {
    for (const signal of SIGNALS) process.off(signal, end);
  }
}

/** The one job that is meant. */
export function jobIdIn(words: readonly string[]): string {
  const [id, ...more] = words;
  if (id === undefined || more.length > 0)
    throw new JobError('bad-flags', 'which job? Its id is in kit job list');
  if (!/^0x[0-9a-fA-F]{64}$/.test(id))
    throw new JobError('bad-flags', `${id} is no id of a job: 0x and 64 hex digits`);
  return id.toLowerCase();
}
