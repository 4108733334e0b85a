/**
 * A made-up identity for development nodes (`npm start`, `--fake-node-name`): a name nobody owns and an Ed25519 key, made once and
 * kept in the home, readable by its owner only. All else that a node keeps secret is derived from that key. Real identities
 * (keyfile, registration) are another module's.
 */
import {
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';
import { chmod, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { FILE_KEY_BYTES, sealKeyfile, SESSION_SECRET_BYTES } from './keyfile.ts';
import { encodeKeyfile } from './keyfile-format.ts';
import type { LoginIdentity } from './login-identity.ts';
import type { Routing } from './routing.ts';
import { Secret } from './secret.ts';

/** What a node is to others, and what logging in to it needs. `networkingKey` never leaves it. */
export interface Identity extends LoginIdentity {
  /** Ed25519, the one that signs capabilities and handshakes. */
  readonly networkingKey: KeyObject;
  /** The 32 bytes of its public half, as lower-case hex. */
  readonly publicKeyHex: string;
  /** 32 bytes, under which what the node keeps for its owner is sealed (F41). */
  readonly fileKey: Secret<KeyObject>;
  readonly routing: Routing;
}

export class IdentityError extends Error {
  override readonly name = 'IdentityError';
  readonly code:
    | 'invalid-name'
    | 'damaged'
    | 'other-name'
    | 'unreadable'
    | 'not-registered'
    | 'wrong-password'
    | 'other-key'
    | 'chain';
  constructor(code: IdentityError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export const DEVELOPMENT_KEY_FILE = '.development-key';
/** What the keyfile of a development node opens with; the reference's fake nodes use it as it is, unhashed (networking.md §15). */
export const DEVELOPMENT_PASSWORD = 'secret';
const NAME_LENGTH_MAX = 63;
const NAME = /^[a-z0-9-]+(\.[a-z0-9-]+)+$/;

/** Whether a development node may be called so: letters, digits and dashes, with at least one dot (`alice.dev`). */
export function isDevelopmentName(name: string): boolean {
  return name.length <= NAME_LENGTH_MAX && NAME.test(name);
}

/**
 * The identity kept in `home`, or a new one.
 * @param name undefined: the name kept, or `fake.os` for a new home
 * @throws IdentityError when the name is bad or not the one kept, or the file is damaged
 */
export async function developmentIdentity(
  home: string,
  name: string | undefined,
): Promise<Identity> {
  if (name !== undefined && !isDevelopmentName(name)) {
    throw new IdentityError(
      'invalid-name',
      `"${name}" cannot name a node: use letters a-z, digits and dashes with at least one dot, such as alice.dev.`,
    );
  }
  const path = join(home, DEVELOPMENT_KEY_FILE);
  let content: string;
  try {
    content = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return create(path, name ?? 'fake.os');
    throw new IdentityError('unreadable', `${path} cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
  const kept = decode(path, content);
  if (name !== undefined && name !== kept.name) {
    throw new IdentityError(
      'other-name',
      `this home belongs to ${kept.name}; start it under that name, or give ${name} a home of its own.`,
    );
  }
  await chmod(path, 0o600).catch(() => undefined);
  return kept;
}

async function create(path: string, name: string): Promise<Identity> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64');
  // Whole or not at all: a key cut short by a power failure would lock its owner out.
  const file = await open(`${path}.new`, 'w', 0o600);
  try {
    await file.writeFile(`${JSON.stringify({ name, networking_key: pkcs8 })}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  return identity(name, privateKey);
}

function decode(path: string, content: string): Identity {
  try {
    const { name, networking_key } = JSON.parse(content) as Record<string, unknown>;
    if (typeof name !== 'string' || !isDevelopmentName(name))
      throw new Error('it has no valid "name"');
    if (typeof networking_key !== 'string') throw new Error('it has no "networking_key"');
    const key = createPrivateKey({
      key: Buffer.from(networking_key, 'base64'),
      format: 'der',
      type: 'pkcs8',
    });
    if (key.asymmetricKeyType !== 'ed25519') throw new Error('its key is not Ed25519');
    return identity(name, key);
  } catch (error) {
    throw new IdentityError(
      'damaged',
      `${path} is damaged: ${(error as Error).message}. Put a copy back, or delete the file for a new key (others will see another node).`,
      { cause: error },
    );
  }
}

function identity(name: string, networkingKey: KeyObject): Identity {
  const jwk = createPublicKey(networkingKey).export({ format: 'jwk' });
  const publicKeyHex = Buffer.from(jwk.x as string, 'base64url').toString('hex');
  const seed = networkingKey.export({ format: 'raw-private' });
  const secret = derive(seed, 'session secret', SESSION_SECRET_BYTES);
  const sessionSecret = new Secret(createSecretKey(secret));
  const fileSecret = derive(seed, 'file key', FILE_KEY_BYTES);
  const fileKey = new Secret(createSecretKey(fileSecret));
  for (const bytes of [seed, secret, fileSecret]) bytes.fill(0);
  let keyfile: Promise<Uint8Array> | undefined;
  return {
    name,
    networkingKey,
    publicKeyHex,
    development: true,
    sessionSecret,
    fileKey,
    routing: { kind: 'direct', ip: '127.0.0.1', ports: {} },
    unlock: () => Promise.resolve(true),
    // Made when somebody first logs in, and once: it takes a key derivation. A failure is not kept.
    async encryptedKeyfile() {
      keyfile ??= keyfileOf(name, networkingKey);
      try {
        return Uint8Array.from(await keyfile);
      } catch (error) {
        keyfile = undefined;
        throw error;
      }
    },
  };
}

/** The same bytes at every start, salt and nonces included, so that a copy somebody saved stays the keyfile of this node. */
async function keyfileOf(name: string, networkingKey: KeyObject): Promise<Uint8Array> {
  const seed = networkingKey.export({ format: 'raw-private' });
  const sessionSecret = derive(seed, 'session secret', SESSION_SECRET_BYTES);
  const fileKey = derive(seed, 'file key', FILE_KEY_BYTES);
  let asked = 0;
  // One key encrypts one plaintext per nonce, and always the same: nothing is learnt from seeing it twice.
  const entropy = (bytes: number): Uint8Array => derive(seed, `keyfile ${(asked += 1)}`, bytes);
  try {
    return encodeKeyfile(
      await sealKeyfile(
        { username: name, routers: [] },
        { seed, sessionSecret, fileKey },
        DEVELOPMENT_PASSWORD,
        entropy,
      ),
    );
  } finally {
    for (const bytes of [seed, sessionSecret, fileKey]) bytes.fill(0);
  }
}

function derive(seed: Uint8Array, purpose: string, bytes: number): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', seed, '', `hyperloom development ${purpose}`, bytes));
}
