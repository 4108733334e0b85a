/**
 * What is published in the namespace (hypermap.md §12, packages.md §6): packages, by the two notes of their entry and the metadata that
 * these name. `import … from 'hyperware/listings'`. Anybody publishes anything: what is listed is a package whose metadata is, byte for
 * byte, what its hash says. The manifest must request `eth:distro:sys`, `http-client:distro:sys` and `hns-indexer:hns-indexer:sys`.
 */
import { decodeEvent, TOPICS } from '../../contracts/events.ts';
import { toHex, type Hex } from '../../contracts/hex.ts';
import { isFullName, labelhash, labelKind, leaf, namehash } from '../../contracts/hypermap.ts';
import { type Decoded, dictionary, list, option, record, text } from '../../wit/codec.ts';
import { keccak256 } from '../../wit/keccak.ts';
import { NoResponse } from './errors.ts';
import type { Log, LogFilter, ReadOptions } from './eth.ts';
import { fetch, HttpClientError } from './http-client.ts';
import type { Hypermap } from './hypermap.ts';
import type { Caller } from './modules.ts';

export const METADATA_URI = '~metadata-uri';
export const METADATA_HASH = '~metadata-hash';

/** Bytes of metadata: one of a package with fifty versions has some five thousand. */
export const METADATA_BYTES_MAX = 65_536;
/** Characters of the URI. */
export const URI_CHARS_MAX = 2_048;
/** Packages that are listed at a time, unless told otherwise: a few megabytes. */
export const LISTINGS_MAX = 10_000;

export interface ListingsOptions {
  /** Of the notes: what is listed is what gets installed, so by default a trusted provider answers or two agree (F35). */
  readonly read?: ReadOptions;
  /** Default `LISTINGS_MAX`. */
  readonly listingsMax?: number;
}

/** `metadata.json` (packages.md §6), as far as a package cannot do without it. */
const packageMetadata = record({
  name: option(text),
  description: option(text),
  image: option(text),
  properties: record({
    package_name: text,
    publisher: text,
    current_version: text,
    mirrors: list(text),
    /** SHA-256 of the package by version. */
    code_hashes: dictionary(text),
  }),
});
export type PackageMetadata = Decoded<typeof packageMetadata>;

export interface Listing {
  /** The first label of the entry. */
  readonly package: string;
  /** The rest of its name. */
  readonly publisher: string;
  /** Of the entry. */
  readonly account: Hex;
  readonly uri: string;
  /** keccak256 of the metadata, `0x` and 64 lower-case digits. */
  readonly hash: string;
}

/** Why a package is not listed as it is published now. */
export type Rejection =
  /** The entry's name is not known, or has no publisher in it. */
  | 'no-package'
  /** One of the two notes is empty: published in part. */
  | 'incomplete'
  /** A note is not what it should be: an `http` or `https` URI, a hash in hex. */
  | 'bad-note'
  | 'unreachable'
  | 'too-large'
  | 'wrong-hash'
  /** The metadata lacks what packages.md §6 requires. */
  | 'malformed'
  /** `listingsMax` others are listed. */
  | 'full';

/** What looking at a package came to. What was listed before a rejection stays listed, as in the reference. */
export type Looked =
  | { readonly kind: 'listed'; readonly listing: Listing; readonly metadata: PackageMetadata }
  /** The notes are those of the listing: nothing was fetched. */
  | { readonly kind: 'unchanged'; readonly listing: Listing }
  /** Both notes are empty, or there is no such entry. */
  | { readonly kind: 'withdrawn'; readonly name: string }
  /** `why` in words, for whoever publishes it. */
  | {
      readonly kind: 'rejected';
      readonly name: string;
      readonly reason: Rejection;
      readonly why: string;
    };

class Rejected extends Error {
  readonly reason: Rejection;
  constructor(reason: Rejection, why: string) {
    super(why);
    this.reason = reason;
  }
}

/** The logs to hand to `Listings.take`: every write of one of the two notes, under any name. */
export function listingFilter(hypermap: string): LogFilter {
  const labels = [METADATA_URI, METADATA_HASH].map(labelhash);
  return { address: hypermap, topics: [TOPICS.Note, null, null, labels] };
}

/**
 * Packages by the name of their entry, such as `app.alice.os`. It follows the chain by being told of logs, and believes none of them: a
 * log says where to look, what is there is read. So logs may come late, twice, out of order, or be taken back.
 */
export class Listings {
  readonly #caller: Caller;
  readonly #hypermap: Hypermap;
  readonly #read: ReadOptions;
  readonly #listingsMax: number;
  readonly #listed = new Map<string, Listing>();
  readonly #looking = new Map<string, { readonly now: Promise<Looked>; next?: Promise<Looked> }>();

  constructor(caller: Caller, hypermap: Hypermap, options: ListingsOptions = {}) {
    this.#caller = caller;
    this.#hypermap = hypermap;
    this.#read = options.read ?? { agreed: true };
    this.#listingsMax = options.listingsMax ?? LISTINGS_MAX;
  }

  get(name: string): Listing | undefined {
    return this.#listed.get(name);
  }

