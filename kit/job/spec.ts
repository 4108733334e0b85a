/** What is to be computed, from a file or from flags, as the spec that the market hashes; checked here before anything is sent. */
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import {
  canonicalJson,
  type DocumentValue,
  isObject,
  parseDocument,
} from '../../wit/canonical-json.ts';
import { completeSpec, type JobSpec, SPEC_CHARS_MAX } from '../../wit/jobs/spec.ts';
import { JobError } from './job-error.ts';
import { type LocalFile, localFile, localModule } from './local-files.ts';
import { type Filled, filledIn, SPEC_FILE } from './spec-folder.ts';

/** Flags of what is to be run; of `submit` and `cost`. */
export const SPEC_ARGS = {
  fn: { type: 'string', description: 'run a function of the provider, such as sha256' },
  wasm: {
    type: 'string',
    description: 'run a WebAssembly module or component, or a source that is built: .as.ts or .c',
  },
  image: { type: 'string', description: 'run a container, repository@sha256:...' },
  args: { type: 'string', description: 'arguments of --fn, a JSON object' },
  type: { type: 'string', description: 'custom, inference, training, rendering or embedding' },
  gpu: { type: 'string', description: 'how many GPUs it needs' },
  vram: { type: 'string', description: 'MiB that each GPU has at least' },
  cpu: { type: 'string', description: 'thousandths of a core' },
  memory: { type: 'string', description: 'MiB of memory' },
  timeout: { type: 'string', description: 'seconds that one run may take' },
  attempts: { type: 'string', description: 'how often it may be tried' },
  priority: { type: 'string', description: 'low, normal, high or urgent; it changes the price' },
  verify: {
    type: 'string',
    description: 'how results are compared: exact, tolerance, image or none',
  },
  replicas: {
    type: 'string',
    description: 'how many nodes of different operators run it; what most come to counts',
  },
  label: { type: 'string', description: 'what it is called in lists' },
} as const;

export type SpecFlags = { readonly [K in keyof typeof SPEC_ARGS]?: string | undefined };

export interface WantedJob {
  readonly spec: JobSpec;
  /** What is here of its inputs and its module. */
  readonly files: readonly LocalFile[];
}

/**
 * @param words  a spec file or a folder with one, or with --fn, --wasm or --image input files
 * @param command  what came after --
 * @throws JobError
 */
export async function wantedJob(
  flags: SpecFlags,
  words: readonly string[],
  command: readonly string[],
): Promise<WantedJob> {
  const kinds = [flags.fn, flags.wasm, flags.image].filter((flag) => flag !== undefined);
  if (kinds.length > 1) throw new JobError('bad-flags', 'one of --fn, --wasm and --image');
  const made =
    kinds.length === 0 ? await ofFile(words, command) : await ofFlags(flags, words, command);
  const document = withFlags(made.document, flags);
  const read = completeSpec(document);
  if (read.ok) return { spec: read.value, files: made.files };
  const { code, where, message } = read.error;
  throw new JobError(
    'bad-spec',
    `the spec: ${where === '' ? '' : `${where}: `}${message} (${code})`,
    {
      reason: code,
    },
  );
}

type Document = { readonly [name: string]: DocumentValue };

/** Of a file, or of a folder with one (spec-folder.ts). */
async function ofFile(words: readonly string[], command: readonly string[]): Promise<Filled> {
  const [named, ...more] = words;
  if (named === undefined || more.length > 0 || command.length > 0) {
    throw new JobError(
      'bad-flags',
      'what is to be run? A spec file or a folder with one, or --fn, --wasm or --image',
    );
  }
  const isFolder = (await stat(named).catch(() => undefined))?.isDirectory() === true;
  const path = isFolder ? join(named, SPEC_FILE) : named;
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new JobError('file', `${path} cannot be read`, { cause: error });
  });
  if (text.length > SPEC_CHARS_MAX)
    throw new JobError('bad-spec', `${path} is too long for a spec`);
  const read = parseDocument(text);
  if (!read.ok) throw new JobError('bad-spec', `${path}: ${read.error}`);
  if (!isObject(read.value)) throw new JobError('bad-spec', `${path} is no JSON object`);
  return filledIn(read.value, dirname(path));
}

