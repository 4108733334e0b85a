/**
 * What the chain says of a name and of the node it stands for (hypermap, sections 5 and 11), read in one call so that all of it is of
 * one block. Everything here decides identity or money: `ChainReads.call` answers only what the rule of F35 lets through.
 */
import {
  decodeGet,
  encodeAggregate,
  encodeGet,
  type Entry,
  smallAt,
  bytesAt,
} from '../../../contracts/calls.ts';
import type { Hex } from '../../../contracts/hex.ts';
import { checksummed, namehash } from '../../../contracts/hypermap.ts';
import { decodeIp, decodeNetKey, decodePort } from '../../../contracts/notes.ts';
import type { Result } from '../../../wit/types.ts';

export type ReadError =
  /** The call was carried out and refused. */
  | { readonly kind: 'reverted' }
  /** Two providers gave different answers; which. */
  | { readonly kind: 'disagree'; readonly providers: readonly string[] }
  /** `reason` is the rest of a sentence that begins with "the chain cannot be asked: ". */
  | { readonly kind: 'unreachable'; readonly reason: string };

export interface ReadCall {
  readonly to: string;
  readonly data: string;
  /** Who would call; nobody in particular if undefined. */
  readonly from?: string;
}

export interface ChainReads {
  /** One `eth_call` at the newest block, agreed on (F35). The answer is hex. */
  call(call: ReadCall): Promise<Result<string, ReadError>>;
}

/** Where the namespace is. */
export interface ChainPlace {
  readonly chainId: number;
  readonly hypermap: string;
  readonly multicall: string;
  /** Implementation of new accounts. */
  readonly account: string;
}

/** A name on chain. */
export interface OnChainName {
  /** Checksummed. */
  readonly owner: Hex;
  readonly tba: Hex;
}

/** A name and the notes of its node; what does not decode is undefined. */
export interface OnChainNode extends OnChainName {
  /** Lower-case hex without `0x`. */
  readonly netKey: string | undefined;
  readonly ip: string | undefined;
  readonly wsPort: number | undefined;
  readonly tcpPort: number | undefined;
}

export class Namespace {
  readonly place: ChainPlace;
  readonly reads: ChainReads;

  constructor(place: ChainPlace, reads: ChainReads) {
    this.place = place;
    this.reads = reads;
  }

  /** Names in order; undefined where nobody has one. */
  async names(
    names: readonly string[],
  ): Promise<Result<readonly (OnChainName | undefined)[], ReadError>> {
    const entries = await this.#entries(names);
    return entries.ok ? { ok: true, value: entries.value.map(nameOf) } : entries;
  }

  /** Undefined: there is no such name. */
  async node(name: string): Promise<Result<OnChainNode | undefined, ReadError>> {
    const notes = ['~net-key', '~ip', '~ws-port', '~tcp-port'].map((note) => `${note}.${name}`);
    const entries = await this.#entries([name, ...notes]);
    if (!entries.ok) return entries;
    const [own, netKey, ip, wsPort, tcpPort] = entries.value;
    const entry = nameOf(own!);
    if (entry === undefined) return { ok: true, value: undefined };
    const node = {
      ...entry,
      netKey: decodeNetKey(netKey!.data),
      ip: decodeIp(ip!.data),
      wsPort: decodePort(wsPort!.data),
      tcpPort: decodePort(tcpPort!.data),
    };
    return { ok: true, value: node };
  }

  async #entries(names: readonly string[]): Promise<Result<readonly Entry[], ReadError>> {
    const { hypermap, multicall } = this.place;
    const data = encodeAggregate(
      names.map((name) => ({ to: hypermap, data: encodeGet(namehash(name)) })),
    );
    const answer = await this.reads.call({ to: multicall, data });
    if (!answer.ok) return answer;
    const entries = decodeAggregate(answer.value)?.map((one) => decodeGet(one));
    if (entries?.length !== names.length) return malformed;
    const decoded: Entry[] = [];
    for (const entry of entries) {
      if (!entry.ok) return malformed;
      decoded.push(entry.value);
    }
    return { ok: true, value: decoded };
  }
}

const malformed = {
  ok: false,
  error: {
    kind: 'unreachable',
    reason: 'it answers what no Hypermap would; is there one at this chain?',
  },
} as const;

/** For whoever waits at the page or the terminal. */
export function readErrorText(error: ReadError): string {
  switch (error.kind) {
    case 'reverted':
      return 'The chain refused the call; is there a Hypermap at this chain?';
    case 'disagree':
      return `The providers ${error.providers.join(' and ')} disagree about the chain, so nothing was done. Try again, or name one that you trust with --rpc.`;
    case 'unreachable':
      return `The chain cannot be asked: ${error.reason}.`;
  }
}

function nameOf(entry: Entry): OnChainName | undefined {
  if (BigInt(entry.tba) === 0n || BigInt(entry.owner) === 0n) return undefined;
  return { owner: checksummed(entry.owner), tba: checksummed(entry.tba) };
}

/** What Multicall3's `aggregate` returned: a block number and the answers. */
function decodeAggregate(answer: string): string[] | undefined {
  const offset = smallAt(answer, 1);
  if (offset === undefined || offset % 32 !== 0) return undefined;
  const count = smallAt(answer, offset / 32);
  if (count === undefined) return undefined;
  // Offsets of the answers count from behind the length.
  const items = `0x${answer.slice(2 + offset * 2 + 64)}`;
  const answers: string[] = [];
  for (let index = 0; index < count; index++) {
    const bytes = bytesAt(items, index, items.length);
    if (bytes === undefined) return undefined;
    answers.push(`0x${bytes}`);
  }
  return answers;
}
