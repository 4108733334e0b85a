/** What an operator may change: `settings.json` in the drive `llm` (docs/models.md). Read anew when the list of models is. */
import { list, option, record, text, u32, u64, type Decoded } from '../../../wit/codec.ts';
import { wideNumber } from '../../../contracts/compute-json.ts';
import type { Drive } from '../../lib/vfs.ts';
import { TOKEN_PRICE, type TokenPrice } from '../shared/token-price.ts';
import { MAX_DEBT } from './debt.ts';

const price = { in: wideNumber, out: wideNumber } as const;

const settings = record({
  /** Millionths of HYPER for a thousand tokens; of models that `prices` does not name. */
  price: option(record(price)),
  prices: option(list(record({ model: text, ...price }))),
  /** Tokens of an answer whose client sets no limit. */
  maxTokens: option(u32),
  /** Milliseconds of one answer. */
  deadlineMs: option(u64),
  /** What a session may owe without a signature. */
  maxDebt: option(wideNumber),
});

export interface Settings {
  readonly priceOf: (model: string) => TokenPrice;
  readonly maxTokens: number;
  readonly deadlineMs: number;
  readonly maxDebt: bigint;
}

const PATH = 'settings.json';
const MAX_TOKENS = 4_096;
const DEADLINE_MS = 600_000;

/** @throws VfsError */
export async function readSettings(drive: Drive, print: (text: string) => void): Promise<Settings> {
  const read = (await drive.exists(PATH)) ? settings.decode(await drive.readText(PATH)) : undefined;
  if (read?.ok === false)
    print(`${PATH}: ${read.error.path} is no ${read.error.expected}; it is not used`);
  return settingsOf(read?.ok === true ? read.value : undefined);
}

export function settingsOf(read: Decoded<typeof settings> | undefined): Settings {
  const prices = new Map(read?.prices?.map(({ model, ...one }) => [model, one]));
  const usual = read?.price ?? TOKEN_PRICE;
  return {
    priceOf: (model) => prices.get(model) ?? usual,
    maxTokens: Math.max(1, read?.maxTokens ?? MAX_TOKENS),
    deadlineMs: Number(read?.deadlineMs ?? DEADLINE_MS),
    maxDebt: read?.maxDebt ?? MAX_DEBT,
  };
}
