/**
 * The program: flags and environment to a NodeConfig, signals, exit code. The only reader of `process.env` and `argv`
 * (runtime-modules.md §13.1; docs/operating.md has every flag and exit code).
 */
import { enableCompileCache } from 'node:module';
import { type Proxies, readProxies } from '../runtime-modules/shared/outbound/proxy.ts';
import { helpText } from './flag-options.ts';
import { type Flags, parseFlags } from './flags.ts';
import { countBuffersWithTheHeap } from './memory.ts';
import { version } from './version.ts';

/** Documented in docs/operating.md; scripts may rely on them. */
export const EXIT = {
  ok: 0,
  bug: 1,
  usage: 2,
  homeInUse: 3,
  homeUnusable: 4,
  noIdentity: 5,
  packages: 6,
  // 7 is the launcher's, 8 that of backup and restore.
  web: 9,
  network: 10,
} as const;

/** A second signal this soon is the same keypress, seen twice: once directly and once handed on by npm. */
const SAME_SIGNAL_MS = 500;
const KEEP_ALIVE_MS = 60_000;
/** An orderly end takes milliseconds; past this it is forced. */
const SHUTDOWN_MS_MAX = 10_000;
const SHUTDOWN_SIGNALS = {
  SIGINT: 2,
  SIGTERM: 15,
  SIGHUP: 1,
  SIGQUIT: 3,
  SIGALRM: 14,
  SIGUSR2: 12,
};

/** The whole program: parses, boots, waits for the end. Sets the exit code; resolves when the node is down. */
export async function run(args: readonly string[]): Promise<void> {
  enableCompileCache();
  if (args[0] === 'backup' || args[0] === 'restore')
    return (await import('./backup.ts')).runBackupCommand(args);
  if (args[0] === 'register') return (await import('./register.ts')).runRegister(args.slice(1));
  if (args[0] === 'extension')
    return (await import('./extension.ts')).runExtension(args.slice(1), process.env);
  if (args[0] === 'keyfile') return (await import('./keyfile.ts')).runKeyfile(args.slice(1));
  const command = parseFlags(args, process.cwd());
  if (!command.ok) return fail(EXIT.usage, command.error);
  const proxies = readProxies(process.env);
  if (!proxies.ok) return fail(EXIT.usage, proxies.error);
  if (command.value.kind === 'help') return say(helpText());
  // Loaded late: the help and a wrong flag should not wait for the engine.
  const node = await import('./node.ts');
  if (command.value.kind === 'version') return say(`hyperloom ${version()}`);
  await runNode(command.value.flags, proxies.value, node);
}

type Composition = typeof import('./node.ts');
type Node = Awaited<ReturnType<Composition['bootNode']>>;

async function runNode(flags: Flags, proxies: Proxies, composition: Composition): Promise<void> {
  // What a node keeps is its owner's: tokens and keys are among it.
  process.umask(0o077);
  countBuffersWithTheHeap();
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
      outbound: { allowed: flags.httpClientAllow, proxies },
      input: process.stdin,
      output: process.stdout,
      colours: process.stdout.isTTY && !process.env['NO_COLOR'],
      quit: () => end(undefined, SHUTDOWN_SIGNALS.SIGINT),
    });
  } catch (error) {
    clearInterval(alive);
    const { reason, text } = composition.whyNotStarted(error, flags.home);
    return fail(EXIT[reason], text);
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
