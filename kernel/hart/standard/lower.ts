/** Records of `standard` into guest memory. Every method runs between `begin` and `end` of the memory. */
import type {
  Address,
  Capability,
  LazyLoadBlob,
  Message,
  OnExit,
  Request,
  Response,
  SendError,
  U64,
} from '../../../wit/types.ts';
import type { AddressCache } from './address-cache.ts';
import type { GuestMemory } from './guest-memory.ts';
import {
  BLOB,
  CAPABILITY,
  MESSAGE,
  ON_EXIT,
  ON_EXIT_REQUEST,
  RECEIVED,
  REQUEST,
  RESPONSE,
  SEND_ERROR,
  SEND_ERROR_V07,
} from './layout.ts';

export class Lowerer {
  readonly #memory: GuestMemory;
  readonly #addresses: AddressCache;

  constructor(memory: GuestMemory, addresses: AddressCache) {
    this.#memory = memory;
    this.#addresses = addresses;
  }

  address(at: number, address: Address): void {
    this.#addresses.lower(this.#memory, at, address);
  }

  /** tuple<address, message> */
  received(at: number, source: Address, message: Message): void {
    this.address(at + RECEIVED.address, source);
    this.message(at + RECEIVED.message, message);
  }

  message(at: number, message: Message): void {
    const payload = at + MESSAGE.payload;
    if (message.kind === 'request') {
      this.#memory.bytes[at] = 0;
      this.request(payload, message.request);
      return;
    }
    this.#memory.bytes[at] = 1;
    this.#response(payload, message.response);
    this.optionalBytes(at + MESSAGE.context, message.context);
  }

  request(at: number, request: Request): void {
    const memory = this.#memory;
    memory.bytes[at + REQUEST.inherit] = request.inherit ? 1 : 0;
    memory.bytes[at + REQUEST.expects] = request.expectsResponse === undefined ? 0 : 1;
    if (request.expectsResponse !== undefined)
      this.#u64(at + REQUEST.expectsValue, request.expectsResponse);
    memory.putBytes(at + REQUEST.body, request.body);
    this.optionalText(at + REQUEST.metadata, request.metadata);
    this.capabilities(at + REQUEST.capabilities, request.capabilities);
  }

  /** (pointer, length) at `slot`. */
  capabilities(slot: number, capabilities: readonly Capability[]): void {
    if (capabilities.length === 0) {
      // An empty list is allocated too.
      const base = this.#memory.alloc(4, 0);
      this.#memory.words[slot >>> 2] = base;
      this.#memory.words[(slot >>> 2) + 1] = 0;
      return;
    }
    this.#list(slot, capabilities, CAPABILITY.size, 4, (at, { issuer, params }) => {
      this.address(at + CAPABILITY.issuer, issuer);
      this.#memory.putText(at + CAPABILITY.params, params);
    });
  }

  onExit(at: number, onExit: OnExit): void {
    this.#memory.bytes[at] = onExit.kind === 'none' ? 0 : onExit.kind === 'restart' ? 1 : 2;
    if (onExit.kind !== 'requests') return;
    this.#list(
      at + ON_EXIT.requests,
      onExit.requests,
      ON_EXIT_REQUEST.size,
      8,
      (element, { target, request, blob }) => {
        this.address(element + ON_EXIT_REQUEST.address, target);
        this.request(element + ON_EXIT_REQUEST.request, request);
        this.optionalBlob(element + ON_EXIT_REQUEST.blob, blob);
      },
    );
  }

  /** `withTarget` false: the record of kinode:process@0.7.0. */
  sendError(at: number, error: SendError, withTarget: boolean): void {
    const layout = withTarget ? SEND_ERROR : SEND_ERROR_V07;
    this.#memory.bytes[at + layout.kind] = error.kind === 'offline' ? 0 : 1;
    if (withTarget) this.address(at + SEND_ERROR.target, error.target);
    this.message(at + layout.message, error.message);
    this.optionalBlob(at + layout.blob, error.blob);
  }

  optionalBytes(at: number, bytes: Uint8Array | undefined): void {
    this.#memory.bytes[at] = bytes === undefined ? 0 : 1;
    if (bytes !== undefined) this.#memory.putBytes(at + 4, bytes);
  }

  optionalText(at: number, text: string | undefined): void {
    this.#memory.bytes[at] = text === undefined ? 0 : 1;
    if (text !== undefined) this.#memory.putText(at + 4, text);
  }

  optionalBlob(at: number, blob: LazyLoadBlob | undefined): void {
    this.#memory.bytes[at] = blob === undefined ? 0 : 1;
    if (blob === undefined) return;
    this.optionalText(at + 4 + BLOB.mime, blob.mime);
    this.#memory.putBytes(at + 4 + BLOB.bytes, blob.bytes);
  }

  #response(at: number, response: Response): void {
    this.#memory.bytes[at + RESPONSE.inherit] = response.inherit ? 1 : 0;
    this.#memory.putBytes(at + RESPONSE.body, response.body);
    this.optionalText(at + RESPONSE.metadata, response.metadata);
    this.capabilities(at + RESPONSE.capabilities, response.capabilities);
  }

  #u64(at: number, value: U64): void {
    const { words } = this.#memory;
    const low = typeof value === 'number' ? value >>> 0 : Number(value & 0xffff_ffffn);
    const high =
      typeof value === 'number' ? Math.floor(value / 0x1_0000_0000) : Number(value >> 32n);
    words[at >>> 2] = low;
    words[(at >>> 2) + 1] = high;
  }

  #list<T>(
    slot: number,
    items: readonly T[],
    size: number,
    align: number,
    lower: (at: number, item: T) => void,
  ): void {
    const memory = this.#memory;
    const base = memory.alloc(align, items.length * size);
    for (let i = 0; i < items.length; i++) lower(base + i * size, items[i]!);
    memory.words[slot >>> 2] = base;
    memory.words[(slot >>> 2) + 1] = items.length;
  }
}
