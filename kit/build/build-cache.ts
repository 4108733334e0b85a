/** What was built from what, so that an unchanged process is not built again. Content decides, not time. */
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ProcessSource } from './sources.ts';
import { PROCESS_WIT } from './paths.ts';

/** Raised when this folder changes what it makes of the same sources. */
const BUILD_VERSION = 2;

const TOOLS = ['componentize-qjs', 'esbuild', '@bytecodealliance/jco-transpile', 'assemblyscript'];

interface Built {
  /** Of tools, language and engine. */
  readonly recipe: string;
  readonly inputs: readonly { readonly path: string; readonly hash: string }[];
  readonly wasmHash: string;
}

export type BuildRecord = Record<string, Built>;

/** Lower-case hex SHA-256. */
export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** What is remembered of earlier builds of a package; a missing or damaged file is an empty memory. */
export async function readRecord(folder: string): Promise<BuildRecord> {
  try {
    const record: unknown = JSON.parse(await readFile(recordPath(folder), 'utf8'));
    return typeof record === 'object' && record !== null ? (record as BuildRecord) : {};
  } catch {
    return {};
  }
}

export async function writeRecord(folder: string, record: BuildRecord): Promise<void> {
  await replaceFile(recordPath(folder), JSON.stringify(record, undefined, 1));
}

/** Whether `wasm` is what building `source` would give. */
export async function isFresh(
  built: Built | undefined,
  source: ProcessSource,
  expected: { readonly wasm: string; readonly recipe: string },
): Promise<boolean> {
  try {
    if (built === undefined || built.recipe !== (await recipeOf(source, expected.recipe)))
      return false;
    const entry = new Set(built.inputs.map((input) => input.path));
    if (!source.files.every((file) => entry.has(file))) return false;
    const now = await Promise.all([
      hashFile(expected.wasm).then((hash) => hash === built.wasmHash),
      ...built.inputs.map(async (input) => (await hashFile(input.path)) === input.hash),
    ]);
    return now.every(Boolean);
  } catch {
    return false; // Unreadable record or vanished input: build.
  }
}

export async function remember(
  source: ProcessSource,
  made: {
    readonly inputs: readonly string[];
    readonly component: Uint8Array;
    readonly recipe: string;
  },
): Promise<Built> {
  const { inputs, component, recipe } = made;
  return {
    recipe: await recipeOf(source, recipe),
    inputs: await Promise.all(
      [...new Set(inputs)].map(async (path) => ({ path, hash: await hashFile(path) })),
    ),
    wasmHash: sha256(component),
  };
}

/** Writes beside and renames, so that no reader sees half a file. */
export async function replaceFile(path: string, content: Uint8Array | string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const beside = `${path}.${process.pid}.tmp`;
  await writeFile(beside, content);
  await rename(beside, path);
}

/** @param more what else the product depends on, such as what it is built together with */
async function recipeOf(source: ProcessSource, more: string): Promise<string> {
  const contract = await hashFile(PROCESS_WIT);
  return sha256(
    [BUILD_VERSION, contract, source.language, source.engine, more, ...toolVersions()].join('\n'),
  );
}

let versions: readonly string[] | undefined;

function toolVersions(): readonly string[] {
  const require = createRequire(import.meta.url);
  versions ??= TOOLS.map((tool) => {
    try {
      const { version } = require(`${tool}/package.json`) as { version: string };
      return `${tool}@${version}`;
    } catch {
      return `${tool}: absent or sealed`;
    }
  });
  return versions;
}

async function hashFile(path: string): Promise<string> {
  return sha256(await readFile(path));
}

function recordPath(folder: string): string {
  return join(folder, 'target', 'build.json');
}
