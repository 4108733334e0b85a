/**
 * The keyfile: a node's networking key, session secret and file key, encrypted with a password (networking.md §13.3). `Keyfile` is what
 * stands in the file, still encrypted; `KeyfileSecrets` what is inside, in one piece of memory that is overwritten when it is done with
 * (findings.md F33).
 */
import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  type KeyObject,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';
import type { Result } from '../../wit/types.ts';
import { deriveDiskKey } from './password.ts';
import { Secret } from './secret.ts';

export interface Keyfile {
  readonly username: string;
  /** Empty: the node was booted as a direct one. */
  readonly routers: readonly string[];
  readonly salt: Uint8Array;
  /** Nonce, ciphertext and tag of the PKCS#8 document. */
  readonly net: Uint8Array;
  /** The same of the session secret. */
  readonly jwt: Uint8Array;
  /** The same of the file key. */
  readonly file: Uint8Array;
}

/** 'wrong-password': the networking key does not decrypt. 'damaged': it does, and something else is wrong. */
export type OpenError = 'wrong-password' | 'damaged';

export const SALT_BYTES = 32;
export const SEED_BYTES = 32;
export const FILE_KEY_BYTES = 32;
/** Session secrets shorter than this are replaced (F32), and new ones have this length. */
export const SESSION_SECRET_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** PKCS#8 v2 around the seed and its public key. */
const PKCS8 = {
  head: Buffer.from('3051020101300506032b657004220420', 'hex'),
  middle: Buffer.from('812100', 'hex'),
} as const;
/** The older tagging of the public key, which is also read. */
const PKCS8_OLD = {
  head: Buffer.from('3053020101300506032b657004220420', 'hex'),
  middle: Buffer.from('a123032100', 'hex'),
} as const;
const HEAD_BYTES = PKCS8.head.length;

export interface SecretParts {
  readonly seed: Uint8Array;
  readonly sessionSecret: Uint8Array;
  readonly fileKey: Uint8Array;
}

/** What a keyfile protects. The views are into memory that `dispose` overwrites. */
export class KeyfileSecrets implements Disposable, SecretParts {
  /** 32 bytes, the Ed25519 private key. */
  readonly seed: Uint8Array;
  readonly sessionSecret: Uint8Array;
  /** 32 bytes. */
  readonly fileKey: Uint8Array;
  readonly #memory: Uint8Array;

  /** Copies the parts; the caller overwrites its own. */
  constructor(parts: SecretParts) {
    if (parts.seed.length !== SEED_BYTES) throw new RangeError('a seed has 32 bytes');
    if (parts.fileKey.length !== FILE_KEY_BYTES) throw new RangeError('a file key has 32 bytes');
    const fileKeyAt = SEED_BYTES;
    const sessionAt = fileKeyAt + FILE_KEY_BYTES;
    this.#memory = new Uint8Array(sessionAt + parts.sessionSecret.length);
    this.seed = this.#memory.subarray(0, fileKeyAt);
    this.fileKey = this.#memory.subarray(fileKeyAt, sessionAt);
    this.sessionSecret = this.#memory.subarray(sessionAt);
    this.seed.set(parts.seed);
    this.fileKey.set(parts.fileKey);
    this.sessionSecret.set(parts.sessionSecret);
  }

  /** The Ed25519 key. It lives on when this is disposed of. */
  networkingKey(): KeyObject {
    return createPrivateKey({
      key: this.seed,
      format: 'raw-private',
      asymmetricKeyType: 'ed25519',
    });
  }

  /** For `LoginIdentity.sessionSecret`. It lives on when this is disposed of. */
  sessionKey(): Secret<KeyObject> {
    return new Secret(createSecretKey(this.sessionSecret));
  }

  [Symbol.dispose](): void {
    this.#memory.fill(0);
  }
}

/** Bytes nobody can guess; tests hand in their own. */
export type Entropy = (bytes: number) => Uint8Array;

/**
 * Encrypts for a password. One key derivation.
 * @param entropy asked for the salt, then for one nonce each of net, jwt and file
 */
export async function sealKeyfile(
  owner: Pick<Keyfile, 'username' | 'routers'>,
  secrets: SecretParts,
  passwordHash: string,
  entropy: Entropy = randomBytes,
): Promise<Keyfile> {
  const salt = entropy(SALT_BYTES);
  const key = await deriveDiskKey(passwordHash, salt);
  const document = pkcs8Of(secrets.seed);
  try {
    return {
      username: owner.username,
      routers: owner.routers,
      salt,
      net: seal(key, entropy(NONCE_BYTES), document),
      jwt: seal(key, entropy(NONCE_BYTES), secrets.sessionSecret),
      file: seal(key, entropy(NONCE_BYTES), secrets.fileKey),
    };
  } finally {
    key.fill(0);
    document.fill(0);
  }
}

