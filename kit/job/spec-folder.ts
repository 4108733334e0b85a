/**
 * A job as a folder: `spec.json`, its inputs below `in/`, and of a wasm job the module or its source. What the spec says of files is
 * filled in from what lies beside it, or checked against it.
 */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';
import { type DocumentValue, isObject } from '../../wit/canonical-json.ts';
import { JobError } from './job-error.ts';
import { isJobSource, type LocalFile, localFile, localModule } from './local-files.ts';

type Document = { readonly [name: string]: DocumentValue };

/** A folder's spec, and what it has for inputs and module, in the order in which they are looked for. */
export const SPEC_FILE = 'spec.json';
const INPUTS = 'in';
const MODULES = ['job.wasm', 'job.as.ts', 'job.c'] as const;

export interface Filled {
  readonly document: Document;
  readonly files: readonly LocalFile[];
}

/**
 * The spec with sizes and hashes. An input or module names its file with `from`; else it is `in/` and its path, or the folder's module, if they
 * are there. What is not there the market may have. A spec without `inputs` has all that is in `in/`.
 * @param folder  of the spec
 * @throws JobError for files that are not there, and for those that are not what the spec says they are
 */
export async function filledIn(document: Document, folder: string): Promise<Filled> {
  const files: LocalFile[] = [];
  const fill = async (
    value: DocumentValue,
    usual: string | undefined,
    read: (path: string) => Promise<LocalFile>,
  ): Promise<DocumentValue> => {
    if (!isObject(value)) return value;
    const { from, ...rest } = value;
    if (typeof from !== 'string' && usual === undefined) return value;
    const file = await read(typeof from === 'string' ? resolve(folder, from) : usual!);
    mustBe(rest, file);
    files.push(file);
    return { ...rest, size: file.size, sha256: file.sha256 };
  };
  const inputs = document['inputs'] ?? (await allInputs(folder));
  const filled = Array.isArray(inputs)
    ? await Promise.all(inputs.map((each) => fill(each, inputBeside(each, folder), localFile)))
    : inputs;
  const isWasm = document['kind'] === 'wasm';
  const module = document['module'] ?? (isWasm ? {} : undefined);
  const beside = isWasm ? moduleBeside(folder) : undefined;
  if (document['module'] === undefined && isWasm && beside === undefined)
    throw new JobError(
      'file',
      `${folder} has no ${MODULES.join(', ')}: "module":{"from":"FILE"} names one`,
    );
  return {
    document: {
      ...document,
      inputs: filled,
      ...(module === undefined ? {} : { module: await fill(module, beside, localModule) }),
    },
    files,
  };
}

/** A spec may say what a file is to be; what is there has to be that. */
function mustBe({ sha256, size }: Document, file: LocalFile): void {
  if ((sha256 ?? file.sha256) === file.sha256 && (size ?? file.size) === file.size) return;
  const is = isJobSource(file.from) ? 'is built to' : 'is';
  throw new JobError(
    'bad-hash',
    `${file.from} ${is} ${file.size} bytes with the SHA-256 ${file.sha256}, which is not what the spec says; without "size" and "sha256" it says nothing`,
  );
}

function inputBeside(input: DocumentValue, folder: string): string | undefined {
  if (!isObject(input) || typeof input['path'] !== 'string') return undefined;
  const within = join(folder, INPUTS);
  const path = join(within, input['path']);
  return path.startsWith(within + sep) && existsSync(path) ? path : undefined;
}

function moduleBeside(folder: string): string | undefined {
  return MODULES.map((name) => join(folder, name)).find((path) => existsSync(path));
}

async function allInputs(folder: string): Promise<Document[]> {
  const within = join(folder, INPUTS);
  if (!existsSync(within)) return [];
  const entries = await readdir(within, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => relative(within, join(parentPath, name)).replaceAll(sep, '/'))
    .toSorted()
    .map((path) => ({ path }));
}
