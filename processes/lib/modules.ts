/**
 * Calls of the runtime modules of this node. Bodies are built and read with the engine's own JSON: a listing of 1,000 files read by
 * wit/codec.ts, which is interpreted in a guest, would cost some fifty times the instructions. That both agree is what the fakes of
 * testing/ check: they speak through wit/*-api.ts.
 */
import type { Address } from '../../wit/types.ts';
import type { Requester } from './client.ts';
import type { Reply } from './conversation.ts';
import { NoResponse } from './errors.ts';
import type { Host } from './host.ts';
import { textOf } from './utf8.ts';

/** Who uses a module: a `Process`. */
export interface Caller extends Requester {
  readonly our: Address;
  readonly host: Host;
}

/** What a module refused. `code` is the module's own name for it, such as `NoReadCap`; see also `NoMessaging` and `BadPath`. */
export class ModuleError extends Error {
  override readonly name: string = 'ModuleError';
  readonly code: string;
  /** What the module said beside the name. */
  readonly detail: string;
  /** The number in an operating system's error, 2 for a file that is not there. */
  readonly errno: number | undefined;
  constructor(code: string, what: string, detail = '') {
    super(`${what}: ${code}${detail && `: ${detail}`}`);
    this.code = code;
    this.detail = detail;
    const number = /\(os error (\d+)\)/.exec(detail)?.[1];
    this.errno = number === undefined ? undefined : Number(number);
  }
}

/** Error numbers as the modules spell them on every machine (runtime-modules.md §1.6). */
export const ENOENT = 2;
export const EEXIST = 17;
export const ENOTDIR = 20;
export const EISDIR = 21;
export const ENOSPC = 28;

/** One module, as its client calls it. */
export interface ModuleCalls {
  readonly module: 'vfs' | 'kv' | 'sqlite' | 'signer' | 'http-server' | 'http-client';
  readonly timeoutS: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly error: new (code: string, what: string, detail?: string) => ModuleError;
}

export interface ModuleAnswer {
  /** Parsed; `"Ok"` is the text Ok. */
  readonly body: unknown;
  readonly bytes: Uint8Array;
}

/** What a module is asked. */
export interface ModuleQuestion {
  /** Names the call in errors. */
  readonly what: string;
  /** A value that becomes JSON, or JSON as bytes, for bodies that come again and again. */
  readonly body: unknown;
  readonly blob?: Uint8Array | undefined;
  readonly mime?: string | undefined;
}

/**
 * Asks a module of this node.
 * @throws ModuleError of the class given; NoResponse
 */
export function callModule(
  caller: Caller,
  calls: ModuleCalls,
  question: ModuleQuestion,
): Promise<ModuleAnswer> {
  return askModule(caller, calls, question, (answer) => answer);
}

/** As `callModule`, with what `read` makes of the answer: a promise less, and a fifth of the instructions of a call. */
export function askModule<T>(
  caller: Caller,
  { module, timeoutS, signal, error: Refused }: ModuleCalls,
  { what, body, blob, mime }: ModuleQuestion,
  read: (answer: ModuleAnswer) => T,
): Promise<T> {
  const target = `${module}:distro:sys`;
  const bytes = body instanceof Uint8Array ? body : JSON.stringify(body);
  const options = { blob: blob && { mime, bytes: blob }, signal, timeoutS };
  return caller.request(target, bytes, options).then(
    (reply) => read(answerIn(reply, Refused, what)),
    (error: unknown) => {
      // The kernel drops what may not be sent without a word; this is the usual cause of silence.
      if (error instanceof NoResponse && !mayMessage(caller, target)) {
        const detail = `the manifest's request_capabilities lack "${target}"`;
        throw new Refused('NoMessaging', what, detail);
      }
      throw error;
    },
  );
}

/** @throws ModuleError of the class given, when the module refused */
function answerIn(reply: Reply, Refused: ModuleCalls['error'], what: string): ModuleAnswer {
  const bytes = reply.blob?.bytes ?? NOTHING;
  if (isOk(reply.body)) return { body: 'Ok', bytes };
  const body: unknown = JSON.parse(textOf(reply.body));
  const refused = member(body, 'Err');
  if (refused === undefined) return { body, bytes };
  if (typeof refused === 'string') throw new Refused(refused, what);
  const [code = 'Unknown'] = Object.keys(refused as object);
  const detail = member(refused, code);
  throw new Refused(code, what, typeof detail === 'string' ? detail : JSON.stringify(detail));
}

const NOTHING = new Uint8Array();

/** Whether it is the JSON text "Ok", which most answers are. */
function isOk(body: Uint8Array): boolean {
  return body.length === 4 && body[1] === 0x4f && body[2] === 0x6b && body[0] === 0x22;
}

/** By the text alone: comparing as JSON would bring a parser into every guest, for a hint. */
export function mayMessage({ host }: Caller, target: string): boolean {
  return host
    .ourCapabilities()
    .some(({ issuer, params }) => issuer.process === target && params.trim() === '"messaging"');
}

/** `value[name]` of whatever it is. */
export function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Record<string, unknown>)[name]
    : undefined;
}
