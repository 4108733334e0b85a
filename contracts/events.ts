/**
 * Events of the namespace out of raw logs, by hand: hundreds of times as fast as an ABI library (F30, bench `chain.decode`). Nothing in
 * a log is trusted but that the caller asked for logs of the namespace's address. `events.test.ts` compares with ethers.
 */
import { addressAt, bytesAt } from './calls.ts';
import { byteAt, type Hex } from './hex.ts';
import { LABEL_BYTES_MAX, labelKind, type LabelKind } from './hypermap.ts';

/** First topics. */
export const TOPICS = {
  Mint: '0xb59dae5eda69178326b6517bb1aa33e208bf2ac347e30d3a5daf0ecb6249f7b1',
  Note: '0xe40d9f1ec78dfc3c5a94c3edae28058ba092a8f65ce8a199731840a3d20f82f4',
  Fact: '0x6df41fff09a97e34e341514998993ce9f4542c3fa8358931a96c9fff178c3adb',
  Gene: '0xde0ec2494e561683ac09b109d8c4c4a08b4ddbd4fcd23b609fe107e63176ef5a',
  Zero: '0xa7dcba07b3032d87953767c0eed546a5eb7e52648856b776ba4ad8a1ff1bf3c0',
  Transfer: '0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef',
} as const;

/** What decoding needs of a log. */
export interface RawLog {
  readonly topics: readonly string[];
  readonly data: string;
}

/** Digits are the provider's: lower case as JSON-RPC has them, and in `data` unchecked, for what reads a note checks them anyway. */
export type HypermapEvent =
  | { readonly kind: 'Mint'; readonly parent: Hex; readonly child: Hex; readonly label: string }
  | {
      readonly kind: 'Note' | 'Fact';
      readonly parent: Hex;
      readonly hash: Hex;
      readonly label: string;
      readonly data: Hex;
    }
  | { readonly kind: 'Gene'; readonly entry: Hex; readonly gene: Hex }
  | { readonly kind: 'Zero'; readonly tba: Hex }
  | { readonly kind: 'Transfer'; readonly from: Hex; readonly to: Hex; readonly hash: Hex };

/**
 * The event that `log` is; undefined for one of another kind, one that is malformed, and one whose label the contract refuses. That the
 * hash is that of the label under its parent is not checked here: compare with `leaf`.
 */
export function decodeEvent({ topics, data }: RawLog): HypermapEvent | undefined {
  switch (topics[0]) {
    case TOPICS.Mint:
      return decodeMint(topics, data);
    case TOPICS.Note:
      return decodeData('Note', topics, data);
    case TOPICS.Fact:
      return decodeData('Fact', topics, data);
    case TOPICS.Gene: {
      const gene = topics.length === 3 ? addressAt(topics[2]!, 0) : undefined;
      return gene && isHash(topics[1]!) ? { kind: 'Gene', entry: topics[1], gene } : undefined;
    }
    case TOPICS.Zero: {
      const tba = topics.length === 2 ? addressAt(topics[1]!, 0) : undefined;
      return tba && { kind: 'Zero', tba };
    }
    case TOPICS.Transfer:
      return decodeTransfer(topics);
    default:
      return undefined;
  }
}

function decodeMint(topics: readonly string[], data: string): HypermapEvent | undefined {
  const [, parent, child] = topics;
  if (topics.length !== 4 || !isHash(parent!) || !isHash(child!)) return undefined;
  const label = labelAt(data, 'name');
  return label === undefined ? undefined : { kind: 'Mint', parent, child, label };
}

function decodeData(
  kind: 'Note' | 'Fact',
  topics: readonly string[],
  data: string,
): HypermapEvent | undefined {
  const [, parent, hash] = topics;
  if (topics.length !== 4 || !isHash(parent!) || !isHash(hash!)) return undefined;
  const label = labelAt(data, kind === 'Note' ? 'note' : 'fact');
  const bytes = bytesAt(data, 1, data.length);
  if (label === undefined || bytes === undefined) return undefined;
  return { kind, parent, hash, label, data: `0x${bytes}` };
}

function decodeTransfer(topics: readonly string[]): HypermapEvent | undefined {
  const [, from, to, hash] = topics;
  if (topics.length !== 4 || !isHash(hash!)) return undefined;
  const sender = addressAt(from!, 0);
  const receiver = addressAt(to!, 0);
  return sender && receiver ? { kind: 'Transfer', from: sender, to: receiver, hash } : undefined;
}

function isHash(text: string): text is Hex {
  return text.length === 66 && text.startsWith('0x');
}

/** The label at the first offset, if the contract takes it as that kind. */
function labelAt(data: string, kind: LabelKind): string | undefined {
  const digits = bytesAt(data, 0, data.length);
  if (digits === undefined || digits.length > 2 * LABEL_BYTES_MAX) return undefined;
  let label = '';
  for (let i = 0; i < digits.length; i += 2) {
    const byte = byteAt(digits, i);
    if (byte === undefined) return undefined;
    label += String.fromCharCode(byte);
  }
  return labelKind(label) === kind ? label : undefined;
}
