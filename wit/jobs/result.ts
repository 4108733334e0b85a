/** What a run leaves behind beside its files (compute-market.md §3.3, §7.1, §7.2). Runs in guests. */
import { bytesToHex } from '@noble/hashes/utils.js';
import { canonicalJson } from '../canonical-json.ts';
import { bool, record, refined, text, u32, u64, type Decoded } from '../codec.ts';
import { sha256 } from './sha256.ts';

/** 64 lower-case hex digits: a content's SHA-256. */
export const contentHash = refined(
  text,
  'content hash',
  (value) => (/^[0-9a-f]{64}$/.test(value) ? value : undefined),
  (value) => value,
);

/** A number that a document may hold. */
const count = refined(
  u64,
  'count',
  (value) => (typeof value === 'number' ? value : undefined),
  (value) => value,
);

export const outputFile = record({ path: text, size: count, sha256: contentHash });
export type OutputFile = Decoded<typeof outputFile>;

export const usage = record({
  wallMs: count,
  cpuMs: count,
  gpuMs: count,
  peakMemMiB: count,
  peakVramMiB: count,
  bytesIn: count,
  bytesOut: count,
  tokensIn: count,
  tokensOut: count,
});
export type Usage = Decoded<typeof usage>;

/** What ran the job; empty texts for parts that there are none of. */
export const runtime = record({
  arch: text,
  driver: text,
  gpu: text,
  image: text,
  module: text,
  runner: text,
  runnerVersion: text,
});
export type Runtime = Decoded<typeof runtime>;

/** The log of a run: how many records, and whether output beyond the limit was dropped. */
export const logSummary = record({ count: u32, truncated: bool });

/** `usageHash` and `runtimeHash` of receipts, `0x` hex. */
export function documentHash(document: Usage | Runtime): `0x${string}` {
  return `0x${bytesToHex(sha256(new TextEncoder().encode(canonicalJson(document))))}`;
}

/** Why a run or an attempt did not succeed, whose fault it is, whether another attempt may help (compute-market.md §3.8). */
export const FAULTS = {
  NODE_LOST: { fault: 'provider', retry: true },
  EXT_DISCONNECTED: { fault: 'provider', retry: true },
  START_TIMEOUT: { fault: 'provider', retry: true },
  INTERNAL: { fault: 'provider', retry: true },
  GPU_LOST: { fault: 'provider', retry: true },
  IMAGE_PULL_FAILED: { fault: 'none', retry: true },
  IMAGE_INVALID: { fault: 'client', retry: false },
  INPUT_UNAVAILABLE: { fault: 'client', retry: false },
  INPUT_HASH_MISMATCH: { fault: 'client', retry: false },
  REJECTED: { fault: 'none', retry: true },
  EXIT_NONZERO: { fault: 'client', retry: false },
  TIMEOUT: { fault: 'client', retry: false },
  OOM: { fault: 'client', retry: false },
  OUTPUT_LIMIT: { fault: 'client', retry: false },
  PIDS_LIMIT: { fault: 'client', retry: false },
  NO_MAJORITY: { fault: 'none', retry: false },
  VERDICT_FAIL: { fault: 'provider', retry: true },
  CANCELLED: { fault: 'client', retry: false },
} as const satisfies Readonly<
  Record<string, { readonly fault: 'provider' | 'client' | 'none'; readonly retry: boolean }>
>;
export type FaultCode = keyof typeof FAULTS;
