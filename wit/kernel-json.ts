/**
 * JSON twins of the WIT records as the reference's serializer writes them (kernel.md §1.13): unit variants are strings, unknown
 * fields are ignored, structs may be positional arrays, an attached capability is a pair with its signature. The readers throw
 * `Mismatch`; only the decoders beside this file call them.
 */
import { formatAddress, parseAddress, parseProcessId } from './address.ts';
import { isJsonObject, type JsonObject, type JsonValue } from './json.ts';
import type {
  Address,
  Capability,
  LazyLoadBlob,
  OnExit,
  ProcessId,
  Request,
  U64,
} from './types.ts';

/** The tree is not what was expected; the message is a sentence for whoever sent it. */
export class Mismatch extends Error {}

/** `"None"`, `"Restart"` or `{"Requests": …}`. */
export function onExitOf(tree: JsonValue | undefined): OnExit {
  const [name, payload] = variant(tree, 'on_exit');
  if (name === 'None') return { kind: 'none' };
  if (name === 'Restart') return { kind: 'restart' };
  if (name !== 'Requests') throw new Mismatch(`unknown on_exit ${JSON.stringify(name)}`);
  const requests = list(payload, (item) => {
    const [target, request, blob] = tuple(item, 3);
    return { target: addressOf(target), request: requestOf(request), blob: optional(blob, blobOf) };
  });
  return { kind: 'requests', requests };
}

function requestOf(tree: JsonValue | undefined): Request {
  const [inherit, expects, body, metadata, capabilities] = fields(tree, [
    'inherit',
    'expects_response',
    'body',
    'metadata',
    'capabilities',
  ]);
  return {
    inherit: booleanOf(inherit, 'inherit'),
    expectsResponse: optional(expects, u64Of),
    body: bytesOf(body),
    metadata: optional(metadata, (value) => textOf(value, 'metadata')),
    capabilities: list(capabilities, attachedOf),
  };
}

function blobOf(tree: JsonValue): LazyLoadBlob {
  const [mime, bytes] = fields(tree, ['mime', 'bytes']);
  return { mime: optional(mime, (value) => textOf(value, 'mime')), bytes: bytesOf(bytes) };
}

/** `[capability, signature]`, or the capability alone. A capability itself may be positional: `["issuer", "params"]`. */
function attachedOf(tree: JsonValue): Capability {
  if (Array.isArray(tree) && typeof tree[0] !== 'string') {
    const [capability, signature] = tuple(tree, 2);
    bytesOf(signature);
    return capabilityOf(capability);
  }
  return capabilityOf(tree);
}

export function capabilityOf(tree: JsonValue | undefined): Capability {
  const [issuer, params] = fields(tree, ['issuer', 'params']);
  return { issuer: addressOf(issuer), params: textOf(params, 'params') };
}

/** An externally tagged union: a string, or an object with one field. */
export function variant(
  tree: JsonValue | undefined,
  what: string,
): [string, JsonValue | undefined] {
  if (typeof tree === 'string') return [tree, undefined];
  if (isJsonObject(tree)) {
    const [entry, more] = Object.entries(tree);
    if (entry !== undefined && more === undefined) return entry;
  }
  throw new Mismatch(`${what} must be a string or an object with one field`);
}

/** Values of the named fields, from an object or, by position, from an array. */
export function fields(
  tree: JsonValue | undefined,
  names: readonly string[],
): (JsonValue | undefined)[] {
  if (isJsonObject(tree)) {
    return names.map((name) => (Object.hasOwn(tree, name) ? tree[name] : undefined));
  }
  if (Array.isArray(tree)) return tuple(tree, names.length);
  throw new Mismatch(`expected an object with ${names.join(', ')}`);
}

function tuple(tree: JsonValue | undefined, length: number): (JsonValue | undefined)[] {
  if (Array.isArray(tree) && tree.length === length) return [...(tree as readonly JsonValue[])];
  throw new Mismatch(`expected an array of ${length}`);
}

/** Every item of an array. */
export function list<T>(tree: JsonValue | undefined, each: (item: JsonValue) => T): T[] {
  if (!Array.isArray(tree)) throw new Mismatch('expected an array');
  return (tree as readonly JsonValue[]).map(each);
}

/** A missing field reads as null. */
export function optional<T>(
  tree: JsonValue | undefined,
  read: (value: JsonValue) => T,
): T | undefined {
  return tree === undefined || tree === null ? undefined : read(tree);
}

/** `what` names the value in the refusal. */
export function textOf(tree: JsonValue | undefined, what: string): string {
  if (typeof tree !== 'string') throw new Mismatch(`${what} must be a string`);
  return tree;
}

/** `what` names the value in the refusal. */
export function booleanOf(tree: JsonValue | undefined, what: string): boolean {
  if (typeof tree !== 'boolean') throw new Mismatch(`${what} must be true or false`);
  return tree;
}

export function u32Of(tree: JsonValue): number {
  if (typeof tree !== 'number' || tree < 0 || tree > 0xffff_ffff) {
    throw new Mismatch('expected an unsigned 32-bit integer');
  }
  return tree;
}

export function u64Of(tree: JsonValue): U64 {
  if ((typeof tree === 'number' && tree >= 0) || (typeof tree === 'bigint' && tree >= 0n))
    return tree;
  throw new Mismatch('expected an unsigned 64-bit integer');
}

function bytesOf(tree: JsonValue | undefined): Uint8Array {
  return Uint8Array.from(
    list(tree, (item) => {
      if (typeof item === 'number' && item >= 0 && item <= 0xff) return item;
      throw new Mismatch('bytes must be an array of numbers from 0 to 255');
    }),
  );
}

export function idOf(tree: JsonValue | undefined): ProcessId {
  const text = textOf(tree, 'a process id');
  const parsed = parseProcessId(text);
  if (!parsed.ok) throw new Mismatch(`not a process id: ${JSON.stringify(text)} (${parsed.error})`);
  return parsed.value;
}

function addressOf(tree: JsonValue | undefined): Address {
  const text = textOf(tree, 'an address');
  const parsed = parseAddress(text);
  if (!parsed.ok) throw new Mismatch(`not an address: ${JSON.stringify(text)} (${parsed.error})`);
  return parsed.value;
}

export function onExitTree(value: OnExit): JsonValue {
  if (value.kind === 'none') return 'None';
  if (value.kind === 'restart') return 'Restart';
  const requests = value.requests.map(({ target, request, blob }) => [
    formatAddress(target),
    requestTree(request),
    blob === undefined ? null : { mime: blob.mime ?? null, bytes: [...blob.bytes] },
  ]);
  return { Requests: requests };
}

function requestTree(value: Request): JsonObject {
  return {
    inherit: value.inherit,
    expects_response: value.expectsResponse ?? null,
    body: [...value.body],
    metadata: value.metadata ?? null,
    capabilities: value.capabilities.map((capability) => [capabilityTree(capability), []]),
  };
}

export function capabilityTree(value: Capability): JsonObject {
  return { issuer: formatAddress(value.issuer), params: value.params };
}
