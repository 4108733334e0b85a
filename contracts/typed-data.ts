/**
 * EIP-712: the digest of typed data of any types, from its JSON form. Runs in guests, browsers and Node. Strict where wallets differ:
 * a message has exactly the members of its type and numbers fit theirs, so that nothing is signed that was not looked at.
 */
import { isJsonObject, type JsonObject, type JsonValue } from '../wit/json.ts';
import { keccak256 } from '../wit/keccak.ts';
import type { Result } from '../wit/types.ts';
import { fromHex } from './hex.ts';

export interface TypeMember {
  readonly name: string;
  readonly type: string;
}

/** Structs by name. An `EIP712Domain` may be among them; it must then be what the domain's members make it. */
export type StructTypes = ReadonlyMap<string, readonly TypeMember[]>;

export interface TypedData {
  readonly domain: JsonValue;
  readonly types: StructTypes;
  readonly primaryType: string;
  readonly message: JsonValue;
}

export interface TypedDataHashes {
  /** The 32 bytes that are signed. */
  readonly digest: Uint8Array;
  readonly domainSeparator: Uint8Array;
  readonly structHash: Uint8Array;
  /** Such as `Mail(Person from,Person to,string contents)Person(string name,address wallet)`. */
  readonly encodedType: string;
}

/** Structs of one message's types: each costs the hash of all the types in it. */
export const STRUCTS_MAX = 24;
/** Length of all names and types of the structs together, in UTF-16 units. */
export const TYPES_CHARS_MAX = 8_192;
/** Length of one member's type, in UTF-16 units. */
export const TYPE_CHARS_MAX = 160;
/** Values of one message, structs and arrays counted: each may cost a hash. */
export const VALUES_MAX = 1_000;

const DOMAIN = 'EIP712Domain';
/** In the order that the standard gives them. */
const DOMAIN_MEMBERS: readonly TypeMember[] = [
  { name: 'name', type: 'string' },
  { name: 'version', type: 'string' },
  { name: 'chainId', type: 'uint256' },
  { name: 'verifyingContract', type: 'address' },
  { name: 'salt', type: 'bytes32' },
];
const NAME = /^[A-Za-z_$][A-Za-z0-9_$]{0,127}$/;
const ARRAY = /^(.+)\[(0|[1-9][0-9]{0,5})?\]$/;
const SIZED = /^(uint|int|bytes)([1-9][0-9]{0,2})$/;
const ATOMIC = /^(address|bool|string|bytes|(uint|int|bytes)[0-9]*)$/;
const WORD_BYTES = 32;
const ADDRESS_BYTES = 20;

const utf8 = new TextEncoder();

/** What is wrong, and where. Thrown inside only. */
class Refused extends Error {}

/** @returns an error is a sentence's part saying where the data is no typed data */
export function hashTypedData(data: TypedData): Result<TypedDataHashes, string> {
  return attempt(() => {
    checkTypes(data.types);
    const domain = domainOf(data.domain, data.types);
    const encoder = new Encoder(data.types);
    const domainSeparator = domain.struct(DOMAIN, data.domain, 'domain');
    const structHash =
      data.primaryType === DOMAIN
        ? new Uint8Array()
        : encoder.struct(data.primaryType, data.message, 'message');
    return {
      digest: keccak256(joined([Uint8Array.of(0x19, 0x01), domainSeparator, structHash])),
      domainSeparator,
      structHash,
      encodedType: encodeType(data.types, data.primaryType),
    };
  });
}

/** The hash by which a domain is told from others. */
export function domainSeparator(domain: JsonValue): Result<Uint8Array, string> {
  return attempt(() => domainOf(domain, new Map()).struct(DOMAIN, domain, 'domain'));
}

/** A number as JSON has it in typed data: an integer, decimal digits or `0x` digits; undefined for anything else. */
export function integerOf(value: JsonValue | undefined): bigint | undefined {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : undefined;
  if (typeof value !== 'string') return undefined;
  return /^(-?(0|[1-9][0-9]{0,77})|0x[0-9a-fA-F]{1,64})$/.test(value) ? BigInt(value) : undefined;
}

function attempt<T>(work: () => T): Result<T, string> {
  try {
    return { ok: true, value: work() };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { ok: false, error: error.message };
  }
}

/** An encoder that knows the one type of this domain. */
function domainOf(domain: JsonValue, types: StructTypes): Encoder {
  if (!isJsonObject(domain)) throw new Refused('domain: expected an object');
  const members = DOMAIN_MEMBERS.filter(({ name }) => Object.hasOwn(domain, name));
  if (members.length === 0) throw new Refused('domain: it has no member');
  const declared = types.get(DOMAIN);
  const own = new Map([[DOMAIN, members]]);
  if (declared !== undefined && encodeType(types, DOMAIN) !== encodeType(own, DOMAIN))
    throw new Refused(`types.${DOMAIN}: it is not what the domain has`);
  return new Encoder(own);
}

function checkTypes(types: StructTypes): void {
  if (types.size > STRUCTS_MAX) throw new Refused(`types: more than ${STRUCTS_MAX} structs`);
  let chars = 0;
  for (const [struct, members] of types) {
    if (!NAME.test(struct) || ATOMIC.test(struct))
      throw new Refused(`types: "${struct.slice(0, 64)}" cannot name a struct`);
    const names = new Set<string>();
    for (const { name, type } of members) {
      const where = `types.${struct}`;
      chars += name.length + type.length;
      if (type.length > TYPE_CHARS_MAX || chars > TYPES_CHARS_MAX)
        throw new Refused(`${where}: the types are too long`);
      if (!NAME.test(name))
        throw new Refused(`${where}: "${name.slice(0, 64)}" cannot name a member`);
      if (names.has(name)) throw new Refused(`${where}: two members ${name}`);
      names.add(name);
      const base = baseOf(type);
      if (!types.has(base) && !isAtomic(base))
        throw new Refused(`${where}.${name}: there is no type "${base.slice(0, 64)}"`);
    }
  }
}

