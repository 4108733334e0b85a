/** An example job on disk: its spec, its program, its inputs, and what comes of it, exactly. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DocumentValue } from '../../../wit/canonical-json.ts';

export interface Example {
  readonly name: string;
  readonly folder: string;
  /** As written; complete, with the hashes of its inputs and of its module. */
  readonly spec: { readonly [member: string]: DocumentValue };
  /** By path below `in/`. */
  readonly inputs: Readonly<Record<string, Buffer>>;
  /** The AssemblyScript of a wasm job. */
  readonly source: string | undefined;
  readonly expected: Expected | undefined;
}

export interface Expected {
  readonly status: number;
  readonly stdout: string;
  /** SHA-256 by path. */
  readonly files: Readonly<Record<string, string>>;
}

/** Names of all examples. */
export async function exampleNames(): Promise<string[]> {
  const entries = await readdir(import.meta.dirname, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

export async function readExample(name: string): Promise<Example> {
  const folder = join(import.meta.dirname, name);
  // Proof of the types: the files are this repository's, and the specs are checked when they run.
  const json = async <T>(file: string): Promise<T> =>
    JSON.parse(await readFile(join(folder, file), 'utf8')) as T;
  const source = join(folder, 'job.as.ts');
  return {
    name,
    folder,
    spec: await json<Example['spec']>('spec.json'),
    inputs: await inputsOf(join(folder, 'in')),
    source: existsSync(source) ? source : undefined,
    expected: existsSync(join(folder, 'expected.json'))
      ? await json<Expected>('expected.json')
      : undefined,
  };
}

async function inputsOf(folder: string): Promise<Record<string, Buffer>> {
  if (!existsSync(folder)) return {};
  const names = (await readdir(folder)).toSorted();
  const read = names.map(async (name) => [name, await readFile(join(folder, name))] as const);
  return Object.fromEntries(await Promise.all(read));
}

export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The members of a spec that follow from files. */
export function listed(
  inputs: Example['inputs'],
  module: Uint8Array | undefined,
): { readonly [member: string]: DocumentValue } {
  return {
    inputs: Object.entries(inputs).map(([path, bytes]) => ({
      path,
      size: bytes.length,
      sha256: sha256(bytes),
    })),
    ...(module === undefined ? {} : { module: { sha256: sha256(module), size: module.length } }),
  };
}
