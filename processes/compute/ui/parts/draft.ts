/** What is typed into the form, and the job spec that it makes (compute-market.md §3.2). Pure. */
import {
  canonicalJson,
  type DocumentValue,
  isObject,
  parseDocument,
} from '../../../../wit/canonical-json.ts';
import { completeSpec, type JobSpec } from '../../../../wit/jobs/spec.ts';
import type { HashedFile } from './files.ts';

export type Kind = 'builtin' | 'wasm' | 'container' | 'spec';

export interface Draft {
  readonly kind: Kind;
  readonly fn: string;
  /** Of the function, as JSON. */
  readonly args: string;
  readonly image: string;
  /** As one would type it; words, or quoted. */
  readonly command: string;
  readonly module: HashedFile | undefined;
  readonly inputs: readonly HashedFile[];
  readonly type: string;
  readonly gpus: string;
  readonly vramMiB: string;
  readonly timeoutS: string;
  readonly priority: string;
  readonly verify: string;
  readonly replicas: string;
  readonly label: string;
  /** The whole spec as JSON, for what the form has no field for. */
  readonly text: string;
}

/** Functions that every extension has, with arguments to begin with. */
export const FUNCTIONS: readonly (readonly [name: string, args: string, what: string])[] = [
  ['sha256', '{}', 'The SHA-256 of the files, one behind another'],
  ['echo', '{"text":"hello"}', 'Says what it is told'],
  ['primes', '{"below":1000000}', 'All primes below a number'],
  ['mandelbrot', '{"width":512,"height":512,"iterations":255}', 'A picture of the set'],
  ['embed-hash-384', '{}', 'Vectors of 384 numbers for the lines of the files'],
  ['sleep', '{"ms":10000,"everyMs":1000}', 'Waits, and says so'],
];

export const EMPTY: Draft = {
  kind: 'builtin',
  fn: 'sha256',
  args: '{}',
  image: '',
  command: '',
  module: undefined,
  inputs: [],
  type: 'custom',
  gpus: '0',
  vramMiB: '',
  timeoutS: '',
  priority: 'normal',
  verify: 'exact',
  replicas: '',
  label: '',
  text: '',
};

export type Made =
  | { readonly ok: true; readonly spec: JobSpec }
  | { readonly ok: false; readonly problem: string };

/** Checked as the market checks it. */
export function specOf(draft: Draft): Made {
  const document = documentOf(draft);
  if (typeof document === 'string') return { ok: false, problem: document };
  const read = completeSpec(document);
  if (read.ok) return { ok: true, spec: read.value };
  const { where, message } = read.error;
  return {
    ok: false,
    problem: where === '' || message.startsWith(where) ? message : `${where}: ${message}`,
  };
}

/** The form as a spec that can be changed by hand. */
export function textOf(draft: Draft): string {
  const made = specOf(draft);
  if (!made.ok) return draft.text;
  return JSON.stringify(JSON.parse(canonicalJson(made.spec)), undefined, 2);
}

/** @returns what is wrong, as text */
function documentOf(draft: Draft): { readonly [name: string]: DocumentValue } | string {
  if (draft.kind === 'spec') {
    const read = parseDocument(draft.text);
    if (!read.ok) return `this is no JSON that can be hashed: ${read.error}`;
    return isObject(read.value) ? read.value : 'a spec is an object';
  }
  const work = workOf(draft);
  if (typeof work === 'string') return work;
  const { gpus, vramMiB, timeoutS, replicas, verify, label, inputs } = draft;
  for (const [name, text] of Object.entries({ gpus, vramMiB, timeoutS, replicas }))
    if (text !== '' && !/^\d{1,9}$/.test(text)) return `${NUMBERS[name]} is a whole number`;
  const count = Number(gpus);
  const gpu = {
    count,
    ...(vramMiB === '' ? {} : { minVramMiB: Number(vramMiB) }),
  };
  return {
    v: 1,
    type: draft.type,
    ...work,
    inputs: inputs.map(({ file, sha256 }) => ({ path: file.name, size: file.size, sha256 })),
    ...(count === 0 ? {} : { require: { gpu } }),
    ...(timeoutS === '' ? {} : { limits: { timeoutS: Number(timeoutS) } }),
    ...(draft.priority === 'normal' ? {} : { priority: draft.priority }),
    ...(verify === 'exact' && replicas === ''
      ? {}
      : { verify: { mode: verify, ...(replicas === '' ? {} : { replicas: Number(replicas) }) } }),
    ...(label.trim() === '' ? {} : { label: label.trim() }),
  };
}

const NUMBERS: Readonly<Record<string, string>> = {
  gpus: 'the number of GPUs',
  vramMiB: 'the memory of a GPU',
  timeoutS: 'the time limit',
  replicas: 'the number of runs',
};

function workOf(draft: Draft): { readonly [name: string]: DocumentValue } | string {
  switch (draft.kind) {
    case 'builtin': {
      const args = parseDocument(draft.args.trim() === '' ? '{}' : draft.args);
      if (!args.ok || !isObject(args.value)) return 'the arguments are no JSON object';
      if (draft.fn.trim() === '') return 'which function?';
      return { kind: 'builtin', entry: { fn: draft.fn.trim(), args: args.value } };
    }
    case 'wasm': {
      if (draft.module === undefined) return 'choose a WebAssembly component';
      const { file, sha256 } = draft.module;
      const cmd = [file.name, ...wordsOf(draft.command)];
      return { kind: 'wasm', module: { sha256, size: file.size }, entry: { cmd } };
    }
    case 'container': {
      if (draft.image.trim() === '') return 'which image? As repository@sha256:…';
      const cmd = wordsOf(draft.command);
      return {
        kind: 'container',
        image: draft.image.trim(),
        entry: cmd.length === 0 ? {} : { cmd: [...cmd] },
      };
    }
    case 'spec':
      return 'a spec is taken as it is';
  }
}

/** Words of a command line; quotes hold words together. There is no shell: nothing else means anything. */
export function wordsOf(command: string): readonly string[] {
  const found = command.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g);
  return [...found].map(([, double, single, plain]) => double ?? single ?? plain ?? '');
}
