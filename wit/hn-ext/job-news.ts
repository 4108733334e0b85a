/**
 * What is new of many attempts in one frame, `jobs.news` (docs/compute.md): a JSON list, because an engine reads and writes JSON by itself
 * and a guest takes a hundred times as long for MessagePack. Runs in guests.
 */
import type { JsonObject, JsonValue } from '../json.ts';

/** Of one attempt. What is missing is not new; what is there happened in this order. */
export interface JobNews {
  readonly jobId: string;
  readonly lease: string;
  /** As `job.accept`; `started`: it has begun, as the offer said that it may. */
  readonly accepted?: { readonly acceptance?: string; readonly started?: boolean };
  /** As `job.reject`. */
  readonly rejected?: { readonly code: string; readonly message: string };
  /** As the last `job.state`. */
  readonly state?: string;
  /** As `log.chunk`; so many bytes of the frame's `logs`, behind those of the news before. */
  readonly log?: { readonly seq: number; readonly bytes: number };
  /** As `job.result`, with all of its outputs. */
  readonly result?: { readonly end: JsonObject; readonly outputs: readonly JsonValue[] };
  /** As `job.lost`. */
  readonly lost?: { readonly code: string; readonly message: string };
}

/** News in one frame. */
export const NEWS_MAX = 256;

/** @returns undefined for what is no such list, or has other bytes of logs than it says */
export function readNews(text: string, logs: Uint8Array): readonly JobNews[] | undefined {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(read) || read.length > NEWS_MAX || !read.every(isNews)) return undefined;
  const bytes = read.reduce((sum, { log }) => sum + (log?.bytes ?? 0), 0);
  return bytes === logs.length ? read : undefined;
}

function isNews(value: unknown): value is JobNews {
  if (!isObject(value) || !areTexts(value, 'jobId', 'lease')) return false;
  const { accepted, rejected, state, log, result, lost } = value;
  return (
    (accepted === undefined || isAccepted(accepted)) &&
    (rejected === undefined || isFault(rejected)) &&
    (state === undefined || typeof state === 'string') &&
    (log === undefined || (isObject(log) && isCount(log['seq']) && isCount(log['bytes']))) &&
    (result === undefined ||
      (isObject(result) && isObject(result['end']) && Array.isArray(result['outputs']))) &&
    (lost === undefined || isFault(lost))
  );
}

function isAccepted(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { acceptance, started } = value;
  return (
    (acceptance === undefined || typeof acceptance === 'string') &&
    (started === undefined || typeof started === 'boolean')
  );
}

function isFault(value: unknown): boolean {
  return isObject(value) && areTexts(value, 'code', 'message');
}

function areTexts(value: Readonly<Record<string, unknown>>, ...names: readonly string[]): boolean {
  return names.every((name) => typeof value[name] === 'string');
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