/** The type without its array parts. */
function baseOf(type: string): string {
  let base = type;
  for (let match = ARRAY.exec(base); match !== null; match = ARRAY.exec(base)) base = match[1]!;
  return base;
}

function isAtomic(type: string): boolean {
  if (/^(address|bool|string|bytes)$/.test(type)) return true;
  const [, kind, digits] = SIZED.exec(type) ?? [];
  const size = Number(digits);
  if (kind === undefined) return false;
  return kind === 'bytes' ? size <= WORD_BYTES : size <= 256 && size % 8 === 0;
}

/** The type's text with those of the structs in it, sorted by name. */
function encodeType(types: StructTypes, primary: string): string {
  const found = new Set([primary]);
  // A set hands out what is added while it is gone through.
  for (const struct of found) {
    for (const { type } of types.get(struct) ?? []) {
      const base = baseOf(type);
      if (types.has(base)) found.add(base);
    }
  }
  found.delete(primary);
  return [primary, ...[...found].toSorted()]
    .map((struct) => {
      const members = types.get(struct) ?? [];
      return `${struct}(${members.map(({ name, type }) => `${type} ${name}`).join(',')})`;
    })
    .join('');
}

class Encoder {
  readonly #types: StructTypes;
  readonly #typeHashes = new Map<string, Uint8Array>();
  #values = 0;

  constructor(types: StructTypes) {
    this.#types = types;
  }

  /** hashStruct. @throws Refused */
  struct(name: string, value: JsonValue, where: string): Uint8Array {
    const members = this.#types.get(name);
    if (members === undefined) throw new Refused(`there is no type "${name.slice(0, 64)}"`);
    if (!isJsonObject(value)) throw new Refused(`${where}: expected an object`);
    assertMembers(value, members, where);
    const words = members.map(({ name: member, type }) =>
      this.#word(type, value[member]!, `${where}.${member}`),
    );
    return keccak256(joined([this.#typeHash(name), ...words]));
  }

  #typeHash(name: string): Uint8Array {
    const known = this.#typeHashes.get(name);
    if (known !== undefined) return known;
    const hash = keccak256(utf8.encode(encodeType(this.#types, name)));
    this.#typeHashes.set(name, hash);
    return hash;
  }

  /** encodeData of one member. */
  #word(type: string, value: JsonValue, where: string): Uint8Array {
    this.#values += 1;
    if (this.#values > VALUES_MAX) throw new Refused(`${where}: more than ${VALUES_MAX} values`);
    const array = ARRAY.exec(type);
    if (array !== null) {
      const [, inner, length] = array;
      if (!Array.isArray(value)) throw new Refused(`${where}: expected an array`);
      const items = value as readonly JsonValue[];
      if (length !== undefined && items.length !== Number(length))
        throw new Refused(`${where}: expected ${length} items`);
      return keccak256(
        joined(items.map((item, index) => this.#word(inner!, item, `${where}[${index}]`))),
      );
    }
    if (this.#types.has(type)) return this.struct(type, value, where);
    return atomicWord(type, value, where);
  }
}

function assertMembers(value: JsonObject, members: readonly TypeMember[], where: string): void {
  const missing = members.find(({ name }) => !Object.hasOwn(value, name));
  if (missing !== undefined) throw new Refused(`${where}: ${missing.name} is missing`);
  const names = new Set(members.map(({ name }) => name));
  const odd = Object.keys(value).find((name) => !names.has(name));
  if (odd !== undefined) throw new Refused(`${where}: "${odd.slice(0, 64)}" is not of its type`);
}

function atomicWord(type: string, value: JsonValue, where: string): Uint8Array {
  switch (type) {
    case 'string':
      if (typeof value !== 'string') throw new Refused(`${where}: expected a text`);
      return keccak256(utf8.encode(value));
    case 'bytes':
      return keccak256(bytesIn(value, undefined, where));
    case 'bool':
      if (typeof value !== 'boolean') throw new Refused(`${where}: expected true or false`);
      return wordOf(value ? 1n : 0n);
    case 'address': {
      const word = new Uint8Array(WORD_BYTES);
      word.set(bytesIn(value, ADDRESS_BYTES, where), WORD_BYTES - ADDRESS_BYTES);
      return word;
    }
  }
  const [, kind, digits] = SIZED.exec(type) ?? [];
  if (kind === 'bytes') {
    const word = new Uint8Array(WORD_BYTES);
    word.set(bytesIn(value, Number(digits), where));
    return word;
  }
  const number = integerOf(value);
  const bits = Number(digits);
  const [low, high] =
    kind === 'int' ? [-(2n ** BigInt(bits - 1)), 2n ** BigInt(bits - 1)] : [0n, 2n ** BigInt(bits)];
  if (number === undefined || number < low || number >= high)
    throw new Refused(`${where}: expected ${type}`);
  return wordOf(BigInt.asUintN(256, number));
}

function bytesIn(value: JsonValue, length: number | undefined, where: string): Uint8Array {
  const bytes = typeof value === 'string' ? fromHex(value) : undefined;
  if (bytes === undefined || (length !== undefined && bytes.length !== length))
    throw new Refused(
      `${where}: expected ${length === undefined ? '' : `${length} `}bytes as 0x hex`,
    );
  return bytes;
}

function wordOf(value: bigint): Uint8Array {
  const word = new Uint8Array(WORD_BYTES);
  let rest = value;
  for (let at = WORD_BYTES - 1; rest > 0n; at--, rest >>= 8n) word[at] = Number(rest & 0xffn);
  return word;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
