/**
 * The composition root: the one file that knows the kernel, the engine and the runtime modules all at once. `bootNode` puts a node
 * together from values (no environment, no globals), starts it, and hands back the way to end it. Used by main.ts, kit and tests.
 */
import { join } from 'node:path';
import { HYPERMAP } from '../contracts/addresses.ts';
import { packageOf, TERMINAL } from '../wit/address.ts';
import type { Capability, PackageId, ProcessId } from '../wit/types.ts';
import {
  clearUnpacking,
  installPackage,
  planBoot,
  readPackages,
  readWasm,
} from '../kernel/boot.ts';
import { createEngine } from '../kernel/hart/create-engine.ts';
import { WorkerHartPool } from '../kernel/hart/hart-pool.ts';
import { type BootEntry, Kernel, type StorageUse } from '../kernel/kernel.ts';
import { type PrintSink, renderPrintout } from '../kernel/print.ts';
import { systemClock } from '../kernel/clock.ts';
import { serveControl } from '../runtime-modules/backup/control.ts';
import { Staging } from '../runtime-modules/backup/staging.ts';
import type { Identity } from '../runtime-modules/identity/development.ts';
import { type Home, HomeError, openHome, wipeHome } from '../runtime-modules/identity/home.ts';
import { SharedWsPort } from '../runtime-modules/net/shared-ws-port.ts';
import { Accounts } from '../runtime-modules/shared/accounts.ts';
import { type Quotas, readQuotas } from '../runtime-modules/shared/quotas.ts';
import { openLevelStore } from '../runtime-modules/state/index.ts';
import { EventLevels } from '../runtime-modules/terminal/event-level.ts';
import {
  type ConsoleInput,
  type ConsoleNeeds,
  type ConsoleOutput,
  type NativeConsole,
  openConsole,
  type ProcessVerbosity,
} from '../runtime-modules/terminal/index.ts';
import { cacheKey, type IdentityConfig, openIdentity, seedOf } from './identity.ts';
import { type ModulesConfig, type Registered, registerModules } from './modules.ts';
import { beginSharing, hasPlace, isShared } from './fake-name.ts';
import { type NetworkConfig, networkOf } from './network.ts';
import { figuresOf, type WebConfig, webOf } from './web.ts';
import { version } from './version.ts';
import { bundledPackages } from '../processes/bundled.ts';
import { prepareMarket } from './compute.ts';
import { beginChain, type ChainConfig, ethOf, tellReaders } from './chain.ts';

export interface NodeConfig extends ModulesConfig {
  /** Absolute path of the home folder; made if missing. */
  readonly home: string;
  /** Wipe the home first, if it is one. */
  readonly fresh?: boolean;
  /** A made-up identity; `fakeNodeName` undefined then means the name the home has, or `fake.os`. */
  readonly development?: boolean;
  readonly fakeNodeName?: string | undefined;
  readonly harts?: number | undefined;
  readonly verbosity?: number;
  readonly processVerbosity?: ReadonlyMap<ProcessId, ProcessVerbosity>;
  readonly detached?: boolean;
  readonly logging?: boolean;
  readonly logBytesMax?: number;
  readonly logFilesMax?: number;
  readonly colours?: boolean;
  readonly input: ConsoleInput;
  readonly output: ConsoleOutput;
  readonly now?: () => Date;
  /** Ctrl-C or Ctrl-D at the console. */
  readonly quit: () => void;
  /** Lines to show when the node is up, such as flags without effect. */
  readonly withoutEffect?: readonly string[];
  /** Whether test-only packages run. */
  readonly simulation?: boolean;
  /** The web server's port and what goes with it; without it processes may bind paths, and nobody can ask for them. */
  readonly web?: WebConfig | undefined;
  /** How a node that is no development node gets its identity; without it, it has none. */
  readonly identity?: IdentityConfig | undefined;
  /** Chains; undefined: none, and nothing is started. */
  readonly chain?: ChainConfig | undefined;
  /** Ports for other nodes and what goes with them; without it none is opened. */
  readonly network?: NetworkConfig | undefined;
}

