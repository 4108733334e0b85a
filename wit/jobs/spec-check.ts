/** Every rule of a job spec but the hash (compute-market.md §3.2, §3.6, §9.2, §17.1). */
import { isObject, type DocumentValue } from '../canonical-json.ts';
import { CUSTOM_LEAST, CUSTOM_MOST, JOB_TYPES, LIMIT_NAMES, TYPE_LIMITS } from './limits.ts';
import type { JobType } from './limits.ts';
import { clashingPath, pathProblem } from './paths.ts';
import {
  GPU_VENDORS,
  ISOLATIONS,
  JOB_KINDS,
  PRIORITIES,
  VERIFY_MODES,
  type JobKind,
  type SpecError,
  type SpecErrorCode,
} from './spec-shape.ts';

/** Thrown inside this file only: the first rule that is broken. */
class Broken extends Error {
  readonly code: SpecErrorCode;
  readonly where: string;
  constructor(code: SpecErrorCode, where: string, message: string) {
    super(message);
    this.code = code;
    this.where = where;
  }
}

type Check = (value: DocumentValue, where: string) => void;

const bad = (where: string, expected: string): never => {
  throw new Broken('BAD_VALUE', where, `${where || 'the spec'} must be ${expected}`);
};
const at = (where: string, step: string | number): string =>
  where === '' ? `${step}` : `${where}.${step}`;

const text =
  (max: number, pattern?: RegExp, what = `text of at most ${max} characters`): Check =>
  (value, where) => {
    if (typeof value !== 'string' || value.length > max || pattern?.test(value) === false)
      bad(where, what);
  };
const integer =
  (least = 0, most = Number.MAX_SAFE_INTEGER): Check =>
  (value, where) => {
    if (typeof value !== 'number' || value < least || value > most) {
      bad(where, `an integer from ${least} to ${most}`);
    }
  };
const oneOf =
  (...names: readonly (string | number)[]): Check =>
  (value, where) => {
    if (!names.includes(value as string | number)) bad(where, `one of ${names.join(', ')}`);
  };
const flag: Check = (value, where) => {
  if (typeof value !== 'boolean') bad(where, 'true or false');
};
const list =
  (item: Check, most: number, least = 0): Check =>
  (value, where) => {
    if (!Array.isArray(value) || value.length < least || value.length > most) {
      return bad(where, `a list of ${least} to ${most}`);
    }
    for (const [index, one] of value.entries()) item(one as DocumentValue, at(where, index));
  };
const record =
  (
    required: Readonly<Record<string, Check>>,
    optional: Readonly<Record<string, Check>> = {},
  ): Check =>
  (value, where) => {
    if (!isObject(value)) return bad(where, 'an object');
    for (const name of Object.keys(value)) {
      if (Object.hasOwn(required, name) || Object.hasOwn(optional, name)) continue;
      throw new Broken(
        'UNKNOWN_MEMBER',
        at(where, name),
        `${at(where, name)} is no member of a spec`,
      );
    }
    for (const [name, check] of Object.entries({ ...required, ...optional })) {
      const member = Object.hasOwn(value, name) ? value[name] : undefined;
      if (member !== undefined) check(member, at(where, name));
      else if (Object.hasOwn(required, name)) {
        throw new Broken('MISSING_MEMBER', at(where, name), `${at(where, name)} is missing`);
      }
    }
  };
const dictionary =
  (key: RegExp, item: Check, most: number): Check =>
  (value, where) => {
    if (!isObject(value) || Object.keys(value).length > most)
      return bad(where, `an object of at most ${most}`);
    for (const [name, one] of Object.entries(value)) {
      if (!key.test(name)) bad(at(where, name), `named like ${key.source}`);
      item(one, at(where, name));
    }
  };
const both =
  (...checks: readonly Check[]): Check =>
  (value, where) => {
    for (const check of checks) check(value, where);
  };

const hash = text(64, /^[0-9a-f]{64}$/, '64 lower-case hex digits');
const path: Check = (value, where) => {
  const problem = typeof value === 'string' ? pathProblem(value) : 'is no text';
  if (problem !== undefined) throw new Broken('BAD_PATH', where, `${where} ${problem}`);
};
const distinctPaths: Check = (value, where) => {
  if (!Array.isArray(value)) return;
  const clash = clashingPath(value.map((one: { readonly path: string }) => one.path));
  if (clash === undefined) return;
  throw new Broken(
    'BAD_PATH',
    where,
    `${where}: ${JSON.stringify(clash)} stands there twice, or is a folder of another`,
  );
};
const image: Check = (value, where) => {
  if (typeof value !== 'string' || value.length > 512)
    return bad(where, 'text of at most 512 characters');
  if (!/^[a-z0-9][a-z0-9._/:-]*@sha256:[0-9a-f]{64}$/.test(value)) {
    throw new Broken(
      'IMAGE_NOT_PINNED',
      where,
      `${where} must name its digest: repository@sha256:<64 hex digits>`,
    );
  }
};
/** Names that decide what a job sees of its host. */
const RESERVED_ENV = /^(NVIDIA_|LD_|HN_|DYLD_)|^(PATH|JOB_ID|NODE_ID|HOME)$/;
const environment: Check = (value, where) => {
  if (!isObject(value)) return;
  const reserved = Object.keys(value).find((name) => RESERVED_ENV.test(name));
  if (reserved !== undefined) {
    throw new Broken(
      'RESERVED_ENV',
      at(where, reserved),
      `${reserved} is set by the node, not by a spec`,
    );
  }
};
const marker: Check = (value, where) => {
  text(256)(value, where);
  try {
    RegExp(value as string, 'u');
  } catch {
    bad(where, 'a regular expression');
  }
};

