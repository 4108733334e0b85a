/** What the cacher is asked and answers (hypermap.md §14), by this node and by the cachers of others. */
import {
  bool,
  dictionary,
  list,
  option,
  record,
  text,
  tuple,
  u32,
  u64,
  union,
  unit,
  type Decoded,
} from '../../wit/codec.ts';

export const cacherRequest = union({
  GetManifest: unit,
  GetLogCacheContent: text,
  GetStatus: unit,
  GetLogsByRange: record({ from_block: u64, to_block: option(u64) }),
  StartProviding: unit,
  StopProviding: unit,
  SetNodes: list(text),
  Reset: option(list(text)),
});
export type CacherRequest = Decoded<typeof cacherRequest>;

/** Of one file; every value is text. */
export const cacheMetadata = record({
  chainId: text,
  fromBlock: text,
  toBlock: text,
  timeCreated: text,
  createdBy: text,
  signature: text,
});
export type CacheMetadata = Decoded<typeof cacheMetadata>;

export const manifestItem = record({
  metadata: cacheMetadata,
  isEmpty: bool,
  fileHash: text,
  fileName: text,
});
export type ManifestItem = Decoded<typeof manifestItem>;

/** By file name. */
export const manifest = record({
  items: dictionary(manifestItem),
  manifestFilename: text,
  chainId: text,
  protocolVersion: text,
});
export type Manifest = Decoded<typeof manifest>;

export const cacherStatus = record({
  last_cached_block: u64,
  chain_id: text,
  protocol_version: text,
  next_cache_attempt_in_seconds: option(u64),
  manifest_filename: text,
  log_files_count: u32,
  our_address: text,
  is_providing: bool,
});

const outcome = union({ Ok: text, Err: text });

export const cacherResponse = union({
  GetManifest: option(manifest),
  GetLogCacheContent: union({ Ok: option(text), Err: text }),
  GetStatus: cacherStatus,
  GetLogsByRange: union({
    /** Up to which block, and JSON of a list of log caches. */
    Ok: union({ Logs: tuple(u64, text), Latest: u64 }),
    Err: text,
  }),
  StartProviding: outcome,
  StopProviding: outcome,
  SetNodes: outcome,
  Reset: outcome,
  Rejected: unit,
  IsStarting: unit,
});
export type CacherResponse = Decoded<typeof cacherResponse>;
