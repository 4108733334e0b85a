/**
 * The command line: flags and environment to a NodeConfig, signals, exit code. The only reader of `process.env` and `argv`
 * (runtime-modules.md §13.1; docs/operating.md has every flag and exit code).
 */
import { enableCompileCache } from 'node:module';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { ProcessId, Result } from './wit/types.ts';
import {
  type ProcessVerbosity,
  parseProcessVerbosity,
} from './runtime-modules/terminal/verbosity.ts';

/** Documented in docs/operating.md; scripts may rely on them. */
export const EXIT = {
  ok: 0,
  bug: 1,
  usage: 2,
  homeInUse: 3,
  homeUnusable: 4,
  noIdentity: 5,
  packages: 6,
} as const;

/** A second signal this soon is the same keypress, seen twice: once directly and once handed on by npm. */
const SAME_SIGNAL_MS = 500;
const KEEP_ALIVE_MS = 60_000;
/** An orderly end takes milliseconds; past this it is forced. */
const SHUTDOWN_MS_MAX = 10_000;
const DEVELOPMENT_HOME = join('.hyperloom', 'dev');
const SHUTDOWN_SIGNALS = {
  SIGINT: 2,
  SIGTERM: 15,
  SIGHUP: 1,
  SIGQUIT: 3,
  SIGALRM: 14,
  SIGUSR2: 12,
};

/** What the command line asked for, checked. */
export interface Flags {
  readonly home: string;
  /** Name of a made-up identity; undefined with `development` false: a real node. */
  readonly fakeNodeName: string | undefined;
  /** `start`: a development node, whatever the name. */
  readonly development: boolean;
  readonly fresh: boolean;
  readonly port: number | undefined;
  readonly harts: number | undefined;
  readonly verbosity: number;
  readonly processVerbosity: ReadonlyMap<ProcessId, ProcessVerbosity>;
  readonly detached: boolean;
  readonly logging: boolean;
  readonly logBytesMax: number;
  readonly logFilesMax: number;
  readonly softUlimit: number | undefined;
  readonly chain: ChainFlags;
  /** Flags of modules that this build does not have, as given; accepted, and said to have no effect. */
  readonly withoutEffect: readonly string[];
}

/** Of chains (eth.md §6). */
export interface ChainFlags {
  readonly rpc: string | undefined;
  readonly rpcConfig: string | undefined;
  readonly fakechainPort: number | undefined;
  readonly keepChain: boolean;
}

export type Command =
  | { readonly kind: 'run'; readonly flags: Flags }
  | { readonly kind: 'help' }
  | { readonly kind: 'version' };

interface Option {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  readonly value?: string;
  readonly help: string;
  /** The part of the node it belongs to, while that part is not built. */
  readonly later?: string;
}

