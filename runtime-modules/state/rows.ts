/**
 * Rows of the kernel's database (findings F19): one per process entry, capability and state. A row's value is a checksum and then
 * the content, so that damage is seen before it is believed.
 *
 *   p!<id>                      entry as JSON
 *   c!<sha256 id>!<sha256 key>  capability as JSON, with its holder
 *   s!<id>                      state bytes
 *   m!summary                   what the other rows add up to
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { address, capability, processId } from '../../wit/codec-ids.ts';
import {
  bool,
  list,
  option,
  record,
  refined,
  text,
  u32,
  u64,
  union,
  unit,
  type Codec,
  type Decoded,
} from '../../wit/codec.ts';
import type { StoredEntry } from '../../kernel/store.ts';
import type { OnExit, ProcessId } from '../../wit/types.ts';

const base64: Codec<Uint8Array> = refined(
  text,
  'base64',
  (value) => new Uint8Array(Buffer.from(value, 'base64')),
  (bytes) => Buffer.from(bytes).toString('base64'),
);

const request = record({
  inherit: bool,
  expectsResponse: option(u64),
  body: base64,
  metadata: option(text),
  capabilities: list(capability),
});
const exitRequest = record({
  target: address,
  request,
  blob: option(record({ mime: option(text), bytes: base64 })),
});
const onExitUnion = union({ none: unit, restart: unit, requests: list(exitRequest) });
const onExit: Codec<OnExit> = refined(
  onExitUnion,
  'on-exit',
  (value): OnExit =>
    value.kind === 'requests' ? { kind: 'requests', requests: value.value } : { kind: value.kind },
  (value): Decoded<typeof onExitUnion> =>
    value.kind === 'requests' ? { kind: 'requests', value: value.requests } : { kind: value.kind },
);

/** The content of a process row. */
export const entryRow: Codec<StoredEntry> = record({
  wasmBytesHandle: text,
  witVersion: option(u32),
  onExit,
  public: bool,
});

/** The content of a capability row. */
export const capabilityRow = record({ holder: processId, capability });

/** The content of the summary row. `digest`: the exclusive or of all rows' digests, hex. */
export const summaryRow = record({ rows: u64, digest: text });

export const SUMMARY_KEY = 'm!summary';
const CHECKSUM_BYTES = 4;
export const DIGEST_BYTES = 16;

export const processKey = (id: ProcessId): string => `p!${id}`;
export const stateKey = (id: ProcessId): string => `s!${id}`;
/** `key` is of any length and any characters, so it is hashed. */
export const capabilityRowKey = (holder: ProcessId, key: string): string =>
  `c!${sha256(holder)}!${sha256(key)}`;

/** A row's value: checksum of key and content, then the content. */
export function seal(key: string, content: Uint8Array): Buffer {
  const row = Buffer.allocUnsafe(CHECKSUM_BYTES + content.length);
  row.writeUInt32LE(checksum(key, content), 0);
  row.set(content, CHECKSUM_BYTES);
  return row;
}

/** The content of a row, or undefined when key and content do not fit the checksum. A view, not a copy. */
export function unseal(key: string, row: Uint8Array): Uint8Array | undefined {
  if (row.length < CHECKSUM_BYTES) return undefined;
  const content = row.subarray(CHECKSUM_BYTES);
  const stored = Buffer.from(row.buffer, row.byteOffset, CHECKSUM_BYTES).readUInt32LE(0);
  return stored === checksum(key, content) ? content : undefined;
}

/** What one sealed row adds to the summary: depends on its key and checksum, so a missing, stale or foreign row shows. */
export function rowDigest(key: string, row: Uint8Array): Buffer {
  const hash = createHash('sha256')
    .update(key)
    .update('\0')
    .update(row.subarray(0, CHECKSUM_BYTES));
  return hash.update(String(row.length)).digest().subarray(0, DIGEST_BYTES);
}

function checksum(key: string, content: Uint8Array): number {
  return crc32(content, crc32(key));
}

function sha256(value: string): string {
  return createHash('sha256').update(value).digest('hex');
}
