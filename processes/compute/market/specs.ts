/** Specs of jobs as objects: the text of a record is read once. */
import { sha256Hex } from '../../../wit/jobs/digest.ts';
import type { JobSpec } from '../../../wit/jobs/spec.ts';

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
