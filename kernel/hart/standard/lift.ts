/** Records of `standard` out of guest memory. Pointers are checked here; nothing of guest memory is kept. */
import { Trap } from '../../process-host.ts';
import type {
  Address,
  Capability,
  LazyLoadBlob,
  OnExit,
  OutgoingRequest,
  ProcessId,
  Request,
  U64,
} from '../../../wit/types.ts';
import { HeldBlob } from '../../held-blob.ts';
import { liftedValueBytes } from '../abi/context.ts';
import type { AddressCache } from './address-cache.ts';
import { SLAB_BYTES_MAX, type GuestMemory } from './guest-memory.ts';
import {
  AWAITED,
  BLOB,
  CAPABILITY,
  GRANT,
  ON_EXIT_REQUEST,
  OUTGOING,
  PROCESS_ID_SIZE,
  REQUEST,
} from './layout.ts';

const NO_CAPABILITIES: readonly Capability[] = [];
/** One call may hand over this many list elements; more is a guest that lies about a length. */
const ELEMENTS_MAX = 100_000;

export class Lifter {
  readonly #memory: GuestMemory;
  readonly #addresses: AddressCache;

  constructor(memory: GuestMemory, addresses: AddressCache) {
    this.#memory = memory;
    this.#addresses = addresses;
  }

  address(at: number): Address {
    return this.#addresses.lift(this.#memory, at);
  }

  request(at: number): Request {
    const { bytes, words } = this.#memory;
    const w = at >>> 2;
    return {
      inherit: this.#bool(bytes[at + REQUEST.inherit]!),
      expectsResponse: this.#some(bytes[at + REQUEST.expects]!)
        ? u64(words[w + REQUEST.expectsValue / 4]!, words[w + REQUEST.expectsValue / 4 + 1]!)
        : undefined,
      body: this.bytesAt(at + REQUEST.body),
      metadata: this.optionalText(at + REQUEST.metadata),
      capabilities: this.capabilities(
        words[w + REQUEST.capabilities / 4]!,
        words[w + REQUEST.capabilities / 4 + 1]!,
      ),
    };
  }

  outgoing(pointer: number): OutgoingRequest {
    const at = this.#memory.record(pointer, OUTGOING.size, 8);
    return {
      target: this.address(at + OUTGOING.address),
      request: this.request(at + OUTGOING.request),
      context: this.optionalBytes(at + OUTGOING.context),
      blob: this.#sentBlob(at + OUTGOING.blob),
    };
  }

  outgoingList(pointer: number, length: number): OutgoingRequest[] {
    return this.#each(pointer, length, OUTGOING.size, 8, (at) => this.outgoing(at));
  }

  awaited(pointer: number): Pick<OutgoingRequest, 'target' | 'request' | 'blob'> {
    const at = this.#memory.record(pointer, AWAITED.size, 8);
    return {
      target: this.address(at + AWAITED.address),
      request: this.request(at + AWAITED.request),
      blob: this.#sentBlob(at + AWAITED.blob),
    };
  }

  capabilities(pointer: number, length: number): readonly Capability[] {
    if (length === 0) return NO_CAPABILITIES;
    return this.#each(pointer, length, CAPABILITY.size, 4, (at) => ({
      issuer: this.address(at + CAPABILITY.issuer),
      params: this.textAt(at + CAPABILITY.params),
    }));
  }

  /** list<tuple<process-id, json>>, or list<process-id> where the generation has no params. */
  grants(
    pointer: number,
    length: number,
    withParams: boolean,
  ): { process: ProcessId; params: string }[] {
    const size = withParams ? GRANT.size : PROCESS_ID_SIZE;
    return this.#each(pointer, length, size, 4, (at) => ({
      process: `${this.textAt(at)}:${this.textAt(at + 8)}:${this.textAt(at + 16)}` as ProcessId,
      params: withParams ? this.textAt(at + GRANT.params) : '"messaging"',
    }));
  }

  /** The blob of a message that is sent now, from its parts: freed when its last holder lets it go. */
  sent(mime: string | undefined, bytes: Uint8Array): LazyLoadBlob {
    return bytes.length > SLAB_BYTES_MAX ? new HeldBlob(mime, bytes) : { mime, bytes };
  }

  /** From the flat form: discriminant, then the list of requests. */
  onExit(discriminant: number, pointer: number, length: number): OnExit {
    switch (discriminant) {
      case 0:
        return { kind: 'none' };
      case 1:
        return { kind: 'restart' };
      case 2:
        return {
          kind: 'requests',
          requests: this.#each(pointer, length, ON_EXIT_REQUEST.size, 8, (at) => ({
            target: this.address(at + ON_EXIT_REQUEST.address),
            request: this.request(at + ON_EXIT_REQUEST.request),
            blob: this.optionalBlob(at + ON_EXIT_REQUEST.blob),
          })),
        };
      default:
        throw new Trap(`on-exit has no case ${discriminant}`);
    }
  }

  /** (pointer, length) at `at`, copied. */
  bytesAt(at: number): Uint8Array {
    const { words } = this.#memory;
    return this.#memory.copyOut(words[at >>> 2]!, words[(at >>> 2) + 1]!);
  }

  textAt(at: number): string {
    const { words } = this.#memory;
    return this.#memory.text(words[at >>> 2]!, words[(at >>> 2) + 1]!);
  }

  optionalText(at: number): string | undefined {
    return this.#some(this.#memory.bytes[at]!) ? this.textAt(at + 4) : undefined;
  }

  optionalBytes(at: number): Uint8Array | undefined {
    return this.#some(this.#memory.bytes[at]!) ? this.bytesAt(at + 4) : undefined;
  }

  optionalBlob(at: number): LazyLoadBlob | undefined {
    if (!this.#some(this.#memory.bytes[at]!)) return undefined;
    const blob = at + 4;
    return { mime: this.optionalText(blob + BLOB.mime), bytes: this.bytesAt(blob + BLOB.bytes) };
  }

  #sentBlob(at: number): LazyLoadBlob | undefined {
    const blob = this.optionalBlob(at);
    return blob === undefined ? undefined : this.sent(blob.mime, blob.bytes);
  }

  #each<T>(
    pointer: number,
    length: number,
    size: number,
    align: number,
    lift: (at: number) => T,
  ): T[] {
    const at = pointer >>> 0;
    const count = length >>> 0;
    this.#memory.list(at, count, size, align);
    if (count > ELEMENTS_MAX)
      throw new Trap(`a list of ${count} elements is longer than ${ELEMENTS_MAX}`);
    // Lists inside guest memory can overlap: a few KB of it could describe gigabytes.
    this.#memory.spend(count * (size + liftedValueBytes));
    const items: T[] = [];
    for (let i = 0; i < count; i++) items.push(lift(at + i * size));
    return items;
  }

  #some(discriminant: number): boolean {
    if (discriminant > 1) throw new Trap(`option has no case ${discriminant}`);
    return discriminant === 1;
  }

  #bool(byte: number): boolean {
    return byte !== 0;
  }
}

/** From its two 32-bit halves. */
export function u64(low: number, high: number): U64 {
  return high < 0x20_0000 ? high * 0x1_0000_0000 + low : (BigInt(high) << 32n) | BigInt(low);
}