const blob = record({ sha256: hash, size: integer() });

const spec = record(
  {
    v: oneOf(1),
    type: oneOf(...JOB_TYPES),
    kind: oneOf(...JOB_KINDS),
    entry: record(
      {},
      {
        cmd: list(text(8_192), 256, 1),
        env: both(dictionary(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/, text(8_192), 64), environment),
        fn: text(32, /^[a-z][a-z0-9-]{0,31}$/, 'a name such as sha256'),
        args: (value, where) => void (isObject(value) || bad(where, 'an object')),
      },
    ),
    inputs: both(
      list(record({ path, size: integer(), sha256: hash }, { exec: flag }), 10_000),
      distinctPaths,
    ),
    limits: record(Object.fromEntries(LIMIT_NAMES.map((name) => [name, integer()]))),
  },
  {
    image,
    module: blob,
    outputs: record(
      {},
      {
        paths: list(text(256), 64),
        required: list(path, 256),
        maxFiles: integer(0, 100_000),
        marker,
      },
    ),
    require: record(
      {},
      {
        gpu: record(
          {},
          {
            count: integer(0, 16),
            vendor: oneOf(...GPU_VENDORS),
            minVramMiB: integer(),
            minComputeCap: text(5, /^[0-9]{1,2}\.[0-9]$/, 'a capability such as 8.0'),
            classes: list(text(64), 32),
          },
        ),
        minIsolation: oneOf(...ISOLATIONS),
        arch: oneOf('x86_64', 'aarch64', 'any'),
        regions: list(text(2, /^[A-Z]{2}$/, 'two capital letters'), 64),
      },
    ),
    network: record(
      { mode: oneOf('none', 'allow') },
      { hosts: list(text(260, /^[a-z0-9.-]{1,253}:[0-9]{1,5}$/, 'host:port'), 32) },
    ),
    estimateS: integer(1, 86_400),
    priority: oneOf(...PRIORITIES),
    retry: record({}, { maxAttempts: integer(1, 10), onVerdictFail: oneOf('refund', 'retry') }),
    verify: record(
      { mode: oneOf(...VERIFY_MODES) },
      {
        replicas: integer(1, 7),
        absPpb: integer(),
        relPpb: integer(),
        seed: text(20, /^[0-9]{1,20}$/, 'decimal digits'),
      },
    ),
    label: text(200),
  },
);

/** The first rule that a spec with complete limits breaks. */
export function checkSpec(document: DocumentValue): SpecError | undefined {
  try {
    spec(document, '');
    checkTogether(document as Readonly<Record<string, DocumentValue>>);
    return undefined;
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    return { code: error.code, where: error.where, message: error.message };
  }
}

/** Rules over several members, once each is of its kind. */
function checkTogether(document: Readonly<Record<string, DocumentValue>>): void {
  const { label } = document;
  // Each was looked at alone before.
  const kind = document['kind'] as JobKind;
  const type = document['type'] as JobType;
  const needs =
    kind === 'container' ? 'image' : kind === 'wasm' || kind === 'webgpu' ? 'module' : undefined;
  for (const name of ['image', 'module']) {
    const there = document[name] !== undefined;
    if (there === (name === needs)) continue;
    throw new Broken(
      there ? 'UNKNOWN_MEMBER' : 'MISSING_MEMBER',
      name,
      `a job of kind ${kind} ${there ? 'has no' : 'needs'} ${name}`,
    );
  }
  const entry = document['entry'] as Readonly<Record<string, DocumentValue>>;
  if (kind === 'builtin' && entry['fn'] === undefined) {
    throw new Broken('MISSING_MEMBER', 'entry.fn', 'a builtin job needs entry.fn, the function');
  }
  if (kind === 'command' && entry['cmd'] === undefined) {
    throw new Broken('MISSING_MEMBER', 'entry.cmd', 'a command job needs entry.cmd');
  }
  if (typeof label === 'string' && new TextEncoder().encode(label).length > 200) {
    bad('label', 'at most 200 bytes');
  }
  const most = type === 'custom' ? CUSTOM_MOST : TYPE_LIMITS[type];
  const limits = document['limits'] as Readonly<Record<string, number>>;
  for (const name of LIMIT_NAMES) {
    const value = limits[name]!;
    // Other types may go below what custom may: less is never more than their row.
    const least =
      type === 'custom' ? CUSTOM_LEAST[name] : name === 'timeoutS' || name === 'pids' ? 1 : 0;
    if (value >= least && value <= most[name]) continue;
    throw new Broken(
      'LIMIT_OUT_OF_RANGE',
      `limits.${name}`,
      `limits.${name} of a ${type} job must be from ${least} to ${most[name]}, not ${value}`,
    );
  }
}
