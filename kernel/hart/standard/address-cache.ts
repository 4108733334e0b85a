/**
 * Addresses in guest memory are four strings each; a process talks to few others, so the last ones are kept, both ways: bytes to
 * Address (no decoding, and the same object each time), and Address to bytes (no encoding).
 */
import type { Address, ProcessId } from '../../../wit/types.ts';
import type { GuestMemory } from './guest-memory.ts';

/** A power of two: slots are chosen by masking. */
const SLOTS = 16;
/** Addresses longer than this are not kept. */
const CACHED_BYTES_MAX = 512;

interface Entry {
  readonly bytes: Uint8Array;
  readonly nodeLength: number;
  readonly processLength: number;
  readonly packageLength: number;
  readonly address: Address;
}

const encoder = new TextEncoder();

/** The three parts of a process id: split at the first two colons, so that joining them gives the id back. */
export function processIdParts(id: ProcessId): readonly [string, string, string] {
  const first = id.indexOf(':');
  const second = id.indexOf(':', first + 1);
  return [id.slice(0, first), id.slice(first + 1, second), id.slice(second + 1)];
}

export class AddressCache {
  readonly #lifted: (Entry | undefined)[] = Array.from({ length: SLOTS });
  readonly #lowered: { address: Address; parts: readonly Uint8Array[] }[] = [];
  #next = 0;

  /** The address at `at`: four (pointer, length) pairs, already checked to be inside memory. */
  lift(memory: GuestMemory, at: number): Address {
    const { words, bytes } = memory;
    const w = at >>> 2;
    const nodeAt = words[w]!;
    const nodeLength = words[w + 1]!;
    const processAt = words[w + 2]!;
    const processLength = words[w + 3]!;
    const packageAt = words[w + 4]!;
    const packageLength = words[w + 5]!;
    const publisherAt = words[w + 6]!;
    const publisherLength = words[w + 7]!;
    const slot =
      (nodeLength + 3 * processLength + 7 * packageLength + (bytes[processAt] ?? 0)) & (SLOTS - 1);
    const entry = this.#lifted[slot];
    if (
      entry !== undefined &&
      entry.nodeLength === nodeLength &&
      entry.processLength === processLength &&
      entry.packageLength === packageLength &&
      entry.bytes.length === nodeLength + processLength + packageLength + publisherLength &&
      same(entry.bytes, 0, bytes, nodeAt, nodeLength) &&
      same(entry.bytes, nodeLength, bytes, processAt, processLength) &&
      same(entry.bytes, nodeLength + processLength, bytes, packageAt, packageLength) &&
      same(
        entry.bytes,
        nodeLength + processLength + packageLength,
        bytes,
        publisherAt,
        publisherLength,
      )
    )
      return entry.address;
    const node = memory.text(nodeAt, nodeLength);
    const process = memory.text(processAt, processLength);
    const packageName = memory.text(packageAt, packageLength);
    const publisher = memory.text(publisherAt, publisherLength);
    const address: Address = {
      node,
      process: `${process}:${packageName}:${publisher}` as ProcessId,
    };
    const key = encoder.encode(node + process + packageName + publisher);
    if (key.length <= CACHED_BYTES_MAX)
      this.#lifted[slot] = { bytes: key, nodeLength, processLength, packageLength, address };
    return address;
  }

  /** Writes an address at `at` (32 bytes, aligned to 4). Between `begin` and `end` of the memory. */
  lower(memory: GuestMemory, at: number, address: Address): void {
    const parts = this.#parts(address);
    for (let i = 0; i < 4; i++) memory.putBytes(at + 8 * i, parts[i]!);
  }

  #parts(address: Address): readonly Uint8Array[] {
    for (let i = 0; i < this.#lowered.length; i++) {
      const entry = this.#lowered[i]!;
      if (entry.address === address) return entry.parts;
    }
    const parts = [address.node, ...processIdParts(address.process)].map((part) =>
      encoder.encode(part),
    );
    this.#lowered[this.#next] = { address, parts };
    this.#next = (this.#next + 1) & 7;
    return parts;
  }
}

/** Whether `length` bytes agree; false when the guest's range leaves its memory. */
function same(
  kept: Uint8Array,
  keptAt: number,
  bytes: Uint8Array,
  at: number,
  length: number,
): boolean {
  if (at + length > bytes.length) return false;
  for (let i = 0; i < length; i++) if (kept[keptAt + i] !== bytes[at + i]) return false;
  return true;
}
