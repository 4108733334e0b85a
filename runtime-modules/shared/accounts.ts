/**
 * What packages use of the node's storage: bytes by module, open handles. A module keeps a book; the sum of all books is held against
 * the package's quota. Bytes are counted on disk once, when they are first needed, and then follow from what is done.
 */
import type { PackageId } from '../../wit/types.ts';
import { ioFailure, IoFailure } from './io-error.ts';
import type { Quota, Quotas } from './quotas.ts';

/** A recount before a refusal, in case the owner made room by hand, happens at most this often, in milliseconds. */
export const RECOUNT_MS = 5_000;

export interface PackageUse {
  /** Undefined while it was not counted. */
  readonly bytes: number | undefined;
  readonly handles: number;
  readonly quota: Quota;
}

export class Accounts {
  readonly #quotas: Quotas;
  readonly #books: Book[] = [];
  readonly #nowMs: () => number;

  constructor(quotas: Quotas, nowMs: () => number = () => performance.now()) {
    this.#quotas = quotas;
    this.#nowMs = nowMs;
  }

  quota(pkg: PackageId): Quota {
    return this.#quotas.of(pkg);
  }

  /** A module's book. `count`: bytes of a package on disk, in this module. */
  book(count: (pkg: PackageId) => Promise<number>): Book {
    const book = new Book(count, this, this.#nowMs);
    this.#books.push(book);
    return book;
  }

  /** Known at once; starts counting what was not counted yet. */
  use(pkg: PackageId): PackageUse {
    let handles = 0;
    let bytes: number | undefined = 0;
    for (const book of this.#books) {
      handles += book.handles(pkg);
      const own = book.bytes(pkg);
      if (own === undefined) void book.counted(pkg).catch(() => undefined);
      bytes = own === undefined || bytes === undefined ? undefined : bytes + own;
    }
    return { bytes, handles, quota: this.quota(pkg) };
  }

  /** Bytes in all books that were counted. */
  async bytes(pkg: PackageId): Promise<number> {
    await Promise.all(this.#books.map((book) => book.counted(pkg)));
    return this.#books.reduce((sum, book) => sum + (book.bytes(pkg) ?? 0), 0);
  }

  /** Same as `bytes`, without waiting. */
  known(pkg: PackageId): number | undefined {
    let sum = 0;
    for (const book of this.#books) {
      const own = book.bytes(pkg);
      if (own === undefined) return undefined;
      sum += own;
    }
    return sum;
  }
}

interface Entry {
  bytes: number | undefined;
  counting: Promise<void> | undefined;
  countedAtMs: number;
  handles: number;
}

export class Book {
  readonly #count: (pkg: PackageId) => Promise<number>;
  readonly #accounts: Accounts;
  readonly #nowMs: () => number;
  readonly #entries = new Map<PackageId, Entry>();

  constructor(count: (pkg: PackageId) => Promise<number>, accounts: Accounts, nowMs: () => number) {
    this.#count = count;
    this.#accounts = accounts;
    this.#nowMs = nowMs;
  }

  quota(pkg: PackageId): Quota {
    return this.#accounts.quota(pkg);
  }

  bytes(pkg: PackageId): number | undefined {
    return this.#entries.get(pkg)?.bytes;
  }

  handles(pkg: PackageId): number {
    return this.#entries.get(pkg)?.handles ?? 0;
  }

  addHandles(pkg: PackageId, count: number): void {
    this.#entry(pkg).handles += count;
  }

  /** Await it before changing anything of the package, so that the count and the change do not mix. */
  async counted(pkg: PackageId): Promise<void> {
    const entry = this.#entry(pkg);
    if (entry.bytes !== undefined) return;
    await (entry.counting ??= this.#recount(pkg, entry));
  }

  /** Counts again, unless that happened a moment ago. Nothing of the package may change meanwhile. @returns whether it did */
  async recount(pkg: PackageId): Promise<boolean> {
    const entry = this.#entry(pkg);
    if (this.#nowMs() - entry.countedAtMs < RECOUNT_MS) return false;
    await (entry.counting ??= this.#recount(pkg, entry));
    return true;
  }

  /** Books growth before it happens. @throws IoFailure EDQUOT when the package has no room for it */
  async reserve(pkg: PackageId, bytes: number): Promise<void> {
    if (bytes <= 0) return this.add(pkg, bytes);
    const used = this.#accounts.known(pkg) ?? (await this.#accounts.bytes(pkg));
    if (used + bytes > this.quota(pkg).bytes) throw new OverQuota(pkg);
    this.add(pkg, bytes);
  }

  /**
   * Books what a write may take, for stores whose files grow and shrink in their own time: counted again every few seconds of use, in
   * the background, and not held back by the first count. @throws OverQuota
   */
  charge(pkg: PackageId, bytes: number): void {
    const entry = this.#entry(pkg);
    if (this.#nowMs() - entry.countedAtMs >= RECOUNT_MS)
      void (entry.counting ??= this.#recount(pkg, entry)).catch(() => undefined);
    const used = this.#accounts.use(pkg).bytes;
    if (used !== undefined && used + bytes > this.quota(pkg).bytes) throw new OverQuota(pkg);
    this.add(pkg, bytes);
  }

  /** Books what happened; negative: room was made. */
  add(pkg: PackageId, bytes: number): void {
    const entry = this.#entry(pkg);
    if (entry.bytes !== undefined) entry.bytes = Math.max(0, entry.bytes + bytes);
  }

  #entry(pkg: PackageId): Entry {
    let entry = this.#entries.get(pkg);
    if (entry === undefined) {
      entry = { bytes: undefined, counting: undefined, countedAtMs: -Infinity, handles: 0 };
      this.#entries.set(pkg, entry);
    }
    return entry;
  }

  async #recount(pkg: PackageId, entry: Entry): Promise<void> {
    try {
      entry.bytes = await this.#count(pkg);
      entry.countedAtMs = this.#nowMs();
    } finally {
      entry.counting = undefined;
    }
  }
}

/** A package has used what it may. Reads as the host's own quota error. */
export class OverQuota extends IoFailure {
  readonly package: PackageId;
  constructor(pkg: PackageId) {
    super(ioFailure('EDQUOT').message);
    this.package = pkg;
  }
}
