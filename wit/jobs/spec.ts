/**
 * What a client asks to be computed (compute-market.md §3.2, §17.1): the one document whose hash everybody signs over. A spec is completed
 * by the limits of its type before it is hashed, so that its hash has one meaning; unknown members are refused for the same reason. Runs
 * in guests, browsers and Node.
 */
import { bytesToHex } from '@noble/hashes/utils.js';
import { canonicalJson, isObject, parseDocument, type DocumentValue } from '../canonical-json.ts';
import type { Result } from '../types.ts';
import { checkSpec } from './spec-check.ts';
import { hardTimeoutS, TYPE_LIMITS, type JobType } from './limits.ts';
import type { JobSpec, SpecError, SpecErrorCode } from './spec-shape.ts';
import { sha256 } from './sha256.ts';

export type * from './spec-shape.ts';

/** Length of a spec as canonical text, in UTF-16 units. */
export const SPEC_CHARS_MAX = 1024 * 1024;

/** Reads a spec from JSON text, completes it and checks every rule. Nothing else happens before. */
export function parseJobSpec(text: string): Result<JobSpec, SpecError> {
  if (text.length > SPEC_CHARS_MAX) {
    return refused('TOO_LARGE', '', `a spec has at most ${SPEC_CHARS_MAX} characters`);
  }
  const document = parseDocument(text);
  return document.ok ? completeSpec(document.value) : refused('NOT_CANONICAL', '', document.error);
}

/** The same of a value. Missing limits take the defaults of the type. */
export function completeSpec(document: DocumentValue): Result<JobSpec, SpecError> {
  const complete = withLimits(document);
  const problem = checkSpec(complete);
  if (problem !== undefined) return { ok: false, error: problem };
  // Proof of the type: `checkSpec` has looked at every member.
  return { ok: true, value: complete as unknown as JobSpec };
}

/** `specHash`: SHA-256 of the canonical text, as 64 hex digits behind `0x`. */
export function specHash(spec: JobSpec): `0x${string}` {
  return `0x${bytesToHex(sha256(new TextEncoder().encode(canonicalJson(spec))))}`;
}

/** Seconds of one run of this spec. */
export function timeoutOf(spec: JobSpec): number {
  return hardTimeoutS(spec.limits.timeoutS, spec.estimateS);
}

/** How often the job may be tried. */
export function attemptsOf(spec: JobSpec): number {
  return spec.retry?.maxAttempts ?? 3;
}

function withLimits(document: DocumentValue): DocumentValue {
  if (!isObject(document)) return document;
  const { type, limits } = document;
  const defaults = typeof type === 'string' && Object.hasOwn(TYPE_LIMITS, type);
  if (!defaults || !(limits === undefined || isObject(limits))) return document;
  return { ...document, limits: { ...TYPE_LIMITS[type as JobType], ...limits } };
}

function refused(
  code: SpecErrorCode,
  where: string,
  message: string,
): { ok: false; error: SpecError } {
  return { ok: false, error: { code, where, message } };
}