  /** In the order in which they were first listed. */
  all(): Listing[] {
    return [...this.#listed.values()];
  }

  /**
   * Looks at the package that a log is about; undefined when it is about none.
   * @throws EthError, MalformedAnswer, NoResponse: the chain or the indexer did not answer; nothing has changed, look again
   */
  async take(log: Log): Promise<Looked | undefined> {
    const event = decodeEvent(log);
    if (event?.kind !== 'Note' || leaf(event.parent, event.label) !== event.hash) return undefined;
    if (event.label !== METADATA_URI && event.label !== METADATA_HASH) return undefined;
    const name = await this.#hypermap.nameOf(event.parent, log.blockNumber);
    // The indexer may be wrong, or behind: a name that does not hash to this one is another's.
    if (name !== undefined && namehash(name) === event.parent) return this.look(name);
    const why = 'the indexer does not know the name of its entry';
    return { kind: 'rejected', name: event.parent, reason: 'no-package', why };
  }

  /**
   * Looks at what is published under a name. Looks at one name take turns, and who comes while others wait shares theirs.
   * @throws as `take`
   */
  look(name: string): Promise<Looked> {
    const looking = this.#looking.get(name);
    if (looking !== undefined) {
      return (looking.next ??= looking.now.then(
        () => this.#begin(name),
        () => this.#begin(name),
      ));
    }
    return this.#begin(name);
  }

  #begin(name: string): Promise<Looked> {
    const now = this.#look(name).finally(() => {
      const mine = this.#looking.get(name);
      if (mine?.now === now && mine.next === undefined) this.#looking.delete(name);
    });
    this.#looking.set(name, { now });
    return now;
  }

  async #look(name: string): Promise<Looked> {
    try {
      return await this.#published(name);
    } catch (error) {
      if (!(error instanceof Rejected)) throw error;
      return { kind: 'rejected', name, reason: error.reason, why: error.message };
    }
  }

  async #published(name: string): Promise<Looked> {
    const id = idOf(name);
    const uriNote = await this.#hypermap.data(`${METADATA_URI}.${name}`, this.#read);
    const hashNote = await this.#hypermap.data(`${METADATA_HASH}.${name}`, this.#read);
    if (uriNote.length === 0 && hashNote.length === 0) {
      this.#listed.delete(name);
      return { kind: 'withdrawn', name };
    }
    const uri = uriOf(uriNote);
    const hash = hashOf(hashNote);
    const { tba: account } = await this.#hypermap.get(name, this.#read);
    const before = this.#listed.get(name);
    if (before?.uri === uri && before.hash === hash && before.account === account)
      return { kind: 'unchanged', listing: before };
    this.#needsRoom(before);
    const metadata = metadataOf(await this.#fetched(uri), hash);
    // Others may have come while this was fetched.
    this.#needsRoom(before);
    const listing: Listing = { ...id, account, uri, hash };
    this.#listed.set(name, listing);
    return { kind: 'listed', listing, metadata };
  }

  #needsRoom(before: Listing | undefined): void {
    if (before === undefined && this.#listed.size >= this.#listingsMax)
      throw new Rejected('full', `${this.#listingsMax} packages are listed`);
  }

  async #fetched(uri: string): Promise<Uint8Array> {
    try {
      const answer = await fetch(this.#caller, uri);
      if (answer.ok) return answer.bytes();
      throw new Rejected('unreachable', `the metadata's server answered with ${answer.status}`);
    } catch (error) {
      if (!(error instanceof HttpClientError) && !(error instanceof NoResponse)) throw error;
      throw new Rejected('unreachable', `the metadata cannot be fetched: ${error.message}`);
    }
  }
}

/**
 * Metadata, if it is what its hash says.
 * @param hash  as in the note
 */
function metadataOf(bytes: Uint8Array, hash: string): PackageMetadata {
  if (bytes.length > METADATA_BYTES_MAX)
    throw new Rejected('too-large', `the metadata has more than ${METADATA_BYTES_MAX} bytes`);
  const found = toHex(keccak256(bytes));
  if (found !== hash)
    throw new Rejected('wrong-hash', `the metadata hashes to ${found}, the note says ${hash}`);
  const decoded = packageMetadata.decode(bytes);
  if (decoded.ok) return decoded.value;
  const { path, expected } = decoded.error;
  throw new Rejected('malformed', `the metadata is malformed: ${path}: expected ${expected}`);
}

function idOf(name: string): Pick<Listing, 'package' | 'publisher'> {
  const dot = name.indexOf('.');
  if (dot < 0 || !isFullName(name) || labelKind(name.slice(0, dot)) !== 'name')
    throw new Rejected('no-package', `"${name}" is no package of anybody`);
  return { package: name.slice(0, dot), publisher: name.slice(dot + 1) };
}

function uriOf(note: Uint8Array): string {
  if (note.length === 0) throw new Rejected('incomplete', `${METADATA_URI} is empty`);
  const uri = utf8Of(note);
  if (uri === undefined || uri.length > URI_CHARS_MAX || !/^https?:\/\/[^\s\p{C}]+$/u.test(uri))
    throw new Rejected('bad-note', `${METADATA_URI} is no http or https URI that can be fetched`);
  return uri;
}

function hashOf(note: Uint8Array): string {
  if (note.length === 0) throw new Rejected('incomplete', `${METADATA_HASH} is empty`);
  const hash = utf8Of(note);
  if (hash === undefined || !/^0x[0-9a-f]{64}$/.test(hash))
    throw new Rejected('bad-note', `${METADATA_HASH} is not 0x and 64 lower-case hex digits`);
  return hash;
}

function utf8Of(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
