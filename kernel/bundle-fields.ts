/**
 * The fields of a package's JSON files, checked one by one. A field that is not what it must be throws a `Refusal` that says where;
 * `bundle.ts` catches it and nobody else sees one.
 */
import { parseAddress } from '../wit/address.ts';
import { isJsonObject, type JsonValue } from '../wit/json.ts';
import type { Address, Capability, OnExit } from '../wit/types.ts';

export class Refusal extends Error {
  readonly field: string;
  constructor(field: string, message: string) {
    super(message);
    this.field = field;
  }
}

/** An object as a map. */
export function fields(tree: JsonValue | undefined, at: string): Map<string, JsonValue> {
  if (isJsonObject(tree)) return new Map(Object.entries(tree));
  throw new Refusal(at, 'it must be an object');
}

/** A field that must be there. */
export function required(entry: Map<string, JsonValue>, name: string, at: string): JsonValue {
  const value = entry.get(name);
  if (value === undefined) throw new Refusal(`${at}${name}`, 'it is missing');
  return value;
}

/** A text field. */
export function string(entry: Map<string, JsonValue>, name: string, at: string): string {
  const value = required(entry, name, at);
  if (typeof value !== 'string') throw new Refusal(`${at}${name}`, 'it must be text');
  return value;
}

/** A yes-or-no field. */
export function boolean(entry: Map<string, JsonValue>, name: string, at: string): boolean {
  const value = required(entry, name, at);
  if (typeof value !== 'boolean') throw new Refusal(`${at}${name}`, 'it must be true or false');
  return value;
}

/** A whole number below 2^32; absent and null are undefined. */
export function optionalU32(
  entry: Map<string, JsonValue>,
  name: string,
  at: string,
): number | undefined {
  const value = entry.get(name) ?? null;
  if (value === null) return undefined;
  if (typeof value !== 'number' || value < 0 || value > 0xffff_ffff) {
    throw new Refusal(`${at}${name}`, 'it must be a whole number below 2^32, or null');
  }
  return value;
}

/** `on_exit` of a manifest entry (packages.md §4). */
export function onExit(tree: JsonValue, at: string): OnExit {
  if (tree === 'None') return { kind: 'none' };
  if (tree === 'Restart') return { kind: 'restart' };
  const requests = isJsonObject(tree) ? fields(tree, at).get('Requests') : undefined;
  if (!Array.isArray(requests))
    throw new Refusal(at, 'it must be "None", "Restart" or {"Requests":[...]}');
  return {
    kind: 'requests',
    requests: (requests as readonly JsonValue[]).map((item, index) => {
      const where = `${at}.Requests[${index}]`;
      const [target, request, blob, ...rest] = Array.isArray(item) ? (item as JsonValue[]) : [];
      if (target === undefined || request === undefined || blob === undefined || rest.length > 0) {
        throw new Refusal(where, 'it must be [address, request, blob or null]');
      }
      return {
        target: address(target, where),
        request: onExitRequest(request, where),
        blob: blobOf(blob, where),
      };
    }),
  };
}

type OnExitRequest = (OnExit & { kind: 'requests' })['requests'][number];

function onExitRequest(tree: JsonValue, at: string): OnExitRequest['request'] {
  const request = fields(tree, at);
  const expects = request.get('expects_response') ?? null;
  if (expects !== null && typeof expects !== 'number' && typeof expects !== 'bigint') {
    throw new Refusal(`${at}.expects_response`, 'it must be whole seconds or null');
  }
  const metadata = request.get('metadata') ?? null;
  if (metadata !== null && typeof metadata !== 'string') {
    throw new Refusal(`${at}.metadata`, 'it must be text or null');
  }
  const capabilities = required(request, 'capabilities', `${at}.`);
  if (!Array.isArray(capabilities)) throw new Refusal(`${at}.capabilities`, 'it must be an array');
  return {
    inherit: boolean(request, 'inherit', `${at}.`),
    expectsResponse: expects ?? undefined,
    body: bytes(required(request, 'body', `${at}.`), `${at}.body`),
    metadata: metadata ?? undefined,
    // Either the bare capability or the pair with its signature (kernel.md §1.13); signatures of a manifest mean nothing.
    capabilities: (capabilities as readonly JsonValue[]).map((item) =>
      capability(Array.isArray(item) ? (item[0] as JsonValue) : item, `${at}.capabilities`),
    ),
  };
}

function capability(tree: JsonValue, at: string): Capability {
  const members = fields(tree, at);
  return {
    issuer: address(required(members, 'issuer', `${at}.`), `${at}.issuer`),
    params: string(members, 'params', `${at}.`),
  };
}

function blobOf(tree: JsonValue, at: string): OnExitRequest['blob'] {
  if (tree === null) return undefined;
  const blob = fields(tree, at);
  const mime = blob.get('mime') ?? null;
  if (mime !== null && typeof mime !== 'string')
    throw new Refusal(`${at}.mime`, 'it must be text or null');
  return {
    mime: mime ?? undefined,
    bytes: bytes(required(blob, 'bytes', `${at}.`), `${at}.bytes`),
  };
}

function address(tree: JsonValue, at: string): Address {
  const parsed = typeof tree === 'string' ? parseAddress(tree) : undefined;
  if (parsed?.ok !== true)
    throw new Refusal(at, 'it must be an address (node@process:package:publisher)');
  return parsed.value;
}

function bytes(tree: JsonValue, at: string): Uint8Array {
  const good =
    Array.isArray(tree) &&
    tree.every((item: JsonValue) => typeof item === 'number' && item >= 0 && item <= 255);
  if (!good) throw new Refusal(at, 'it must be an array of bytes');
  return Uint8Array.from(tree as readonly number[]);
}
