/**
 * `hyperloom extension gpu`: the program that runs jobs on this machine for a node (docs/compute.md). Everything that is chosen is chosen
 * here; what waits or reads the clock elsewhere is handed it.
 */
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { tokenIn } from '../../wit/hn-ext/handshake.ts';
import { deviceInfo, type DeviceInfo } from '../../wit/jobs/device.ts';
import type { Backend } from './backends/backend.ts';
import { allowedCommand, isPinned } from './command-flags.ts';
import { Backends } from './backends/backends.ts';
import { httpBackend } from './backends/http-backend.ts';
import { systemClock } from '../link/clock.ts';
import { dialWebSocket } from '../link/socket.ts';
import { detectDevice } from './detect/device.ts';
import { Executor } from './executor.ts';
import { Provider } from './provider.ts';
import { chooseRunners } from './runners/choose.ts';
import type { AllowedCommand } from './runners/command/runner.ts';
import type { Runner } from './runners/runner.ts';
import { SignedReceipts } from './signed-receipts.ts';

/** What to say to an operator, and how the program ends. */
export class ExtensionError extends Error {
  override readonly name = 'ExtensionError';
}

const NODE = 'http://localhost:8080';
const PATH = '/gpu:compute:sys/ext';
const TOKEN_FILE = '.hyperloom/dev/vfs/compute:sys/gpu/pairing-token';
const HOME = '.hyperloom/gpu';
const SLOTS_MAX = 256;
const DEVICE_EVERY_MS = 60_000;
const BACKENDS_EVERY_MS = 10_000;
const BACKENDS_MAX = 32;
const TOKEN_EVERY_MS = 500;
const TOKEN_MS_MAX = 60_000;

export const HELP = `hyperloom extension gpu    runs jobs on this machine for the node it is paired with

  --node URL         the node, on this machine (default ${NODE})
  --token-file FILE  the pairing token (default ${TOKEN_FILE}; or the variable HYPERLOOM_EXTENSION_TOKEN)
  --home FOLDER      keys and jobs of this program (default ${HOME})
  --slots N          jobs at a time (default: one less than there are processors)
  --allow-image REPO images that jobs may bring: a repository, or all below one with a / behind it; may be repeated
  --commands         also run commands of this machine, confined as well as it can be
  --commands-allow PATH[=ARGUMENTS]
                     a command that also runs where there is no bubblewrap, with any arguments or those that match; repeat it
  --gpu-probe-image IMAGE
                     an image by its digest, with nvidia-smi: run at the start to see whether containers get the GPUs
  --backend ID=URL   a model server of this machine that speaks OpenAI's interface, such as mine=http://127.0.0.1:9000/v1; repeat it
  --no-probe         do not look for model servers at ports 11434, 8000 and 1234
  --survive          let jobs go on however long the node is away
  --help             this text

SIGUSR2 has the machine looked at at once, as it is every minute. A node allows extensions with --extensions (on with start). More in docs/compute.md.`;

export interface Surroundings {
  readonly cwd: string;
  /** Of the environment: the pairing token. */
  readonly token: string | undefined;
  readonly version: string;
  readonly print: (text: string) => void;
}

export interface Running {
  /** Ends its programs, then itself. */
  close(reason: string): Promise<void>;
  /** Looks at the machine without waiting for the next time, and tells the node what it is. Never rejects. */
  lookNow(): Promise<void>;
  readonly over: Promise<'superseded' | 'closed'>;
}

