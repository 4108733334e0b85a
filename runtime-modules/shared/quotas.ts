/**
 * What a package may use of the node's storage, from `<home>/quotas.json`, which only the owner writes:
 *
 *   {"default": {"bytes": 1000000000}, "packages": {"a:b": {"bytes": 5000000000, "handles": 64}}}
 *
 * Every field may be left out: a package's counts first, then the default's, then what is built in.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parsePackageId } from '../../wit/address.ts';
import type { PackageId } from '../../wit/types.ts';
import { errorCode } from './io-error.ts';

export interface Quota {
  /** Bytes of files and databases. */
  readonly bytes: number;
  /** Open file handles; more are closed and reopened as needed, so this slows and never fails. */
  readonly handles: number;
  /** Requests to one runtime module that are not answered yet, of all its processes; further ones wait. */
  readonly operations: number;
}

/** A package's files and databases together, unless the owner says otherwise. */
export const QUOTA_BYTES_DEFAULT = 64 * 1024 ** 3;
/** Open handles of a package, unless the owner says otherwise. */
export const QUOTA_HANDLES_DEFAULT = 1024;
/** Unanswered requests of a package to one module, unless the owner says otherwise. */
export const QUOTA_OPERATIONS_DEFAULT = 4000;

const FILE = 'quotas.json';
const BUILT_IN: Quota = {
  bytes: QUOTA_BYTES_DEFAULT,
  handles: QUOTA_HANDLES_DEFAULT,
  operations: QUOTA_OPERATIONS_DEFAULT,
};

export interface Quotas {
  of(pkg: PackageId): Quota;
}

/** For who needs no limits, such as a module on its own. */
export const UNLIMITED: Quotas = {
  of: () => ({ bytes: Infinity, handles: Infinity, operations: Infinity }),
};

/** No file: the built-in quotas. @throws Error whose message names the file and what is wrong in it */
export async function readQuotas(home: string): Promise<Quotas> {
  const path = join(home, FILE);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return { of: () => BUILT_IN };
    throw error;
  }
  try {
    return parseQuotas(JSON.parse(text));
  } catch (cause) {
    throw new Error(
      `${path}: ${(cause as Error).message}. Mend it, or delete it for the defaults.`,
      {
        cause,
      },
    );
  }
}

/** @throws Error saying where the value is wrong; a misspelt limit must not be no limit */
export function parseQuotas(value: unknown): Quotas {
  const { default: general = {}, packages = {} } = fields(value, '', ['default', 'packages']);
  const usual = quotaOf(general, 'default', BUILT_IN);
  if (typeof packages !== 'object' || packages === null)
    throw new Error('"packages" must be an object');
  const byPackage = new Map<string, Quota>();
  for (const [name, own] of Object.entries(packages)) {
    if (!parsePackageId(name).ok) throw new Error(`"${name}" is no package:publisher`);
    byPackage.set(name, quotaOf(own, name, usual));
  }
  return { of: (pkg) => byPackage.get(pkg) ?? usual };
}

function quotaOf(value: unknown, where: string, base: Quota): Quota {
  const given = fields(value, where, ['bytes', 'handles', 'operations']);
  const number = (name: keyof Quota, min: number): number => {
    const each = given[name] ?? base[name];
    if (typeof each === 'number' && Number.isSafeInteger(each) && each >= min) return each;
    throw new Error(`"${name}" of ${where} must be a whole number from ${min} on`);
  };
  return {
    bytes: number('bytes', 0),
    handles: number('handles', 1),
    operations: number('operations', 1),
  };
}

function fields(
  value: unknown,
  where: string,
  known: readonly string[],
): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${where === '' ? 'it' : `"${where}"`} must be an object`);
  const odd = Object.keys(value).find((name) => !known.includes(name));
  if (odd !== undefined) throw new Error(`"${odd}" is not known; there are ${known.join(', ')}`);
  return value as Readonly<Record<string, unknown>>;
}
