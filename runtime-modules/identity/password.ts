/**
 * From a password to the key that opens a keyfile (networking.md §13.1 and §13.2): Argon2id where the password is typed, PBKDF2 where
 * the keyfile is. Both cost time on purpose; neither costs this thread any.
 */
import { argon2 } from 'node:crypto';
import { extname } from 'node:path';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { Semaphore } from '../shared/semaphore.ts';

/** Argon2id, version 0x13. Browsers do the same in `http-server/login/page/page.js`; a test compares the two. */
export const ARGON2_PARAMETERS = { memory: 19_456, passes: 2, parallelism: 1, tagLength: 32 };
/** Characters of the shortest node name that is its own salt. */
const SALT_CHARS_MIN = 8;

export const DISK_KEY_ITERATIONS = 1_000_000;
export const DISK_KEY_BYTES = 32;
/** Longest time one derivation may take, in milliseconds; 134 are usual. */
export const DISK_KEY_MS_MAX = 30_000;
/** V8 heap of the thread that derives, in MiB. */
const HEAP_MIB_MAX = 16;

const argon2Async = promisify(argon2);

/**
 * `0x` and 64 lower-case hex digits: what is sent in place of the password.
 * @param nodeName not empty; the salt
 */
export async function hashPassword(password: string, nodeName: string): Promise<string> {
  const key = await argon2Async('argon2id', {
    message: password,
    nonce: saltOf(nodeName),
    ...ARGON2_PARAMETERS,
  });
  return `0x${key.toString('hex')}`;
}

function saltOf(nodeName: string): string {
  if (nodeName === '') throw new RangeError('a node without a name has no password hash');
  const { length } = nodeName;
  return length >= SALT_CHARS_MIN
    ? nodeName
    : nodeName.repeat(1 + Math.floor(SALT_CHARS_MIN / length));
}

/** A second derivation waits for the first, however it was asked for: they must not take every core (F33). */
const turns = new Semaphore(1);

/**
 * The AES-256 key of a keyfile, 32 bytes; the caller owns it and overwrites it when done.
 * @param passwordHash the text as transmitted, `0x` included; it is not decoded
 * @param salt the keyfile's
 */
export function deriveDiskKey(passwordHash: string, salt: Uint8Array): Promise<Uint8Array> {
  return turns.run(() => deriveInThread(passwordHash, salt));
}

/**
 * A thread of its own, for as long as it takes: node's asynchronous pbkdf2 would hold one of the four threads that file access
 * uses, and a thread that stays would keep password bytes in memory.
 */
async function deriveInThread(passwordHash: string, salt: Uint8Array): Promise<Uint8Array> {
  const password = new TextEncoder().encode(passwordHash);
  const worker = new Worker(
    new URL(`./disk-key-worker${extname(import.meta.filename)}`, import.meta.url),
    {
      workerData: {
        password,
        salt: Uint8Array.from(salt),
        iterations: DISK_KEY_ITERATIONS,
        keyBytes: DISK_KEY_BYTES,
      } satisfies DiskKeyJob,
      transferList: [password.buffer],
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB_MAX },
    },
  );
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  worker.once('message', resolve);
  worker.once('error', (cause) => reject(new Error('deriving the disk key failed', { cause })));
  worker.once('exit', () => reject(new Error('deriving the disk key ended without a key')));
  const timer = setTimeout(
    () => reject(new Error(`deriving the disk key took over ${DISK_KEY_MS_MAX} ms`)),
    DISK_KEY_MS_MAX,
  );
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    await worker.terminate();
  }
}

/** What the thread is started with; it overwrites `password`. */
export interface DiskKeyJob {
  readonly password: Uint8Array;
  readonly salt: Uint8Array;
  readonly iterations: number;
  readonly keyBytes: number;
}
