/** `hyperloom extension NAME`: native programs that are paired with a process of a node (docs/compute.md). */
import { ExtensionError, HELP, startExtension } from '../extensions/gpu/main.ts';
import { countBuffersWithTheHeap } from './memory.ts';
import { version } from './version.ts';

const EXIT_USAGE = 2;
/** Another extension has taken its place: a service manager should not start it again. */
const EXIT_SUPERSEDED = 11;

/** Runs until it is told to end. Sets the exit code. */
export async function runExtension(args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const [name, ...rest] = args;
  if (name !== 'gpu') {
    process.stderr.write(`hyperloom: which extension? There is gpu.\n\n${HELP}\n`);
    process.exitCode = EXIT_USAGE;
    return;
  }
  process.umask(0o077);
  countBuffersWithTheHeap();
  const print = (text: string): void => void process.stdout.write(`gpu extension: ${text}\n`);
  try {
    const token = env['HYPERLOOM_EXTENSION_TOKEN'];
    // Not for the programs that it runs.
    delete env['HYPERLOOM_EXTENSION_TOKEN'];
    const running = await startExtension(rest, {
      cwd: process.cwd(),
      token,
      version: version(),
      print,
    });
    if (running === undefined) return;
    const told = Promise.withResolvers<'told'>();
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(signal, () => told.resolve('told'));
    process.on('SIGUSR2', () => void running.lookNow());
    const why = await Promise.race([told.promise, running.over]);
    await running.close(why === 'told' ? 'the extension was told to end' : why);
    process.exit(why === 'superseded' ? EXIT_SUPERSEDED : 0);
  } catch (error) {
    if (!(error instanceof ExtensionError)) throw error;
    process.stderr.write(`hyperloom: ${error.message}\n`);
    process.exitCode = EXIT_USAGE;
  }
}