/** Starts the extension. @returns undefined when only help was wanted. @throws ExtensionError */
export async function startExtension(
  args: readonly string[],
  { cwd, token: given, version, print }: Surroundings,
): Promise<Running | undefined> {
  const flags = readFlags(args);
  if (flags.help === true) {
    print(HELP);
    return undefined;
  }
  const url = urlOf(flags.node ?? NODE);
  const slots = slotsOf(flags.slots);
  const backends = new Backends({
    configured: backendsOf(flags.backend ?? []),
    probe: flags['no-probe'] !== true,
    nodePort: Number(new URL(url).port),
  });
  const allowed = allowedOf(flags);
  const probeImage = flags['gpu-probe-image'];
  if (probeImage !== undefined && !isPinned(probeImage))
    throw new ExtensionError(
      `--gpu-probe-image must name an image by its digest, NAME@sha256:…, not "${probeImage}".`,
    );
  const home = resolve(cwd, flags.home ?? HOME);
  const token = await readToken(given, resolve(cwd, flags['token-file'] ?? TOKEN_FILE), print);
  await mkdir(home, { recursive: true, mode: 0o700 });
  const lock = await lockHome(home);
  try {
    const executor = await Executor.open(home);
    const receipts = await SignedReceipts.open(join(home, 'receipts'));
    const chosen = await chooseRunners({
      home,
      images: flags['allow-image'] ?? [],
      commands: flags.commands === true,
      allowed,
      probeImage,
    });
    const { runners, isolation } = chosen;
    for (const line of chosen.missing) print(line);
    let leased = (): readonly string[] => [];
    const look = (): Promise<DeviceInfo> =>
      detectDevice({
        ...{ home, isolation, runners: [...runners.values()] },
        backends: backends.listed,
        leased: () => leased(),
      });
    await backends.look();
    let device = await look();
    for (const line of device.warnings) print(line);
    const provider = new Provider(
      { url, token, version, slots, jobs: join(home, 'jobs'), survive: flags.survive === true },
      {
        clock: systemClock,
        dial: dialWebSocket,
        print,
        executor,
        receipts,
        runners,
        backend: (id) => backends.get(id),
        device: () => deviceInfo.stringify(device),
        wallMs: () => Date.now(),
      },
    );
    leased = () => provider.gpus;
    const failed = (error: unknown): void =>
      print(`the machine cannot be looked at: ${String(error)}`);
    const lookNow = (): Promise<void> =>
      lookAgain([...runners.values()], look).then((found) => {
        const known = new Set(device.warnings);
        for (const line of found.warnings) if (!known.has(line)) print(line);
        device = found;
        provider.deviceChanged();
      }, failed);
    const again = [
      setInterval(() => void lookNow(), DEVICE_EVERY_MS),
      setInterval(() => {
        void backends.look().then(() => {
          const { listed } = backends;
          const changed = JSON.stringify(listed) !== JSON.stringify(device.backends);
          device = { ...device, backends: listed };
          if (changed) provider.deviceChanged();
        }, failed);
      }, BACKENDS_EVERY_MS),
    ];
    print(`executor ${executor.address}, ${slots} jobs at a time, node ${url}`);
    await provider.start();
    return {
      over: provider.over,
      lookNow,
      async close(reason) {
        for (const timer of again) clearInterval(timer);
        await provider.close(reason);
        await receipts.close();
        await chosen[Symbol.asyncDispose]();
        await lock();
      },
    };
  } catch (error) {
    await lock();
    throw error;
  }
}

/** The machine as it is now, after what ran out of time or was left behind has been removed. */
async function lookAgain(
  runners: readonly Runner[],
  look: () => Promise<DeviceInfo>,
): Promise<DeviceInfo> {
  for (const runner of runners) await runner.reap();
  return look();
}

type Values = ReturnType<typeof readFlags>;

function readFlags(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        node: { type: 'string' },
        'token-file': { type: 'string' },
        home: { type: 'string' },
        slots: { type: 'string' },
        backend: { type: 'string', multiple: true },
        'no-probe': { type: 'boolean' },
        survive: { type: 'boolean' },
        'allow-image': { type: 'string', multiple: true },
        commands: { type: 'boolean' },
        'commands-allow': { type: 'string', multiple: true },
        'gpu-probe-image': { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    return values;
  } catch (error) {
    const [why = ''] = (error as Error).message.split('. ');
    throw new ExtensionError(`${why}. See hyperloom extension gpu --help.`);
  }
}