export interface Node extends AsyncDisposable {
  readonly name: string;
  readonly kernel: Kernel;
  /** Where the web server is, to type into a browser of this machine; undefined: nowhere. */
  readonly url: string | undefined;
  /** Settles when the node should end by itself: a Shutdown command, or an Error that ended it. */
  readonly ended: Promise<Error | undefined>;
  /** Types a line at the console, as a user would. */
  enter(line: string): void;
  /** Shows and logs a line of the node's own. */
  announce(text: string): void;
  /** Orderly end: processes, modules, store, console, lock. Safe to call twice. */
  close(): Promise<void>;
}

export { whyNotStarted } from './exit-reason.ts';

/**
 * Boots a node. Rejects with HomeError, IdentityError, StoreError, ListenError, NetworkError or BundleBuildError when it cannot; everything taken is
 * then given back.
 */
export async function bootNode(config: NodeConfig): Promise<Node> {
  const startedAt = performance.now();
  await using parts = new AsyncDisposableStack();
  if (config.fresh === true) await wipeHome(config.home);
  const home = parts.use(await openHome(config.home));
  const accounts = new Accounts(await quotasOf(home));
  const { identity, port: webPort } = await openIdentity(config, {
    development: isDevelopment(config),
    clock: systemClock,
    // The console needs the node's name.
    tell: (line) => void config.output.write(`${line}\n`),
  });
  const ending = Promise.withResolvers<Error | undefined>();
  let kernel: Kernel | undefined;
  const terminal = parts.use(
    await openTerminal(config, identity, {
      submit: (line) => {
        if (kernel !== undefined) submit(kernel, terminal, line);
      },
      quit: () => config.quit(),
      verbosityChanged: (level) => kernel?.debug.setFull(level >= EVENTS_FROM),
      stepping: (on) => kernel?.debug.setStepping(on),
      step: () => void kernel?.debug.step(),
    }),
  );
  const chainParts = {
    home: home.path,
    development: isDevelopment(config),
    config: config.chain,
    tell: (text: string) => say(terminal, text),
  };
  // Beside everything below: what asks it waits for it, the prompt does not.
  const chain = parts.use(beginChain(chainParts));
  const { store, damage } = await openLevelStore(join(home.path, 'kernel'));
  parts.use(store);
  if (damage !== undefined) {
    say(
      terminal,
      `the kernel's database was damaged (${damage.reason}). It is kept as ${damage.movedTo}; the node starts with an empty one.`,
    );
  }
  const seed = seedOf(identity.networkingKey);
  const bundled = new Set<PackageId>();
  const owned = parts.use(createEngine({ cache: { home: home.path, key: cacheKey(seed) } }));
  kernel = new Kernel({
    our: identity.name,
    engine: owned.engine,
    // The kernel's own thread is hart 0; the kernel disposes of the others.
    harts: new WorkerHartPool({
      workers: (config.harts ?? 1) - 1,
      bundled: (process) => bundled.has(packageOf(process)),
      report: (text) => say(terminal, text),
    }),
    store,
    seed,
    sink: sinkTo(terminal),
    storage: storageOf(accounts),
    onShutdown: () => ending.resolve(undefined),
  });
  // The kernel has made its own key of it.
  seed.fill(0);
  const running = kernel;
  parts.defer(() => running.shutdown());
  kernel.debug.setFull((config.verbosity ?? 0) >= EVENTS_FROM);
  const peers = config.network?.wsOverHttp === true ? new SharedWsPort() : undefined;
  let registered: Registered | undefined;
  const web = await webOf(config.web && { ...config.web, port: webPort ?? config.web.port }, {
    identity,
    port: kernel.port('http-server'),
    clock: systemClock,
    version: version(),
    figures: () => figuresOf(running.usage().values()),
    peers,
    files: () => registered?.files,
  });
  // Before the signer opens the wallet.
  const granted = await prepareMarket({ ...chainParts, identity, chain });
  const modules = { store, home, config, accounts, web, identity };
  registered = registerModules(kernel, modules);
  const { participants } = registered;
  const eth = { port: kernel.port('eth'), clock: systemClock };
  kernel.registerModule(await ethOf(chainParts, chain, eth));
  await tellReaders(chainParts);
  const shared = isDevelopment(config) && isShared(identity.name, config.chain ?? {});
  const network = parts.use(
    networkOf(config.network, {
      identity,
      development: isDevelopment(config),
      local: isDevelopment(config) || config.chain?.fakechainPort !== undefined,
      contract: config.chain === undefined ? undefined : HYPERMAP,
      shared,
      peers,
      clock: systemClock,
      kernel,
    }),
  );
  kernel.registerModule(network.module);
  kernel.setNet(network.module.transport);
  network.module.start();
  // Before the processes are ended: requests under way get their answers.
  parts.defer(() => web.drain());
  const listening = config.web === undefined ? undefined : await web.listen();
  await bootProcesses(kernel, {
    home,
    config,
    bundled,
    granted,
    tell: (text) => say(terminal, text),
  });
  // Once there are processes to talk to.
  const peersAt = await network.listen(listening?.port);
  const control = await serveControl(
    home.path,
    new Staging({ home: home.path, copyKernel: (into) => store.copyTo(into), participants }),
  );
  if (control !== undefined) parts.use(control);
  for (const line of config.withoutEffect ?? []) say(terminal, line);
  const tookMs = Math.round(performance.now() - startedAt);
  const at = listening === undefined ? '' : `, at ${listening.url}`;
  say(terminal, `${identity.name} is up after ${tookMs} ms${at}. Type help, or Ctrl-C to end.`);
  if (listening?.metricsUrl !== undefined)
    say(terminal, `metrics: ${listening.metricsUrl}/metrics`);
  if (config.web?.extensions === true && listening !== undefined)
    say(terminal, `to run jobs on this machine: ${extensionCommand(listening.url, home.path)}`);
  if (peersAt.length > 0) say(terminal, `other nodes reach it at ${peersAt.join(', ')}`);
  if (isDevelopment(config) && hasPlace(identity.name) && network.ports.size > 0) {
    const { name, publicKeyHex } = identity;
    const tell = chainParts.tell;
    const ports = Object.fromEntries(network.ports);
    parts.use(
      beginSharing({ name, publicKeyHex, ports }, { chain, config: config.chain ?? {}, tell }),
    );
  }
  terminal.start();
  return new RunningNode({
    kernel,
    terminal,
    url: listening?.url,
    ended: ending.promise,
    parts: parts.move(),
  });
}