const OPTIONS = {
  home: {
    type: 'string',
    value: 'FOLDER',
    help: 'the home folder (same as the positional argument)',
  },
  fresh: { type: 'boolean', help: 'with start: wipe the development home first' },
  'fake-node-name': {
    type: 'string',
    value: 'NAME',
    help: 'run under a made-up identity, such as alice.dev',
  },
  harts: { type: 'string', value: 'N', help: 'threads that run processes, 1 to 64 (default 1)' },
  detached: { type: 'boolean', short: 'd', help: 'read no input' },
  verbosity: {
    type: 'string',
    short: 'v',
    value: '0-4',
    help: 'which prints are shown (default 0)',
  },
  'process-verbosity': {
    type: 'string',
    value: 'JSON',
    help: 'per process: {"p:k:q":{"U8":3},"a:b:c":"Muted"}',
  },
  'logging-off': { type: 'boolean', short: 'l', help: 'start with the terminal log off' },
  'max-log-size': {
    type: 'string',
    value: 'BYTES',
    help: 'all log files together (default 16000000; 0: one file, no limit)',
  },
  'number-log-files': { type: 'string', value: 'N', help: 'log files kept (default 4)' },
  'soft-ulimit': { type: 'string', value: 'N', help: 'file descriptors the node may use' },
  port: { type: 'string', short: 'p', value: 'PORT', help: 'web server', later: 'the web server' },
  'expose-local': { type: 'boolean', help: 'local RPC and extensions', later: 'the web server' },
  'ws-port': { type: 'string', value: 'PORT', help: 'peers over WebSocket', later: 'networking' },
  'tcp-port': { type: 'string', value: 'PORT', help: 'peers over TCP', later: 'networking' },
  'max-peers': { type: 'string', value: 'N', help: 'connections to peers', later: 'networking' },
  'max-passthroughs': { type: 'string', value: 'N', help: 'relayed pairs', later: 'networking' },
  'reveal-ip': { type: 'boolean', help: 'direct node', later: 'networking' },
  rpc: { type: 'string', value: 'URL', help: 'a trusted provider of the chain, ws:// or wss://' },
  'rpc-config': {
    type: 'string',
    value: 'FILE',
    help: 'several of them: [{"url":"wss://...","auth":{"Bearer":"..."}}]',
  },
  'fakechain-port': {
    type: 'string',
    value: 'PORT',
    help: 'of the development chain; nodes that share one name the same',
  },
  'keep-chain': { type: 'boolean', help: 'keep the development chain in the home' },
  password: { type: 'string', value: 'TEXT', help: 'opens the keyfile', later: 'the keyfile' },
  help: { type: 'boolean', short: 'h', help: 'this text' },
  version: { type: 'boolean', help: 'print the version' },
} as const satisfies Record<string, Option>;

type OptionName = keyof typeof OPTIONS;

/** Reads the arguments. A refusal is a sentence that names the flag and says what to do. */
export function parseFlags(args: readonly string[], cwd: string): Result<Command, string> {
  let values: Partial<Record<OptionName, string | boolean>>;
  let positionals: string[];
  try {
    ({ values, positionals } = parseArgs({
      args: [...args],
      options: parseOptions(),
      allowPositionals: true,
      strict: true,
    }));
  } catch (error) {
    return refuse(`${(error as Error).message.split('. ')[0]}. See hyperloom --help.`);
  }
  if (values.help === true) return { ok: true, value: { kind: 'help' } };
  if (values.version === true) return { ok: true, value: { kind: 'version' } };
  return runFlags(new Values(values), positionals, cwd);
}

function runFlags(
  values: Values,
  positionals: readonly string[],
  cwd: string,
): Result<Command, string> {
  const development = positionals[0] === 'start';
  const [folder, ...extra] = positionals.slice(development ? 1 : 0);
  if (extra.length > 0) {
    return refuse(
      `one home folder is enough, but there is also "${extra[0]}". See hyperloom --help.`,
    );
  }
  const named = values.text('home');
  if (named !== undefined && folder !== undefined) {
    return refuse(
      `the home is given twice, as "${folder}" and as --home "${named}"; leave one out.`,
    );
  }
  const home = named ?? folder ?? (development ? DEVELOPMENT_HOME : undefined);
  if (home === undefined || home === '') {
    return refuse(
      'say which home folder: hyperloom <home>, or hyperloom start for a development node.',
    );
  }
  if (values.flag('fresh') && !development) {
    return refuse('--fresh wipes the home, so it only goes with "start", the development node.');
  }
  const processVerbosity = parseProcessVerbosity(values.text('process-verbosity') ?? '{}');
  if (!processVerbosity.ok) return refuse(`--process-verbosity: ${processVerbosity.error}.`);
  const flags: Flags = {
    home: resolve(cwd, home),
    fakeNodeName: values.text('fake-node-name'),
    development,
    fresh: values.flag('fresh'),
    port: values.number('port', 1, 65_535),
    harts: values.number('harts', 1, 64),
    verbosity: values.number('verbosity', 0, 255) ?? 0,
    processVerbosity: processVerbosity.value,
    detached: values.flag('detached'),
    logging: !values.flag('logging-off'),
    logBytesMax: values.number('max-log-size', 0, Number.MAX_SAFE_INTEGER) ?? 16_000_000,
    logFilesMax: values.number('number-log-files', 1, 10_000) ?? 4,
    softUlimit: values.number('soft-ulimit', 41, 10_000_000),
    chain: {
      rpc: values.text('rpc'),
      rpcConfig: values.text('rpc-config'),
      fakechainPort: values.number('fakechain-port', 0, 65_535),
      keepChain: values.flag('keep-chain'),
    },
    withoutEffect: values.later(),
  };
  for (const name of ['ws-port', 'tcp-port'] as const) values.number(name, 0, 65_535);
  for (const name of ['max-peers', 'max-passthroughs'] as const) values.number(name, 0, 1_000_000);
  if (values.text('rpc') !== undefined && values.text('rpc-config') !== undefined) {
    return refuse('--rpc and --rpc-config exclude each other; leave one out.');
  }
  if (values.error !== undefined) return refuse(values.error);
  return { ok: true, value: { kind: 'run', flags } };
}