function urlOf(node: string): string {
  const url = URL.canParse(node) ? new URL(node) : undefined;
  const local = ['localhost', '127.0.0.1', '[::1]'];
  if (url === undefined || !/^https?:$/.test(url.protocol) || !local.includes(url.hostname))
    throw new ExtensionError(
      `--node must be a node of this machine, such as ${NODE}, not "${node}": extensions are let in from nowhere else.`,
    );
  return `${url.protocol === 'https:' ? 'wss' : 'ws'}://${url.host}${PATH}`;
}

function slotsOf(text: Values['slots']): number {
  if (text === undefined) return Math.max(1, availableParallelism() - 1);
  const slots = /^[0-9]{1,3}$/.test(text) ? Number(text) : 0;
  if (slots < 1 || slots > SLOTS_MAX)
    throw new ExtensionError(`--slots must be from 1 to ${SLOTS_MAX}, not "${text}".`);
  return slots;
}

function allowedOf(flags: Values): readonly AllowedCommand[] {
  const allowed = (flags['commands-allow'] ?? []).map((flag) => {
    const made = allowedCommand(flag);
    if (typeof made === 'string') throw new ExtensionError(`--commands-allow: ${made}.`);
    return made;
  });
  if (allowed.length > 0 && flags.commands !== true)
    throw new ExtensionError('--commands-allow is of use with --commands only.');
  return allowed;
}

function backendsOf(flags: readonly string[]): readonly Backend[] {
  const made = flags.map((flag) => {
    const at = flag.indexOf('=');
    const id = flag.slice(0, Math.max(0, at));
    try {
      if (/^[a-z0-9][a-z0-9._-]{0,31}$/.test(id) && id !== 'builtin')
        return httpBackend(id, flag.slice(at + 1));
    } catch {
      // Said below.
    }
    throw new ExtensionError(
      `--backend must be a name and a server of this machine, such as mine=http://127.0.0.1:9000/v1, not "${flag}".`,
    );
  });
  if (new Set(made.map(({ id }) => id)).size < made.length || made.length > BACKENDS_MAX)
    throw new ExtensionError(`--backend takes each name once, and at most ${BACKENDS_MAX}.`);
  return made;
}

async function readToken(
  given: string | undefined,
  path: string,
  print: (text: string) => void,
): Promise<Uint8Array> {
  const text = given ?? (await readWhenThere(path, print));
  const token = tokenIn(text);
  if (token === undefined)
    throw new ExtensionError(
      `${given === undefined ? path : 'HYPERLOOM_EXTENSION_TOKEN'} is no pairing token: 64 hex digits.`,
    );
  return token;
}

/** A node that has just been started for the first time has not made its token yet. */
async function readWhenThere(path: string, print: (text: string) => void): Promise<string> {
  for (let waitedMs = 0; ; waitedMs += TOKEN_EVERY_MS) {
    try {
      return await readFile(path, 'utf8');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' || waitedMs >= TOKEN_MS_MAX)
        throw new ExtensionError(
          `the pairing token ${path} cannot be read (${code}): name the file in the node's home, HOME/vfs/compute:sys/gpu/pairing-token, with --token-file.`,
        );
      if (waitedMs === 0) print(`waits for the pairing token ${path}`);
      await new Promise((resolve) => setTimeout(resolve, TOKEN_EVERY_MS));
    }
  }
}

/** Two programs in one folder would run each other's jobs to death. @returns what gives it back */
async function lockHome(home: string): Promise<() => Promise<void>> {
  const path = join(home, '.lock');
  for (let tries = 0; tries < 3; tries += 1) {
    const file = await open(path, 'wx', 0o600).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return undefined;
      throw error;
    });
    if (file !== undefined) {
      await file.writeFile(String(process.pid));
      await file.close();
      return () => rm(path, { force: true });
    }
    const holder = Number(await readFile(path, 'utf8').catch(() => ''));
    if (holder > 0 && holder !== process.pid && isAlive(holder))
      throw new ExtensionError(`${home} is used by process ${holder}: give each its own --home.`);
    await rm(path, { force: true });
  }
  throw new ExtensionError(`${path} cannot be taken.`);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
