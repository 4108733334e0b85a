/** Specs of jobs as objects: the text of a record is read once. */
import { canonicalJson, parseDocument } from '../../../wit/canonical-json.ts';
import { sha256Hex } from '../../../wit/jobs/digest.ts';
import { completeSpec, type JobSpec } from '../../../wit/jobs/spec.ts';
import { Refusal } from '../../lib/index.ts';

const KEPT_MAX = 512;
const kept = new Map<string, JobSpec>();
/** Of canonical texts: the same one comes often, and a guest hashes a MiB a second. */
const hashes = new Map<string, string>();
const HASHED_CHARS_MAX = 4_096;

/** `specHash` of a spec as canonical text. */
export function specHashOf(text: string): string {
  const known = hashes.get(text);
  if (known !== undefined) return known;
  const hash = `0x${sha256Hex(text)}`;
  if (text.length <= HASHED_CHARS_MAX) {
    if (hashes.size >= KEPT_MAX) hashes.delete(hashes.keys().next().value ?? '');
    hashes.set(text, hash);
  }
  return hash;
}

/** @param job  its text is canonical: it was written here */
export function specOf({
  spec,
  specHash,
}: {
  readonly spec: string;
  readonly specHash: string;
}): JobSpec {
  const known = kept.get(specHash);
  if (known !== undefined) return known;
  // Proof of the type: the text of a spec that was checked when it was submitted.
  const read = JSON.parse(spec) as JobSpec;
  keepSpec(specHash, read);
  return read;
}

/** A spec that was just read. */
export function keepSpec(specHash: string, spec: JobSpec): void {
  if (kept.size >= KEPT_MAX) kept.delete(kept.keys().next().value ?? '');
  kept.set(specHash, spec);
}

/** JSON text of a spec, or its value as it was read. */
export type SentSpec = string | Parameters<typeof completeSpec>[0];

export interface ReadSpec {
  readonly spec: JobSpec;
  /** Canonical, and its hash. */
  readonly text: string;
  readonly hash: string;
}

/** By what was sent: the same text comes often, and a guest takes a millisecond for it. */
const readLately = new Map<string, ReadSpec>();
const LATELY_MAX = 64;
const LATELY_CHARS_MAX = 16 * 1024;

/** The same text comes often. @throws Refusal with the code of the error */
export function readOnce(sent: SentSpec): ReadSpec {
  const known = typeof sent === 'string' ? readLately.get(sent) : undefined;
  if (known !== undefined) return known;
  const spec = readSpec(sent);
  const text = canonicalJson(spec);
  const read = { spec, text, hash: specHashOf(text) };
  if (typeof sent === 'string' && sent.length <= LATELY_CHARS_MAX) {
    if (readLately.size >= LATELY_MAX) readLately.delete(readLately.keys().next().value ?? '');
    readLately.set(sent, read);
  }
  return read;
}

/** @throws Refusal with the code of the error */
export function readSpec(spec: SentSpec): JobSpec {
  const document =
    typeof spec === 'string' ? parseDocument(spec) : { ok: true as const, value: spec };
  if (!document.ok) throw new Refusal('NOT_CANONICAL', document.error);
  const read = completeSpec(document.value);
  if (!read.ok) {
    const { code, where, message } = read.error;
    throw new Refusal(code, where === '' ? message : `${where}: ${message}`);
  }
  const { replicas = 1, mode } = read.value.verify ?? {};
  if (replicas > 1 && mode === 'none') {
    const why = 'what cannot be compared is not decided by a majority; another mode, or one run';
    throw new Refusal('REPLICAS_INCOMPARABLE', `verify.replicas: ${why}`);
  }
  return read.value;
}
