/**
 * The keys of a node, one file each in `<home>/.wallets`. In memory they are sealed as they are on disk; a secret is open for one signature.
 * What cannot be what was written is moved aside, once, and the owner is told.
 */
import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toHex } from '../../contracts/hex.ts';
import type { Result } from '../../wit/types.ts';
import type { Curve } from './curve.ts';
import { KEYS_MAX } from './limits.ts';
import {
  makePrivateFolder,
  moveAside,
  removePrivateFile,
  replacePrivateFile,
} from './private-file.ts';
import {
  decodeSealedKey,
  encodeSealedKey,
  type KeyLabel,
  SECRET_BYTES,
  type SealedKey,
  type Sealer,
} from './sealed-key.ts';

const EXTENSION = '.key';
/** A file of ours is shorter. */
const FILE_BYTES_MAX = 4_096;

export type WalletRefusal =
  | 'NoSuchKey'
  | 'KeyLocked'
  | 'KeyExists'
  | 'NameTaken'
  | 'TooManyKeys'
  | 'NotAKey';

export interface WalletNeeds {
  /** `<home>/.wallets`. */
  readonly folder: string;
  readonly sealer: Sealer;
  readonly curve: Curve;
  /** A line for the owner. */
  readonly tell: (text: string) => void;
}

export class Wallet {
  readonly #needs: WalletNeeds;
  /** By address. */
  readonly #keys = new Map<string, SealedKey>();

  private constructor(needs: WalletNeeds) {
    this.#needs = needs;
  }

  /** @throws as the file system does */
  static async open(needs: WalletNeeds): Promise<Wallet> {
    await makePrivateFolder(needs.folder);
    const wallet = new Wallet(needs);
    for (const name of (await readdir(needs.folder)).toSorted())
      if (name.endsWith(EXTENSION)) await wallet.#load(name);
    return wallet;
  }

  /** All keys, those of other file keys too. */
  labels(): readonly KeyLabel[] {
    return [...this.#keys.values()].map(({ address, name }) => ({ address, name }));
  }

  /** By address, in whatever case, or by name. */
  find(key: string): SealedKey | undefined {
    const byAddress = this.#keys.get(key.toLowerCase());
    return byAddress ?? [...this.#keys.values()].find(({ name }) => name === key);
  }

  /** @param secret made up if left out; overwritten. Calls must not overlap. @throws as the file system does */
  async add(
    name: string | undefined,
    secret: Uint8Array = randomBytes(SECRET_BYTES),
  ): Promise<Result<KeyLabel, WalletRefusal>> {
    try {
      if (this.#keys.size >= KEYS_MAX) return refused('TooManyKeys');
      if (name !== undefined && this.find(name) !== undefined) return refused('NameTaken');
      const found = await this.#addressOf(secret);
      if (found === undefined) return refused('NotAKey');
      const label = { address: found, name };
      if (this.#keys.has(found)) return refused('KeyExists');
      const key = this.#needs.sealer.seal(label, secret);
      await replacePrivateFile(this.#path(label), encodeSealedKey(key));
      this.#keys.set(found, key);
      return { ok: true, value: label };
    } finally {
      secret.fill(0);
    }
  }

  /** @throws as the file system does */
  async remove(key: string): Promise<Result<undefined, WalletRefusal>> {
    const found = this.find(key);
    if (found === undefined) return refused('NoSuchKey');
    this.#keys.delete(found.address);
    await removePrivateFile(this.#path(found));
    return { ok: true, value: undefined };
  }

  /** r, s, v of a digest. @throws IoFailure when the thread that signs fails */
  async sign(key: string, digest: Uint8Array): Promise<Result<Uint8Array, WalletRefusal>> {
    const usable = this.usable(key);
    if (!usable.ok) return usable;
    const secret = this.#needs.sealer.open(usable.value);
    // It opened when it was loaded, and nothing in memory changes.
    if (secret === undefined) return refused('KeyLocked');
    return {
      ok: true,
      value: await this.#needs.curve.run<'sign'>({ kind: 'sign', secret, digest }),
    };
  }

  /** The key, if it is there and of this file key. */
  usable(key: string): Result<SealedKey, WalletRefusal> {
    const found = this.find(key);
    if (found === undefined) return refused('NoSuchKey');
    return found.seal === this.#needs.sealer.id ? { ok: true, value: found } : refused('KeyLocked');
  }

  async #load(file: string): Promise<void> {
    const path = join(this.#needs.folder, file);
    const bytes = await readFile(path);
    const key = bytes.length <= FILE_BYTES_MAX ? decodeSealedKey(bytes) : undefined;
    if (key !== undefined && file === key.address + EXTENSION && (await this.#isWhole(key))) {
      this.#keys.set(key.address, key);
      return;
    }
    const kept = await moveAside(path, new Date());
    this.#needs.tell(
      `${path} is not what was written there. It is kept as ${kept}; its key is not in use.`,
    );
  }

  /** Whether it opens to the key of its address. A key of another file key cannot be told. */
  async #isWhole(key: SealedKey): Promise<boolean> {
    if (key.seal !== this.#needs.sealer.id) {
      this.#needs.tell(
        `the key ${key.address} is sealed under another keyfile. Start the node with that one, or remove the key.`,
      );
      return true;
    }
    // The seal binds the address, and was made over the key's own.
    const secret = this.#needs.sealer.open(key);
    secret?.fill(0);
    return secret !== undefined;
  }

  async #addressOf(secret: Uint8Array): Promise<`0x${string}` | undefined> {
    if (secret.length !== SECRET_BYTES) return undefined;
    const address = await this.#needs.curve.run<'address'>({
      kind: 'address',
      secret: Uint8Array.from(secret),
    });
    return address && toHex(address);
  }

  #path({ address }: KeyLabel): string {
    return join(this.#needs.folder, address + EXTENSION);
  }
}

function refused(error: WalletRefusal): { readonly ok: false; readonly error: WalletRefusal } {
  return { ok: false, error };
}
