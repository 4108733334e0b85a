/**
 * The embedded chain: an anvil with the namespace on it. Development nodes and tests start one; everybody else uses a real chain.
 * Source: reference hypermap, section 10; findings F36.
 */
import { promisify } from 'node:util';
import { gunzip as gunzipWith } from 'node:zlib';
import { CHAIN_ID, HYPERMAP } from '../addresses.ts';
import { anvilBinary, startAnvil, type AnvilProcess } from './anvil-process.ts';
import { ChainError } from './chain-error.ts';
import { deployCompute } from './compute-genesis.ts';
import { deploy, type Profile } from './genesis.ts';
import { openMarket } from './market.ts';
import { rpcAt, type Rpc } from './rpc.ts';
import { damaged, readState, writeState } from './state-file.ts';

/** Milliseconds between two looks at whether there is something new to save; more where saving takes long. */
export const SAVE_EVERY_MS = 5_000;
/** Saving takes this part of the time at most: a large chain is saved more rarely. */
const SAVE_SHARE_MAX = 0.02;

const gunzip = promisify(gunzipWith);

export interface ChainOptions {
  readonly profile?: Profile;
  /** Whether a new chain, of profile `fake`, begins with three verifiers and a provider (`openMarket`). */
  readonly market?: boolean;
  /** 0, the default: any free one. */
  readonly port?: number;
  /** Where the chain is kept between starts; undefined: nowhere. Its folder must exist, and nobody else may use the file. */
  readonly stateFile?: string;
  /** `SAVE_EVERY_MS` if undefined. */
  readonly saveEveryMs?: number;
  /** Told when saving fails; it is tried again. */
  readonly onSaveError?: (error: unknown) => void;
  /** anvil; the platform's own if undefined. */
  readonly binary?: string;
}

export interface Chain extends AsyncDisposable {
  readonly profile: Profile;
  readonly chainId: number;
  readonly port: number;
  /** JSON-RPC over HTTP. */
  readonly url: string;
  /** JSON-RPC over WebSocket. */
  readonly webSocketUrl: string;
  readonly pid: number;
  readonly rpc: Rpc;
  /** Resolves with the reason when the chain has ended, by `close` or by itself. */
  readonly ended: Promise<string>;
  /** Saves now. Nothing happens without a state file. */
  save(): Promise<void>;
  /** Saves and ends it. Twice is as once. Throws if saving fails; the chain has ended then too. */
  close(): Promise<void>;
}

/**
 * Starts a chain on 127.0.0.1 with everything deployed, or the one in the state file as it was left.
 * @throws ChainError `no-binary`, `port-taken`, `not-ready`, `damaged-state`, `other-profile`, `unreadable-state`,
 *   `unwritable-state`
 */
export async function startChain(options: ChainOptions = {}): Promise<Chain> {
  const profile = options.profile ?? 'fake';
  const { stateFile } = options;
  const saved = stateFile === undefined ? undefined : await readState(stateFile);
  if (saved !== undefined && saved.profile !== profile)
    throw new ChainError(
      'other-profile',
      `${stateFile} holds a chain of profile ${saved.profile}; start it as that, or give ${profile} a file of its own`,
    );
  const anvil = await startAnvil({
    binary: options.binary ?? anvilBinary(),
    port: options.port ?? 0,
    chainId: CHAIN_ID,
    state: saved && (await unpacked(saved.state, stateFile!)),
  }).catch((error: ChainError) => {
    // What it cannot read ends it.
    throw saved !== undefined && error.code === 'not-ready' ? damaged(stateFile!, error) : error;
  });
  const rpc = rpcAt(`http://127.0.0.1:${anvil.port}`);
  try {
    if (saved === undefined) {
      await deploy(rpc, profile);
      if (options.market === true) await openMarket(rpc);
    } else await check(rpc, stateFile!);
    const chain = new EmbeddedChain(anvil, rpc, profile, options);
    // A chain that was just made costs half a second to make again; its first names may be minted at once.
    if (saved === undefined) await chain.save();
    return chain;
  } catch (error) {
    await anvil.stop();
    throw error;
  }
}

/** What anvil dumps is packed, and what it starts with is not. */
async function unpacked(state: string, path: string): Promise<Uint8Array> {
  try {
    return await gunzip(Buffer.from(state.slice(2), 'hex'));
  } catch (error) {
    throw damaged(path, error);
  }
}

async function check(rpc: Rpc, path: string): Promise<void> {
  if ((await rpc.request('eth_getCode', HYPERMAP, 'latest')) === '0x') throw damaged(path);
  // Another version of the market may have been on it.
  await deployCompute(rpc);
}

class EmbeddedChain implements Chain {
  readonly profile: Profile;
  readonly chainId = CHAIN_ID;
  readonly rpc: Rpc;
  readonly #anvil: AnvilProcess;
  readonly #stateFile: string | undefined;
  readonly #onSaveError: (error: unknown) => void;
  readonly #saveEveryMs: number;
  #saving: Promise<void> = Promise.resolve();
  #savedHead: unknown;
  #closing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(anvil: AnvilProcess, rpc: Rpc, profile: Profile, options: ChainOptions) {
    this.#anvil = anvil;
    this.rpc = rpc;
    this.profile = profile;
    this.#stateFile = options.stateFile;
    this.#saveEveryMs = options.saveEveryMs ?? SAVE_EVERY_MS;
    this.#onSaveError = options.onSaveError ?? (() => undefined);
    if (this.#stateFile !== undefined) {
      this.#saveLater(this.#saveEveryMs);
    }
  }

  get port(): number {
    return this.#anvil.port;
  }

  get pid(): number {
    return this.#anvil.pid;
  }

  get ended(): Promise<string> {
    return this.#anvil.ended;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get webSocketUrl(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  save(): Promise<void> {
    // One after another, also after one that failed: they share a file.
    const after = this.#saving.then(() => this.#write());
    this.#saving = after.catch(() => undefined);
    return after;
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #write(): Promise<void> {
    if (this.#stateFile === undefined) return;
    // In this order: a block in between is saved now and once more, not never.
    const head = await this.rpc.request('eth_getBlockByNumber', 'latest', false);
    const state = await this.rpc.request('anvil_dumpState');
    await writeState(this.#stateFile, { profile: this.profile, state: String(state) });
    this.#savedHead = hashOf(head);
  }

  #saveLater(waitMs: number): void {
    this.#timer = setTimeout(() => {
      const start = performance.now();
      const next = (): void => {
        const tookMs = performance.now() - start;
        this.#saveLater(Math.max(this.#saveEveryMs, tookMs / SAVE_SHARE_MAX));
      };
      void this.#saveIfNew().then((goOn) => (goOn ? next() : undefined));
    }, waitMs).unref();
  }

  /** @returns whether to look again */
  async #saveIfNew(): Promise<boolean> {
    try {
      const head = await this.rpc.request('eth_getBlockByNumber', 'latest', false);
      if (hashOf(head) !== this.#savedHead && this.#closing === undefined) await this.save();
    } catch (error) {
      if (this.#closing === undefined) this.#onSaveError(error);
      // Nobody is there to be asked any more.
      if (error instanceof ChainError && error.code === 'ended') return false;
    }
    return this.#closing === undefined;
  }

  async #end(): Promise<void> {
    clearTimeout(this.#timer);
    try {
      await this.save();
    } finally {
      await this.#anvil.stop();
    }
  }
}

function hashOf(block: unknown): unknown {
  return (block as { hash?: unknown } | null)?.hash;
}