/** Flag values with their checks; the first refusal is kept. */
class Values {
  readonly #values: Partial<Record<OptionName, string | boolean>>;
  error: string | undefined;

  constructor(values: Partial<Record<OptionName, string | boolean>>) {
    this.#values = values;
  }

  flag(name: OptionName): boolean {
    return this.#values[name] === true;
  }

  text(name: OptionName): string | undefined {
    const value = this.#values[name];
    return typeof value === 'string' ? value : undefined;
  }

  number(name: OptionName, from: number, to: number): number | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const number = /^[0-9]+$/.test(value) ? Number(value) : Number.NaN;
    if (number >= from && number <= to) return number;
    this.error ??= `--${name} must be a whole number from ${from} to ${to}, not "${value}".`;
    return undefined;
  }

  later(): string[] {
    return (Object.entries(OPTIONS) as [OptionName, Option][])
      .filter(([name, option]) => option.later !== undefined && this.#values[name] !== undefined)
      .map(
        ([name, option]) =>
          `--${name} has no effect: ${option.later} is not part of this build yet`,
      );
  }
}

function refuse(error: string): { ok: false; error: string } {
  return { ok: false, error };
}

function parseOptions(): Record<string, { type: 'string' | 'boolean'; short?: string }> {
  return Object.fromEntries(
    (Object.entries(OPTIONS) as [string, Option][]).map(([name, { type, short }]) => [
      name,
      short === undefined ? { type } : { type, short },
    ]),
  );
}

/** `--help`. */
export function helpText(): string {
  const lines = (Object.entries(OPTIONS) as [string, Option][]).map(([name, option]) => {
    const flag = `${option.short === undefined ? '    ' : `-${option.short}, `}--${name}${option.value === undefined ? '' : ` ${option.value}`}`;
    const later = option.later === undefined ? '' : ' (accepted; not part of this build yet)';
    return `  ${flag.padEnd(32)} ${option.help}${later}`;
  });
  return [
    'hyperloom start                        a development node at once, in ./.hyperloom/dev',
    'hyperloom <home> --fake-node-name NAME a development node with a home and name of your own',
    'hyperloom <home>                       a real node (needs a registered identity)',
    'hyperloom backup <home> <file>         the home into one encrypted file, while its node runs or not',
    'hyperloom restore <file> <home>        a backup into a new home',
    '                                       both: --password-file FILE, or the password is asked for',
    '',
    'Flags',
    ...lines,
    '',
    'In the terminal: help lists its commands; Ctrl-C or Ctrl-D shuts down. More in docs/operating.md.',
  ].join('\n');
}

