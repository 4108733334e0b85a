/** A namespace in memory behind a `FakeEth`: names, notes, and the logs they leave. */
import { HYPERMAP } from '../../../contracts/addresses.ts';
import { SELECTORS } from '../../../contracts/calls.ts';
import { TOPICS } from '../../../contracts/events.ts';
import { textToHex, type Hex } from '../../../contracts/hex.ts';
import { labelhash, namehash } from '../../../contracts/hypermap.ts';
import type { FakeChain } from './fake-eth.ts';

interface FakeEntry {
  readonly tba: string;
  readonly owner: string;
  readonly data: string;
}

const NOBODY = `0x${'00'.repeat(20)}`;
const NOTHING: FakeEntry = { tba: NOBODY, owner: NOBODY, data: '0x' };

export class FakeHypermap {
  readonly #entries = new Map<string, FakeEntry>();
  readonly logs: Record<string, unknown>[] = [];
  block = 0;

  /** Answers `eth_blockNumber`, `eth_getLogs` without a filter, and `get`. */
  readonly chain: FakeChain = (method, params) => {
    if (method === 'eth_blockNumber') return word(this.block, 0);
    if (method === 'eth_getLogs') return this.logs;
    if (method !== 'eth_call') return undefined;
    const { to = '', input = '' } = params[0] as { to?: string; input?: string };
    if (to.toLowerCase() !== HYPERMAP.toLowerCase() || !input.startsWith(`0x${SELECTORS.get}`))
      return '0x';
    const { tba, owner, data } = this.#entries.get(`0x${input.slice(10)}`) ?? NOTHING;
    const bytes = (data.length - 2) / 2;
    const padded = data.slice(2).padEnd(Math.ceil(bytes / 32) * 64, '0');
    return `0x${pad(tba)}${pad(owner)}${word(96).slice(2)}${word(bytes).slice(2)}${padded}`;
  };

  mint(name: string, owner: string): Record<string, unknown> {
    this.#entries.set(namehash(name), { tba: accountOf(name), owner, data: '0x' });
    const [label = '', ...above] = name.split('.');
    const topics = [TOPICS.Mint, namehash(above.join('.')), namehash(name), labelhash(label)];
    return this.#log(topics, `${word(32).slice(2)}${tail(textToHex(label))}`);
  }

  /** A note or fact, such as `~ip` under `alice.os`. Returns its log. */
  note(name: string, label: string, data: Hex): Record<string, unknown> {
    this.#entries.set(namehash(`${label}.${name}`), { ...NOTHING, data });
    const topic = label.startsWith('!') ? TOPICS.Fact : TOPICS.Note;
    const topics = [topic, namehash(name), namehash(`${label}.${name}`), labelhash(label)];
    const first = tail(textToHex(label));
    const heads = word(64).slice(2) + word(64 + first.length / 2).slice(2);
    return this.#log(topics, heads + first + tail(data));
  }

  #log(topics: readonly string[], data: string): Record<string, unknown> {
    this.block += 1;
    const log = {
      address: HYPERMAP.toLowerCase(),
      topics,
      data: `0x${data}`,
      blockNumber: word(this.block, 0),
      blockHash: word(this.block),
      transactionHash: word(this.block),
      transactionIndex: '0x0',
      logIndex: '0x0',
      removed: false,
    };
    this.logs.push(log);
    return log;
  }
}

/** Where the account of a name is: made up. */
export function accountOf(name: string): string {
  return `0x${namehash(name).slice(-40)}`;
}

function word(value: number, digits = 64): Hex {
  return `0x${value.toString(16).padStart(digits, '0')}`;
}

function pad(address: string): string {
  return address.slice(2).padStart(64, '0');
}

function tail(data: string): string {
  const digits = data.slice(2);
  return word(digits.length / 2).slice(2) + digits.padEnd(Math.ceil(digits.length / 64) * 64, '0');
}
