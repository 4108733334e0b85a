/**
 * Keys and values, through `kv:distro:sys` (kit.md §10.9, runtime-modules.md §3). `import … from 'hyperware/kv'`. With codecs of `t` keys
 * and values are JSON, as the Rust library writes them: the key of the text a is three bytes. `rawText` and `rawBytes` store as is.
 */
import type { Capability, PackageId } from '../../wit/types.ts';
import type { Codec } from '../../wit/codec.ts';
import { KV, packageId, packageOf } from '../../wit/address.ts';
import { callModule, type Caller, member, type ModuleAnswer, ModuleError } from './modules.ts';
import { databaseCapabilities, wirePackage } from './databases.ts';
import { bytesOf, textOf } from './utf8.ts';

/** Keys asked for at a time when the database is scanned. */
const PAGE_ENTRIES = 256;

/** `code`: as in runtime-modules.md §3, or `NoMessaging`, or `BadData` for stored bytes that the codecs refuse. */
export class KvError extends ModuleError {
  override readonly name = 'KvError';
}

/** To bytes and back. Equal keys must give equal bytes. */
export type KvCodec<T> = Pick<Codec<T>, 'encode' | 'decode'>;

/** Bytes as they are. */
export const rawBytes: KvCodec<Uint8Array> = {
  encode: (value) => value,
  decode: (input) =>
    input instanceof Uint8Array
      ? { ok: true, value: input }
      : { ok: false, error: { path: '', expected: 'bytes' } },
};

/** UTF-8, without quotes: texts sort as their bytes do, and a prefix of the text is one of the key. */
export const rawText: KvCodec<string> = {
  encode: (value) => bytesOf(value),
  decode: (input) => ({
    ok: true,
    value: typeof input === 'string' ? input : textOf(input),
  }),
};

export interface KvOptions<K, V> {
  readonly key: KvCodec<K>;
  readonly value: KvCodec<V>;
  /** Whose database, `package:publisher`; its capabilities must be held. Default: this package's, which is made if missing. */
  readonly of?: string;
  /** Of every call; default 5. */
  readonly timeoutS?: number;
}

/** Opens a database. @throws KvError */
export async function openKv<K, V>(
  caller: Caller,
  name: string,
  options: KvOptions<K, V>,
): Promise<Kv<K, V>> {
  const kv = new Kv(caller, name, options);
  // Only processes of the package itself may; others have been handed the capabilities.
  if (options.of === undefined) await kv.act('Open');
  return kv;
}

/** Every method rejects with `KvError`, or with `NoResponse`. */
export class Kv<K, V> {
  readonly name: string;
  readonly package: PackageId;
  readonly #caller: Caller;
  readonly #wirePackage: unknown;
  readonly #options: KvOptions<K, V>;

  constructor(caller: Caller, name: string, options: KvOptions<K, V>) {
    this.name = name;
    this.package = options.of === undefined ? packageOf(caller.our.process) : packageId(options.of);
    this.#caller = caller;
    this.#wirePackage = wirePackage(this.package);
    this.#options = options;
  }

  async get(key: K): Promise<V | undefined> {
    const found = await this.#find(key);
    return found === undefined ? undefined : this.#decode('value', found);
  }

