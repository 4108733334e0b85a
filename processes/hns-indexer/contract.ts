/** What the indexer is asked (hypermap.md §13). Answers hold JSON that the ledger wrote, so they have no codecs here. */
import { option, record, text, u64, union, unit, type Decoded } from '../../wit/codec.ts';

const atBlock = { block: option(u64) };

export const indexerRequest = union({
  NamehashToName: record({ hash: text, ...atBlock }),
  NodeInfo: record({ name: text, ...atBlock }),
  GetState: record(atBlock),
  Reset: unit,
});
export type IndexerRequest = Decoded<typeof indexerRequest>;