async function ofFlags(
  flags: SpecFlags,
  words: readonly string[],
  command: readonly string[],
): Promise<Filled> {
  const inputs = await Promise.all(words.map(localFile));
  const common = {
    v: 1,
    type: flags.type ?? 'custom',
    inputs: inputs.map(({ from, size, sha256 }) => ({ path: basename(from), size, sha256 })),
  };
  const { fn, wasm, image } = flags;
  if (fn !== undefined) {
    if (command.length > 0) throw new JobError('bad-flags', 'a function takes --args, no command');
    const entry = { fn, ...(flags.args === undefined ? {} : { args: argsOf(flags.args) }) };
    return { document: { ...common, kind: 'builtin', entry }, files: inputs };
  }
  if (flags.args !== undefined) throw new JobError('bad-flags', '--args goes with --fn');
  if (wasm !== undefined) {
    const module = await localModule(wasm);
    const { size, sha256 } = module;
    // As programs have it: the first word is their own name.
    const entry = { cmd: [basename(wasm), ...command] };
    return {
      document: { ...common, kind: 'wasm', module: { size, sha256 }, entry },
      files: [...inputs, module],
    };
  }
  const entry = command.length === 0 ? {} : { cmd: [...command] };
  return { document: { ...common, kind: 'container', image: image ?? '', entry }, files: inputs };
}

function argsOf(text: string): DocumentValue {
  const read = parseDocument(text);
  if (read.ok && isObject(read.value)) return read.value;
  throw new JobError('bad-flags', `--args is a JSON object${read.ok ? '' : `: ${read.error}`}`);
}

/** What flags say beside what is run; over what a file says. */
function withFlags(document: Document, flags: SpecFlags): Document {
  const { limits, require, retry, verify } = document;
  const given = (value: DocumentValue | undefined): Document =>
    value !== undefined && isObject(value) ? value : {};
  const limited = numbers(flags, { cpu: 'cpuMilli', memory: 'memMiB', timeout: 'timeoutS' });
  const tries = numbers(flags, { attempts: 'maxAttempts' });
  const gpu = numbers(flags, { gpu: 'count', vram: 'minVramMiB' });
  const made: Record<string, DocumentValue> = { ...document };
  if (Object.keys(limited).length > 0) made['limits'] = { ...given(limits), ...limited };
  if (Object.keys(tries).length > 0) made['retry'] = { ...given(retry), ...tries };
  if (Object.keys(gpu).length > 0)
    made['require'] = { ...given(require), gpu: { ...given(given(require)['gpu']), ...gpu } };
  const runs = numbers(flags, { replicas: 'replicas' });
  const mode = flags.verify ?? given(verify)['mode'] ?? 'exact';
  if (flags.verify !== undefined || flags.replicas !== undefined)
    made['verify'] = { ...given(verify), mode, ...runs };
  for (const name of ['type', 'priority', 'label'] as const) {
    const value = flags[name];
    if (value !== undefined) made[name] = value;
  }
  return made;
}

/** Flags that are numbers, under the names that the spec has for them. */
function numbers(
  flags: SpecFlags,
  names: Partial<Record<keyof SpecFlags, string>>,
): Record<string, DocumentValue> {
  const found: Record<string, DocumentValue> = {};
  for (const [flag, name] of Object.entries(names)) {
    // Proof of the type: these are the keys above.
    const text = flags[flag as keyof SpecFlags];
    if (text === undefined) continue;
    if (!/^\d{1,9}$/.test(text)) throw new JobError('bad-flags', `--${flag} is a whole number`);
    found[name] = Number(text);
  }
  return found;
}

/** The text that is hashed and sent. */
export function specText(spec: JobSpec): string {
  return canonicalJson(spec);
}
