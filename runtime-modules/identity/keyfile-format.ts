/**
 * The bytes of `<home>/.keys` (networking.md §13.3): a JSON array of six, and the bincode 1 form of the same that old nodes wrote. JSON
 * is tried first, and always written.
 */
import type { Result } from '../../wit/types.ts';
import type { Keyfile } from './keyfile.ts';

/** Size of the largest keyfile that is looked at. One of three routers has about 1 kB. */
export const KEYFILE_BYTES_MAX = 65_536;

/** Compact JSON, UTF-8. The caller owns the bytes. */
export function encodeKeyfile(keyfile: Keyfile): Uint8Array {
  const { username, routers, salt, net, jwt, file } = keyfile;
  const numbers = [salt, net, jwt, file].map((bytes) => [...bytes]);
  return new TextEncoder().encode(JSON.stringify([username, routers, ...numbers]));
}

/** @returns the keyfile, or what is wrong with the bytes, to follow "the keyfile" in a sentence */
export function decodeKeyfile(bytes: Uint8Array): Result<Keyfile, string> {
  if (bytes.length > KEYFILE_BYTES_MAX) {
    return { ok: false, error: `is larger than ${KEYFILE_BYTES_MAX} bytes` };
  }
  const keyfile = fromJson(bytes) ?? fromBincode(bytes);
  return keyfile === undefined
    ? { ok: false, error: 'is neither the JSON form nor the bincode form of a keyfile' }
    : { ok: true, value: keyfile };
}

function fromJson(bytes: Uint8Array): Keyfile | undefined {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
  if (!Array.isArray(value) || value.length !== 6) return undefined;
  const [username, routers, ...rest] = value as readonly unknown[];
  if (typeof username !== 'string' || !isTextList(routers)) return undefined;
  const [salt, net, jwt, file] = rest.map(bytesOf);
  if (salt === undefined || net === undefined || jwt === undefined || file === undefined) {
    return undefined;
  }
  return { username, routers, salt, net, jwt, file };
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}

function bytesOf(value: unknown): Uint8Array | undefined {
  if (!Array.isArray(value)) return undefined;
  const isByte = (each: unknown): each is number =>
    typeof each === 'number' && Number.isInteger(each) && each >= 0 && each <= 0xff;
  return value.every(isByte) ? Uint8Array.from(value) : undefined;
}

function fromBincode(bytes: Uint8Array): Keyfile | undefined {
  const reader = new BincodeReader(bytes);
  const username = reader.text();
  const count = reader.length();
  // Every router takes 8 bytes at least, so the file bounds this loop.
  const routers: string[] = [];
  while (!reader.failed && routers.length < count) routers.push(reader.text());
  const keyfile = {
    username,
    routers,
    salt: reader.bytes(),
    net: reader.bytes(),
    jwt: reader.bytes(),
    file: reader.bytes(),
  };
  return reader.failed || !reader.atEnd ? undefined : keyfile;
}

/** Lengths are u64, little-endian. After the first failure every value is empty. */
class BincodeReader {
  readonly #bytes: Uint8Array;
  #at = 0;
  #failed = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get failed(): boolean {
    return this.#failed;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  length(): number {
    const [...eight] = this.#take(8);
    return eight.reduceRight((sum, byte) => sum * 256 + byte, 0);
  }

  bytes(): Uint8Array {
    return Uint8Array.from(this.#take(this.length()));
  }

  text(): string {
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(this.bytes());
    } catch {
      this.#failed = true;
      return '';
    }
  }

  #take(count: number): Uint8Array {
    if (count > this.#bytes.length - this.#at) this.#failed = true;
    if (this.#failed) return new Uint8Array();
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }
}
