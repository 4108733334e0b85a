/** From a keyfile and a password to what is inside, with a session secret that nobody can guess (F32). */
import type { Result } from '../../wit/types.ts';
import {
  hasWeakSessionSecret,
  type Keyfile,
  type KeyfileSecrets,
  openKeyfile,
  type OpenError,
  renewSessionSecret,
} from './keyfile.ts';
import { splitName } from './registration/name-state.ts';

export interface StrongKeyfile {
  /** As it should be on disk from now on. */
  readonly keyfile: Keyfile;
  /** The caller disposes of them. */
  readonly secrets: KeyfileSecrets;
  /** The session secret was weak and is another now: the keyfile is to be written before anybody logs in. */
  readonly renewed: boolean;
}

/** One key derivation, and two more when a weak session secret is replaced. */
export async function openStrong(
  keyfile: Keyfile,
  passwordHash: string,
): Promise<Result<StrongKeyfile, OpenError>> {
  const opened = await openKeyfile(keyfile, passwordHash);
  if (!opened.ok) return opened;
  if (splitName(keyfile.username) === undefined) {
    // The name is outside of what is authentic, and goes into headers and onto screens.
    opened.value[Symbol.dispose]();
    return { ok: false, error: 'damaged' };
  }
  if (!hasWeakSessionSecret(keyfile))
    return { ok: true, value: { keyfile, secrets: opened.value, renewed: false } };
  opened.value[Symbol.dispose]();
  const renewed = await renewSessionSecret(keyfile, passwordHash);
  if (!renewed.ok) return renewed;
  const again = await openKeyfile(renewed.value, passwordHash);
  if (!again.ok) return again;
  return { ok: true, value: { keyfile: renewed.value, secrets: again.value, renewed: true } };
}