  async has(key: K): Promise<boolean> {
    return (await this.#find(key)) !== undefined;
  }

  set(key: K, value: V): Promise<void> {
    return this.#set(key, value, null);
  }

  /** Fine if the key is not there. */
  delete(key: K): Promise<void> {
    return this.#delete(key, null);
  }

  /**
   * Entries by key, as bytes sort. `prefix`: what the encoded keys start with, a text standing for its UTF-8. `limit`: how many at most.
   * What changes meanwhile may be seen or not. (An action of ours: other nodes may not know it.)
   */
  async *scan(
    options: { readonly prefix?: Uint8Array | string; readonly limit?: number } = {},
  ): AsyncGenerator<readonly [key: K, value: V], void> {
    const { prefix = '' } = options;
    let left = options.limit ?? Number.MAX_SAFE_INTEGER;
    const start = numbers(bytesOf(prefix));
    let cursor: unknown = null;
    while (left > 0) {
      const limit = Math.min(left, PAGE_ENTRIES);
      const { body, bytes } = await this.act({ Scan: { prefix: start, limit, cursor } });
      const page = member(body, 'Scan');
      let at = 0;
      // Proof of the type: what the module answers to this request.
      for (const { key, length } of member(page, 'entries') as {
        key: number[];
        length: number;
      }[]) {
        const value = bytes.subarray(at, (at += length));
        left -= 1;
        yield [this.#decode('key', Uint8Array.from(key)), this.#decode('value', value)];
      }
      cursor = member(page, 'cursor') ?? null;
      if (cursor === null) return;
    }
  }

  /**
   * Sets and deletes that take effect together when `work` is done, and not at all when it throws. Reads do not see them before.
   * Resolves with what `work` returned when they are on disk.
   */
  async tx<R>(work: (tx: KvTransaction<K, V>) => Promise<R>): Promise<R> {
    const begun = member((await this.act('BeginTx')).body, 'BeginTx');
    const tx_id = member(begun, 'tx_id');
    let result: R;
    try {
      result = await work({
        set: (key, value) => this.#set(key, value, tx_id),
        delete: (key) => this.#delete(key, tx_id),
      });
    } catch (error) {
      // If this is lost, the module forgets the transaction when the process ends.
      await this.act({ Abandon: { tx_id } }).catch(() => undefined);
      throw error;
    }
    await this.act({ Commit: { tx_id } });
    return result;
  }

  /** Deletes everything in it. */
  async removeAll(): Promise<void> {
    await this.act('RemoveDb');
  }

  /** The rights to read and write, to be attached to a message; the receiver keeps them with `keepCapabilities`. */
  capabilities(...access: readonly ('read' | 'write')[]): readonly Capability[] {
    return databaseCapabilities({ node: this.#caller.our.node, process: KV }, this, access);
  }

  /** One action of runtime-modules.md §3, as it is on the wire. For what has no method here. */
  act(action: unknown, blob?: Uint8Array): Promise<ModuleAnswer> {
    const calls = { module: 'kv', timeoutS: this.#options.timeoutS, error: KvError } as const;
    const kind = typeof action === 'string' ? action : Object.keys(action as object).join();
    return callModule(this.#caller, calls, {
      what: `kv ${kind} ${this.name}`,
      body: { package_id: this.#wirePackage, db: this.name, action },
      blob,
    });
  }

  async #find(key: K): Promise<Uint8Array | undefined> {
    try {
      return (await this.act({ Get: numbers(this.#options.key.encode(key)) })).bytes;
    } catch (error) {
      if (error instanceof KvError && error.code === 'KeyNotFound') return undefined;
      throw error;
    }
  }

  async #set(key: K, value: V, tx_id: unknown): Promise<void> {
    const { key: keys, value: values } = this.#options;
    await this.act({ Set: { key: numbers(keys.encode(key)), tx_id } }, values.encode(value));
  }

  async #delete(key: K, tx_id: unknown): Promise<void> {
    await this.act({ Delete: { key: numbers(this.#options.key.encode(key)), tx_id } });
  }

  #decode<P extends 'key' | 'value'>(part: P, bytes: Uint8Array): P extends 'key' ? K : V {
    const decoded = this.#options[part].decode(bytes);
    // Proof of the type: the codec of that part.
    if (decoded.ok) return decoded.value as P extends 'key' ? K : V;
    const { path, expected } = decoded.error;
    throw new KvError('BadData', `kv ${this.name}`, `${part} ${path}: expected ${expected}`);
  }
}

export interface KvTransaction<K, V> {
  set(key: K, value: V): Promise<void>;
  delete(key: K): Promise<void>;
}

function numbers(bytes: Uint8Array): number[] {
  return Array.from(bytes);
}
