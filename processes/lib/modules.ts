/**
 * Calls of the runtime modules of this node. Bodies are built and read with the engine's own JSON: a listing of 1,000 files read by
 * wit/codec.ts, which is interpreted in a guest, would cost some fifty times the instructions. That both agree is what the fakes of
 * testing/ check: they speak through wit/*-api.ts.
 */
import type { Address, LazyLoadBlob } from '../../wit/types.ts';
import type { Requester } from './client.ts';
import { NoResponse } from './errors.ts';
import type { Host } from './host.ts';

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

let utf8Decoder: TextDecoder | undefined;

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

/**
 * Asks a module of this node. `what` names the call in errors.
 * @throws ModuleError of the class given; NoResponse
 */
export async function callModule(
  caller: Caller,
  { module, timeoutS, signal, error: Refused }: ModuleCalls,
  request: {
    readonly what: string;
    readonly body: unknown;
    readonly blob?: Uint8Array | undefined;
    readonly mime?: string | undefined;
  },
): Promise<ModuleAnswer> {
  const target = `${module}:distro:sys`;
  const blob: LazyLoadBlob | undefined = request.blob && {
    mime: request.mime,
    bytes: request.blob,
  };
  const reply = await caller
    .request(target, JSON.stringify(request.body), {
      blob,
      signal,
      ...(timeoutS === undefined ? {} : { timeoutS }),
    })
    .catch((error: unknown) => {
      // The kernel drops what may not be sent without a word; this is the usual cause of silence.
      if (error instanceof NoResponse && !mayMessage(caller, target)) {
        const detail = `the manifest's request_capabilities lack "${target}"`;
        throw new Refused('NoMessaging', request.what, detail);
      }
      throw error;
    });
  const body: unknown = JSON.parse((utf8Decoder ??= new TextDecoder()).decode(reply.body));
  const refused = member(body, 'Err');
  if (refused === undefined) return { body, bytes: reply.blob?.bytes ?? new Uint8Array() };
  if (typeof refused === 'string') throw new Refused(refused, request.what);
  const [code = 'Unknown'] = Object.keys(refused as object);
  const detail = member(refused, code);
  throw new Refused(
    code,
    request.what,
    typeof detail === 'string' ? detail : JSON.stringify(detail),
  );
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