/** The whole program: parses, boots, waits for the end. Sets the exit code; resolves when the node is down. */
export async function run(args: readonly string[]): Promise<void> {
  enableCompileCache();
  if (args[0] === 'backup' || args[0] === 'restore')
    return (await import('./bin/backup.ts')).runBackupCommand(args);
  const command = parseFlags(args, process.cwd());
  if (!command.ok) return fail(EXIT.usage, command.error);
  if (command.value.kind === 'help') return say(helpText());
  // Loaded late: the help and a wrong flag should not wait for the engine.
  const node = await import('./node.ts');
  if (command.value.kind === 'version') return say(`hyperloom ${node.version()}`);
  await runNode(command.value.flags, node);
}

type Composition = typeof import('./node.ts');
type Node = Awaited<ReturnType<Composition['bootNode']>>;

async function runNode(flags: Flags, composition: Composition): Promise<void> {
  let node: Node | undefined;
  const ending = Promise.withResolvers<Error | undefined>();
  const end = onEnd(ending.resolve, (reason, signal) => {
    if (node !== undefined) return node.announce(reason);
    // Still starting: nothing was promised to anybody yet, and the next start repeats what is half done.
    process.stderr.write(`hyperloom: ${reason}, before the node was up\n`);
    process.exit(signal === undefined ? EXIT.bug : 128 + signal);
  });
  // A node lives until it is told to end, also when nothing at all is going on.
  const alive = setInterval(() => undefined, KEEP_ALIVE_MS);
  // A reader that goes away (`| head`), or a terminal that is closed, must not end the node by surprise; SIGHUP tells of the latter.
  for (const stream of [process.stdin, process.stdout, process.stderr]) {
    stream.on('error', () => undefined);
  }
  try {
    node = await composition.bootNode({
      ...flags,
      input: process.stdin,
      output: process.stdout,
      colours: process.stdout.isTTY && !process.env['NO_COLOR'],
      quit: () => end(undefined, SHUTDOWN_SIGNALS.SIGINT),
    });
  } catch (error) {
    clearInterval(alive);
    const reason = composition.exitReasonOf(error);
    return fail(EXIT[reason], reason === 'bug' ? stackOf(error) : (error as Error).message);
  }
  const bug = await Promise.race([ending.promise, node.ended]);
  // Whatever hangs must not keep the owner from ending the node; what was acknowledged is on disk already.
  const late = setTimeout(() => {
    process.stderr.write(`hyperloom: not down after ${SHUTDOWN_MS_MAX / 1000} s, ended at once\n`);
    process.exit(EXIT.bug);
  }, SHUTDOWN_MS_MAX);
  await node.close();
  clearTimeout(late);
  clearInterval(alive);
  if (bug !== undefined) fail(EXIT.bug, stackOf(bug));
  process.exit(bug === undefined ? EXIT.ok : EXIT.bug);
}

/**
 * Turns signals and bugs nobody caught into one orderly end; a second signal forces it.
 * @returns for the console's own way to end
 */
function onEnd(
  resolve: (bug: Error | undefined) => void,
  announce: (reason: string, signal?: number) => void,
): (reason: string | undefined, signal: number) => void {
  let firstAt: number | undefined;
  const end = (reason: string | undefined, signal: number): void => {
    const now = performance.now();
    if (firstAt === undefined) {
      firstAt = now;
      if (reason !== undefined) announce(reason, signal);
      resolve(undefined);
    } else if (now - firstAt > SAME_SIGNAL_MS) {
      process.stderr.write('hyperloom: forced to end at once\n');
      process.exit(128 + signal);
    }
  };
  for (const [signal, number] of Object.entries(SHUTDOWN_SIGNALS)) {
    process.on(signal, () => end(`exiting due to ${signal}`, number));
  }
  process.on('SIGPIPE', () => undefined);
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (error: unknown) => {
      firstAt ??= performance.now();
      announce(`this is a bug of hyperloom, and ends the node: ${stackOf(error)}`);
      resolve(error instanceof Error ? error : new Error(String(error)));
    });
  }
  return end;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function fail(code: number, message: string): void {
  process.stderr.write(`hyperloom: ${message}\n`);
  process.exitCode = code;
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

if (import.meta.main) await run(process.argv.slice(2));
