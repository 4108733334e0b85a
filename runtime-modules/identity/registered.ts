/** The identity of a registered node: what an opened keyfile and the chain say, as the node uses it. */
import { createPublicKey, createSecretKey } from 'node:crypto';
import type { Identity } from './development.ts';
import { type Keyfile, type KeyfileSecrets, openKeyfile } from './keyfile.ts';
import { encodeKeyfile } from './keyfile-format.ts';
import type { Routing } from './routing.ts';
import { Secret } from './secret.ts';

/** A keyfile, what is inside it, and how its node is reached. Who has one disposes of the secrets. */
export interface OpenedNode {
  readonly keyfile: Keyfile;
  readonly secrets: KeyfileSecrets;
  readonly routing: Routing;
}

/** The secrets live on in key objects, outside of the heap; those of the keyfile are overwritten (F33). */
export function registeredIdentity({ keyfile, secrets, routing }: OpenedNode): Identity {
  using opened = secrets;
  const networkingKey = opened.networkingKey();
  return {
    name: keyfile.username,
    networkingKey,
    publicKeyHex: createPublicKey(networkingKey).export({ format: 'raw-public' }).toString('hex'),
    development: false,
    sessionSecret: opened.sessionKey(),
    fileKey: new Secret(createSecretKey(opened.fileKey)),
    routing,
    async unlock(passwordHash) {
      const unlocked = await openKeyfile(keyfile, passwordHash);
      if (unlocked.ok) unlocked.value[Symbol.dispose]();
      return unlocked.ok;
    },
    encryptedKeyfile: () => Promise.resolve(encodeKeyfile(keyfile)),
  };
}
