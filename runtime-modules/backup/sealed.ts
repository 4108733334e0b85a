/**
 * A file encrypted under a password, written and read as a stream with flat memory.
 *
 *   header  "hyperloom backup\n", version, log2 of the key cost, log2 of the chunk size, 32 bytes of salt
 *   chunks  AES-256-GCM, each of the full size but the last, which may be shorter or empty
 *
 * Key: scrypt of password and salt, used for this file only. Nonce of a chunk: its number, and whether it is the last; the header is
 * authenticated with every chunk. So nothing can be changed, left out, moved or cut off without the reader noticing.
 */
import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';
import { BackupError } from './backup-error.ts';
import {
  CHUNK_LOG2,
  CHUNK_LOG2_MAX,
  CHUNK_LOG2_MIN,
  KEY_COST_LOG2,
  KEY_COST_LOG2_MAX,
  KEY_COST_LOG2_MIN,
} from './limits.ts';

const MAGIC = Buffer.from('hyperloom backup\n');
const VERSION = 1;
const SALT_BYTES = 32;
const HEADER_BYTES = MAGIC.length + 3 + SALT_BYTES;
const TAG_BYTES = 16;
const NONCE_BYTES = 12;
const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
const SCRYPT_R = 8;

const scryptAsync = promisify<Buffer, Uint8Array, number, object, Buffer>(scrypt);

export interface SealOptions {
  /** Log2 of the key cost; tests choose a small one. */
  readonly keyCostLog2?: number;
  readonly chunkLog2?: number;
}

/** Encrypts what it is given into `file`, from its start. Call `finish`, or the file is not a whole one. */
export class SealedWriter {
  readonly #file: FileHandle;
  readonly #key: Buffer;
  readonly #header: Buffer;
  readonly #chunk: Buffer;
  #filled = 0;
  #count = 0;

  private constructor(file: FileHandle, key: Buffer, header: Buffer, chunkBytes: number) {
    this.#file = file;
    this.#key = key;
    this.#header = header;
    this.#chunk = Buffer.allocUnsafeSlow(chunkBytes);
  }

  static async start(
    file: FileHandle,
    password: string,
    { keyCostLog2 = KEY_COST_LOG2, chunkLog2 = CHUNK_LOG2 }: SealOptions = {},
  ): Promise<SealedWriter> {
    const salt = randomBytes(SALT_BYTES);
    const header = Buffer.concat([MAGIC, Buffer.from([VERSION, keyCostLog2, chunkLog2]), salt]);
    const key = await keyOf(password, salt, keyCostLog2);
    await writeAll(file, header);
    return new SealedWriter(file, key, header, 2 ** chunkLog2);
  }

  async write(bytes: Uint8Array): Promise<void> {
    let at = 0;
    while (at < bytes.length) {
      // A full chunk waits for what follows it: only then is it known not to be the last.
      if (this.#filled === this.#chunk.length) await this.#seal(false);
      const count = Math.min(bytes.length - at, this.#chunk.length - this.#filled);
      this.#chunk.set(bytes.subarray(at, at + count), this.#filled);
      this.#filled += count;
      at += count;
    }
  }

  /** Writes the last chunk and puts the file on the disk. */
  async finish(): Promise<void> {
    await this.#seal(true);
    await this.#file.sync();
    this.#key.fill(0);
    this.#chunk.fill(0);
  }

  async #seal(last: boolean): Promise<void> {
    const cipher = createCipheriv(CIPHER, this.#key, nonceOf(this.#count, last));
    cipher.setAAD(this.#header);
    const sealed = cipher.update(this.#chunk.subarray(0, this.#filled));
    await writeAll(this.#file, Buffer.concat([sealed, cipher.final(), cipher.getAuthTag()]));
    this.#count += 1;
    this.#filled = 0;
  }
}

/** The plaintext of a sealed file, chunk by chunk, each authenticated before it is handed out. @throws BackupError */
export async function* unsealed(file: FileHandle, password: string): AsyncGenerator<Buffer> {
  const header = await readUpTo(file, 0, HEADER_BYTES);
  const { salt, keyCostLog2, chunkLog2 } = readHeader(header);
  const key = await keyOf(password, salt, keyCostLog2);
  const sealedBytes = 2 ** chunkLog2 + TAG_BYTES;
  let at = HEADER_BYTES;
  let chunk = await readUpTo(file, at, sealedBytes);
  for (let count = 0; ; count += 1) {
    at += chunk.length;
    const next = await readUpTo(file, at, sealedBytes);
    const last = next.length === 0;
    yield open(chunk, key, header, { count, last });
    if (last) break;
    chunk = next;
  }
  key.fill(0);
}

function readHeader(header: Buffer): { salt: Buffer; keyCostLog2: number; chunkLog2: number } {
  const [version = 0, keyCostLog2 = 0, chunkLog2 = 0] = header.subarray(MAGIC.length);
  if (header.length < HEADER_BYTES || !header.subarray(0, MAGIC.length).equals(MAGIC))
    throw new BackupError('not-a-backup', 'this is no backup that hyperloom made');
  if (version !== VERSION)
    throw new BackupError(
      'other-version',
      `this backup has format ${version}; this version of hyperloom reads format ${VERSION}`,
    );
  const isSane =
    keyCostLog2 >= KEY_COST_LOG2_MIN &&
    keyCostLog2 <= KEY_COST_LOG2_MAX &&
    chunkLog2 >= CHUNK_LOG2_MIN &&
    chunkLog2 <= CHUNK_LOG2_MAX;
  if (!isSane) throw new BackupError('damaged', 'the first bytes of the backup are damaged');
  return { salt: header.subarray(MAGIC.length + 3), keyCostLog2, chunkLog2 };
}

function open(
  sealed: Buffer,
  key: Buffer,
  header: Buffer,
  { count, last }: { readonly count: number; readonly last: boolean },
): Buffer {
  const fail = (cause?: unknown): never => {
    if (count === 0)
      throw new BackupError('wrong-password', 'the password is wrong, or the backup is damaged', {
        cause,
      });
    throw new BackupError('damaged', `the backup is damaged or cut off at its chunk ${count}`, {
      cause,
    });
  };
  if (sealed.length < TAG_BYTES) return fail();
  const decipher = createDecipheriv(CIPHER, key, nonceOf(count, last));
  decipher.setAAD(header);
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  try {
    const plain = decipher.update(sealed.subarray(0, -TAG_BYTES));
    decipher.final();
    return plain;
  } catch (error) {
    return fail(error);
  }
}

function nonceOf(count: number, last: boolean): Buffer {
  const nonce = Buffer.alloc(NONCE_BYTES);
  nonce.writeBigUInt64BE(BigInt(count), NONCE_BYTES - 9);
  nonce[NONCE_BYTES - 1] = last ? 1 : 0;
  return nonce;
}

function keyOf(password: string, salt: Uint8Array, costLog2: number): Promise<Buffer> {
  const N = 2 ** costLog2;
  const options = { N, r: SCRYPT_R, p: 1, maxmem: 256 * N * SCRYPT_R };
  return scryptAsync(Buffer.from(password.normalize('NFC')), salt, KEY_BYTES, options);
}

async function writeAll(file: FileHandle, bytes: Buffer): Promise<void> {
  let done = 0;
  while (done < bytes.length) done += (await file.write(bytes, done)).bytesWritten;
}

/** Fewer than `length` bytes at the end of the file only. */
async function readUpTo(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(buffer, filled, length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}