/** What pairs this machine with the node (docs/compute.md). */
function extensionCommand(url: string, home: string): string {
  const token = join(home, 'vfs', 'compute:sys', 'gpu', 'pairing-token');
  // By npm it is not on the path.
  const program = process.env['npm_command'] === undefined ? 'hyperloom' : 'npx hyperloom';
  return `${program} extension gpu --node ${url} --token-file ${token}`;
}

/** From this verbosity on the kernel prints every message. */
const EVENTS_FROM = 3;

class RunningNode implements Node {
  readonly name: string;
  readonly kernel: Kernel;
  readonly url: string | undefined;
  readonly ended: Promise<Error | undefined>;
  readonly #terminal: NativeConsole;
  readonly #parts: AsyncDisposableStack;
  #closed: Promise<void> | undefined;

  constructor({
    kernel,
    terminal,
    url,
    ended,
    parts,
  }: Pick<Node, 'kernel' | 'url' | 'ended'> & {
    readonly terminal: NativeConsole;
    readonly parts: AsyncDisposableStack;
  }) {
    this.name = kernel.our;
    this.kernel = kernel;
    this.url = url;
    this.ended = ended;
    this.#terminal = terminal;
    this.#parts = parts;
  }

  enter(line: string): void {
    submit(this.kernel, this.#terminal, line);
  }

  announce(text: string): void {
    say(this.#terminal, text);
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#parts.disposeAsync());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function isDevelopment(config: NodeConfig): boolean {
  return config.development === true || config.fakeNodeName !== undefined;
}

async function quotasOf(home: Home): Promise<Quotas> {
  try {
    return await readQuotas(home.path);
  } catch (error) {
    throw new HomeError('unusable', (error as Error).message, { cause: error });
  }
}

function storageOf(accounts: Accounts): StorageUse {
  return {
    use: (of) => {
      const { bytes, handles, quota } = accounts.use(of);
      return { diskBytes: bytes, diskBytesMax: quota.bytes, openHandles: handles };
    },
    operationsMax: (of) => accounts.quota(of).operations,
  };
}

function openTerminal(
  config: NodeConfig,
  identity: Identity,
  needs: Omit<ConsoleNeeds, 'input' | 'output' | 'now'>,
): Promise<NativeConsole> {
  return openConsole(
    {
      node: identity.name,
      home: config.home,
      detached: config.detached ?? false,
      verbosity: config.verbosity ?? 0,
      logging: config.logging ?? true,
      ...(config.processVerbosity === undefined
        ? {}
        : { processVerbosity: config.processVerbosity }),
      ...(config.logBytesMax === undefined ? {} : { logBytesMax: config.logBytesMax }),
      ...(config.logFilesMax === undefined ? {} : { logFilesMax: config.logFilesMax }),
      ...(config.colours === undefined ? {} : { colours: config.colours }),
    },
    { input: config.input, output: config.output, now: config.now ?? (() => new Date()), ...needs },
  );
}

interface BootParts {
  readonly home: Home;
  readonly config: NodeConfig;
  /** Filled with the packages that come with the node. */
  readonly bundled: Set<PackageId>;
  /** What processes are granted beside what their manifest says. */
  readonly granted: ReadonlyMap<ProcessId, readonly Capability[]>;
  readonly tell: (text: string) => void;
}

async function bootProcesses(
  kernel: Kernel,
  { home, config, bundled, granted, tell }: BootParts,
): Promise<void> {
  await clearUnpacking(home.path);
  const sources = await bundledPackages(tell);
  const { packages, lines } = readPackages(sources, { simulation: config.simulation ?? false });
  for (const one of packages) {
    bundled.add(one.metadata.package);
    await installPackage(home.path, one);
  }
  const plan = planBoot(kernel.our, await kernel.persisted(), packages);
  for (const line of [...lines, ...plan.lines]) tell(line);
  const entries: BootEntry[] = [];
  for (const process of plan.processes) {
    const { wasmBytesHandle } = process.entry;
    // A runtime module: it has no component, only capabilities that manifests granted it.
    if (wasmBytesHandle === '') {
      entries.push({ ...process, wasm: new Uint8Array() });
      continue;
    }
    const wasm = await readWasm(home.path, wasmBytesHandle);
    const capabilities = [...process.capabilities, ...(granted.get(process.id) ?? [])];
    if (wasm !== undefined) entries.push({ ...process, capabilities, wasm });
    else
      tell(
        `${process.id} is removed: its component ${wasmBytesHandle} cannot be read. Install its package again.`,
      );
  }
  await kernel.boot(entries);
}

/** The kernel's printouts on the console; a guest that prints faster than it shows waits for it. */
function sinkTo(terminal: NativeConsole): PrintSink {
  const levels = new EventLevels();
  return {
    print(printout) {
      const verbosity = 'event' in printout ? levels.of(printout.event) : printout.verbosity;
      return terminal.print({
        verbosity,
        source: printout.process,
        text: renderPrintout(printout),
      });
    },
  };
}

function submit(kernel: Kernel, terminal: NativeConsole, line: string): void {
  if (!kernel.consoleInput(line)) {
    say(
      terminal,
      'nobody reads this: the terminal process is not running. After a crash it restarts by itself; after a kill, start the node again.',
    );
  }
}

function say(terminal: NativeConsole, text: string): void {
  void terminal.print({ verbosity: 0, source: TERMINAL, text });
}