/**
 * Decrypts. One key derivation, whatever comes of it, and the same steps after it for every password: each part is decrypted and what
 * came out is compared as a whole, so that the time says nothing but yes or no. The caller disposes of the secrets.
 */
export async function openKeyfile(
  keyfile: Keyfile,
  passwordHash: string,
): Promise<Result<KeyfileSecrets, OpenError>> {
  const key = await deriveDiskKey(passwordHash, keyfile.salt);
  const net = unseal(key, keyfile.net);
  const jwt = unseal(key, keyfile.jwt);
  const file = unseal(key, keyfile.file);
  try {
    const seed = seedOf(net.plain);
    if (!net.authentic) return { ok: false, error: 'wrong-password' };
    const whole = jwt.authentic && file.authentic && file.plain.length === FILE_KEY_BYTES;
    if (seed === undefined || !whole) return { ok: false, error: 'damaged' };
    const parts = { seed, sessionSecret: jwt.plain, fileKey: file.plain };
    return { ok: true, value: new KeyfileSecrets(parts) };
  } finally {
    for (const bytes of [key, net.plain, jwt.plain, file.plain]) bytes.fill(0);
  }
}

/** The same secrets under another password, with a new salt and new nonces. Two key derivations. */
export async function changePassword(
  keyfile: Keyfile,
  hashes: { readonly from: string; readonly to: string },
  entropy: Entropy = randomBytes,
): Promise<Result<Keyfile, OpenError>> {
  const opened = await openKeyfile(keyfile, hashes.from);
  if (!opened.ok) return opened;
  using secrets = opened.value;
  return { ok: true, value: await sealKeyfile(keyfile, secrets, hashes.to, entropy) };
}

/** Whether its session secret can be guessed: keyfiles of the reference carry 16 bits (F32). Needs no password. */
export function hasWeakSessionSecret(keyfile: Keyfile): boolean {
  return keyfile.jwt.length - NONCE_BYTES - TAG_BYTES < SESSION_SECRET_BYTES;
}

/**
 * The keyfile with 32 fresh bytes as its session secret and all else as it was, to be written before the node takes logins (F32).
 * Every session made before is void. One key derivation.
 */
export async function renewSessionSecret(
  keyfile: Keyfile,
  passwordHash: string,
  entropy: Entropy = randomBytes,
): Promise<Result<Keyfile, OpenError>> {
  const key = await deriveDiskKey(passwordHash, keyfile.salt);
  const { plain, authentic } = unseal(key, keyfile.net);
  const secret = entropy(SESSION_SECRET_BYTES);
  try {
    if (!authentic) return { ok: false, error: 'wrong-password' };
    return { ok: true, value: { ...keyfile, jwt: seal(key, entropy(NONCE_BYTES), secret) } };
  } finally {
    for (const bytes of [key, plain, secret]) bytes.fill(0);
  }
}

function seal(key: Uint8Array, nonce: Uint8Array, plain: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

interface Unsealed {
  /** Zeros, as many as there would be, where it is not authentic. */
  readonly plain: Uint8Array;
  /** False: the wrong key, or bytes that changed. OpenSSL compares the tag in constant time. */
  readonly authentic: boolean;
}

function unseal(key: Uint8Array, blob: Uint8Array): Unsealed {
  if (blob.length < NONCE_BYTES + TAG_BYTES) return { plain: new Uint8Array(), authentic: false };
  const decipher = createDecipheriv('aes-256-gcm', key, blob.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAuthTag(blob.subarray(-TAG_BYTES));
  const plain = decipher.update(blob.subarray(NONCE_BYTES, -TAG_BYTES));
  try {
    decipher.final();
    return { plain, authentic: true };
  } catch {
    plain.fill(0);
    return { plain, authentic: false };
  }
}

function publicKeyOf(seed: Uint8Array): Uint8Array {
  const key = createPrivateKey({ key: seed, format: 'raw-private', asymmetricKeyType: 'ed25519' });
  return createPublicKey(key).export({ format: 'raw-public' });
}

function pkcs8Of(seed: Uint8Array): Uint8Array {
  return Buffer.concat([PKCS8.head, seed, PKCS8.middle, publicKeyOf(seed)]);
}

/** The seed of a document whose public key belongs to it; a view. All of it is compared, whatever the first bytes say. */
function seedOf(document: Uint8Array): Uint8Array | undefined {
  const seed = document.subarray(HEAD_BYTES, HEAD_BYTES + SEED_BYTES);
  if (seed.length !== SEED_BYTES) return undefined;
  const publicKey = publicKeyOf(seed);
  const start = document.subarray(0, HEAD_BYTES);
  const end = document.subarray(HEAD_BYTES + SEED_BYTES);
  const fits = [PKCS8, PKCS8_OLD].map(({ head, middle }) => {
    const parts = [equal(start, head), equal(end, Buffer.concat([middle, publicKey]))];
    return !parts.includes(false);
  });
  return fits.includes(true) ? seed : undefined;
}

/** In the same time for all contents of one length. */
function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
