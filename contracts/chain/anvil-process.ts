/**
 * One anvil: finding its binary, starting it, and making sure that it ends.
 *
 * The binary of the platform's own package is run, not npm's wrapper, so that the process that is killed is the one that is the chain. It
 * is detached, so that Ctrl-C in the terminal reaches the node only, which saves the chain's state and then ends it. A parent that is
 * killed with -9 ends nothing any more, so a leash does: before the shell becomes anvil (`exec` keeps the process id), it forks a copy
 * that reads a pipe whose other end only this process holds. The kernel closes that end however this process dies, and the copy kills
 * anvil and removes its files. This needs a POSIX shell; on Windows anvil is started without a leash.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ChainError } from './chain-error.ts';

/** Milliseconds until anvil has to listen; a third of a second is usual. */
export const START_TIMEOUT_MS = 30_000;
/** Milliseconds that anvil has for ending in order before it is killed. */
export const END_TIMEOUT_MS = 2_000;
const STDERR_CHARS_MAX = 4_096;

// $1 is the folder for anvil's own files, which nobody needs once it has ended.
const LEASH =
  '( while read -r _; do :; done <&3; kill -9 $$; rm -rf -- "$1" ) >/dev/null 2>&1 & shift; exec "$@" 3<&- </dev/null';

/**
 * The binary of this platform.
 * @throws ChainError `no-binary`
 */
export function anvilBinary(
  platform = process.platform as string,
  arch = process.arch as string,
): string {
  const target = `${platform}-${arch === 'x64' ? 'amd64' : arch}`.replace(
    'win32-arm64',
    'win32-amd64',
  );
  const name = `@foundry-rs/anvil-${target}`;
  try {
    const manifest = createRequire(import.meta.url).resolve(`${name}/package.json`);
    return join(dirname(manifest), 'bin', platform === 'win32' ? 'anvil.exe' : 'anvil');
  } catch (error) {
    throw new ChainError(
      'no-binary',
      `the embedded chain needs ${name}, which is not installed. Run \`npm ci\` without --omit=optional; if there is no such package for ` +
        'this platform, use another chain: start the node with a provider of your own.',
      { cause: error },
    );
  }
}

export interface AnvilProcess {
  readonly port: number;
  readonly pid: number;
  /** Resolves when it has ended, for whatever reason, with that reason. */
  readonly ended: Promise<string>;
  /** Ends it, and waits until it has. */
  stop(): Promise<void>;
}

export interface AnvilOptions {
  readonly binary: string;
  /** 0: any free one. */
  readonly port: number;
  readonly chainId: number;
  /** What it begins with, as JSON; undefined: nothing. */
  readonly state?: Uint8Array | undefined;
}

/** Of a block: as much as on Base, so that a fact as large as a transaction can be is written here too (about 95 million). */
export const BLOCK_GAS_MAX = 150_000_000;

/** Starts it on 127.0.0.1 and waits until it listens. */
export async function startAnvil(options: AnvilOptions): Promise<AnvilProcess> {
  const { binary, port, chainId, state } = options;
  const args = ['--host', '127.0.0.1', '--port', String(port), '--chain-id', String(chainId)];
  // Old states go to disk when there are many: to a folder of this chain, not to the user's home.
  const cache = await mkdtemp(join(tmpdir(), 'hyperloom-chain-'));
  args.push('--gas-limit', String(BLOCK_GAS_MAX));
  args.push('--no-cors', '--no-request-size-limit', '--color', 'never', '--cache-path', cache);
  if (state !== undefined) {
    // Before it listens: whoever waits for it at that port would take an empty chain for the one that is loaded.
    const path = join(cache, 'state.json');
    await writeFile(path, state);
    args.push('--load-state', path);
  }
  const child =
    process.platform === 'win32'
      ? spawn(binary, args, { stdio: ['ignore', 'pipe', 'pipe'], windowsHide: true })
      : spawn('/bin/sh', ['-c', LEASH, 'leash', cache, binary, ...args], {
          // The fourth is the leash.
          stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
          detached: true,
        });
  const ended = endOf(child).finally(() => rm(cache, { recursive: true, force: true }));
  try {
    const listening = await listeningPort(child, ended, port);
    // Anvil tells of every request; nobody reads that, but it must not fill the pipe.
    child.stdout?.resume();
    return { port: listening, pid: child.pid ?? 0, ended, stop: () => stop(child, ended) };
  } catch (error) {
    await stop(child, ended);
    throw error;
  }
}

/** The reason, with what it last said about it. */
function endOf(child: ChildProcess): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let said = '';
  child.stderr?.on('data', (piece: Buffer) => {
    said = (said + piece.toString()).slice(-STDERR_CHARS_MAX);
  });
  child.once('error', (error) => resolve(error.message));
  child.once('close', (code, signal) => resolve(said.trim() || `ended with ${signal ?? code}`));
  // The leash: a write could only fail, and nothing is written.
  child.stdio[3]?.on('error', () => undefined);
  child.once('exit', () => child.stdio[3]?.destroy());
  return promise;
}

async function listeningPort(
  child: ChildProcess,
  ended: Promise<string>,
  wanted: number,
): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  let banner = '';
  const read = (piece: Buffer): void => {
    banner += piece.toString();
    const found = /Listening on 127\.0\.0\.1:(\d+)/.exec(banner);
    if (found !== null) resolve(Number(found[1]));
  };
  child.stdout?.on('data', read);
  const timer = setTimeout(() => {
    reject(new ChainError('not-ready', `anvil did not listen within ${START_TIMEOUT_MS / 1000} s`));
  }, START_TIMEOUT_MS);
  void ended.then((reason) => {
    const taken = /address already in use/i.test(reason);
    reject(
      taken
        ? new ChainError(
            'port-taken',
            `port ${wanted} is in use; choose another for the embedded chain, or 0 for any`,
          )
        : new ChainError('not-ready', `anvil did not start: ${reason}`),
    );
  });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    child.stdout?.off('data', read);
  }
}

async function stop(child: ChildProcess, ended: Promise<string>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
    await ended;
    return;
  }
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), END_TIMEOUT_MS);
  await ended;
  clearTimeout(timer);
}
