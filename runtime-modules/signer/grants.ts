/**
 * What a capability of the signer allows, from its params (docs/signer.md). Strict: params with a member too many or too few allow
 * nothing, because a misspelt limit must not be no limit.
 *
 *   {"root":true}
 *   {"create":"executor"}
 *   {"key":"executor","domain":{…},"types":[{"type":"Pay(uint256 sum,…)","value":"sum"}],"perDay":"1000"}
 *   {"key":"executor","messages":["hn/ad/v1"]}
 *   {"key":"0x…","chainId":8453,"contract":"0x…","calls":[{"selector":"0xa9059cbb","value":1}],"weiPerDay":"…","perDay":"…"}
 */
import { fromHex, toHex } from '../../contracts/hex.ts';
import { domainSeparator, integerOf, type TypedDataHashes } from '../../contracts/typed-data.ts';
import {
  canonicalParams,
  isJsonObject,
  type JsonObject,
  type JsonValue,
  parseJson,
} from '../../wit/json.ts';
import { type Transaction } from '../../wit/signer-api.ts';
import { budgetId, type Charge } from './budgets.ts';
import { GRANT_ENTRIES_MAX, NAME_CHARS_MAX, TAG_CHARS_MAX, TAGS_MAX } from './limits.ts';

export type Grant = { readonly id: string } & (
  | { readonly kind: 'root' }
  | { readonly kind: 'create'; readonly name: string }
  | {
      readonly kind: 'typed-data';
      readonly key: string;
      /** Hex. */
      readonly domainSeparator: string;
      /** By the type's text. */
      readonly types: ReadonlyMap<string, Counted | undefined>;
      readonly perDay: bigint;
    }
  | {
      readonly kind: 'messages';
      readonly key: string;
      /** A message begins with one of these and a zero byte. */
      readonly tags: readonly string[];
    }
  | {
      readonly kind: 'transaction';
      readonly key: string;
      readonly chainId: bigint;
      readonly contract: string;
      /** By selector: the argument that counts against `perDay`. */
      readonly calls: ReadonlyMap<string, number | undefined>;
      readonly perDay: bigint;
      /** Of value and highest fee. */
      readonly weiPerDay: bigint;
    }
);

/** The member of a type that counts against `perDay`. */
export interface Counted {
  readonly member: string;
  /** It grows, for equal values of these members: only what it grows by counts. */
  readonly per: readonly string[] | undefined;
}

/** Of a transaction, what decides and what costs. */
export type Costed = Pick<
  Transaction,
  'chainId' | 'to' | 'data' | 'value' | 'gasLimit' | 'maxFeePerGas'
>;
export type MessagesGrant = Extract<Grant, { kind: 'messages' }>;
export type TypedDataGrant = Extract<Grant, { kind: 'typed-data' }>;
export type TransactionGrant = Extract<Grant, { kind: 'transaction' }>;

const ADDRESS = /^0x[0-9a-fA-F]{40}$/;
const SELECTOR = /^0x[0-9a-f]{8}$/;
const NAME = /^[a-z0-9][a-z0-9.:-]*$/;
/** What a call without data goes by. */
export const PLAIN_TRANSFER = '0x';
const SELECTOR_BYTES = 4;
const WORD_BYTES = 32;
const ARGUMENTS_MAX = 32;
/** Parsed capabilities that are remembered: a domain costs two hashes. */
const REMEMBERED_MAX = 1_024;

/** Whether a key may be called so: nothing that could be an address. */
export function isKeyName(name: string): boolean {
  return name.length <= NAME_CHARS_MAX && NAME.test(name) && !ADDRESS.test(name);
}

/** Two ways to name one key: addresses in any case. */
export function sameKey(a: string, b: string): boolean {
  return a === b || (ADDRESS.test(a) && a.toLowerCase() === b.toLowerCase());
}

const remembered = new Map<string, Grant | undefined>();

/** Undefined: it allows nothing. */
export function grantOf(params: string): Grant | undefined {
  if (remembered.has(params)) return remembered.get(params);
  const grant = parse(params);
  if (remembered.size >= REMEMBERED_MAX) remembered.clear();
  remembered.set(params, grant);
  return grant;
}

/** What signing this costs, or undefined when the grant is not for it. `message` has the members of its type. */
export function typedDataCharges(
  grant: TypedDataGrant,
  hashes: TypedDataHashes,
  message: JsonValue,
): readonly Charge[] | undefined {
  if (grant.domainSeparator !== toHex(hashes.domainSeparator)) return undefined;
  if (!grant.types.has(hashes.encodedType)) return undefined;
  const counted = grant.types.get(hashes.encodedType);
  if (counted === undefined) return [];
  const asked = isJsonObject(message) ? integerOf(message[counted.member]) : undefined;
  // An amount that cannot be read is no small one.
  if (!isJsonObject(message) || asked === undefined || asked < 0n) return undefined;
  const of = counted.per?.map((name) => sameValue(message[name]));
  const mark = of && budgetId(grant.id, hashes.encodedType, ...of);
  return [{ id: budgetId(grant.id, 'value'), asked, perDay: grant.perDay, mark }];
}

/** Whether the grant is for this message: its tag is the grant's, whole. */
export function isTagged({ tags }: MessagesGrant, message: Uint8Array): boolean {
  const end = message.indexOf(0);
  return end > 0 && tags.includes(Buffer.from(message.subarray(0, end)).toString('latin1'));
}

/** What signing this may cost, or undefined when the grant is not for it. */
export function transactionCharges(
  grant: TransactionGrant,
  transaction: Costed,
): readonly Charge[] | undefined {
  const { chainId, contract, calls, perDay, weiPerDay } = grant;
  if (BigInt(transaction.chainId) !== chainId) return undefined;
  if (transaction.to.toLowerCase() !== contract) return undefined;
  const data = fromHex(transaction.data);
  if (data === undefined) return undefined;
  const selector = data.length === 0 ? PLAIN_TRANSFER : toHex(data.subarray(0, SELECTOR_BYTES));
  if (!calls.has(selector)) return undefined;
  const wei = transaction.value + BigInt(transaction.gasLimit) * transaction.maxFeePerGas;
  const charges: Charge[] = [{ id: budgetId(grant.id, 'wei'), asked: wei, perDay: weiPerDay }];
  const argument = calls.get(selector);
  if (argument === undefined) return charges;
  const at = SELECTOR_BYTES + argument * WORD_BYTES;
  if (data.length < at + WORD_BYTES) return undefined;
  const asked = BigInt(toHex(data.subarray(at, at + WORD_BYTES)));
  return [...charges, { id: budgetId(grant.id, 'value'), asked, perDay }];
}

/** The limits of a grant by the ids they are counted under. */
export function limitsOf(
  grant: Grant,
): readonly { readonly id: string; readonly perDay: bigint }[] {
  if (grant.kind === 'typed-data')
    return [{ id: budgetId(grant.id, 'value'), perDay: grant.perDay }];
  if (grant.kind !== 'transaction') return [];
  return [
    { id: budgetId(grant.id, 'wei'), perDay: grant.weiPerDay },
    { id: budgetId(grant.id, 'value'), perDay: grant.perDay },
  ];
}

function parse(params: string): Grant | undefined {
  const value = parseJson(params);
  if (!isJsonObject(value)) return undefined;
  const id = budgetId(canonicalParams(params));
  const names = Object.keys(value).toSorted().join();
  switch (names) {
    case 'root':
      return value['root'] === true ? { id, kind: 'root' } : undefined;
    case 'create': {
      const name = value['create'];
      return typeof name === 'string' && isKeyName(name) ? { id, kind: 'create', name } : undefined;
    }
    case 'key,messages':
      return messagesGrant(id, value);
    case 'domain,key,types':
    case 'domain,key,perDay,types':
      return typedDataGrant(id, value);
    case 'calls,chainId,contract,key,weiPerDay':
    case 'calls,chainId,contract,key,perDay,weiPerDay':
      return transactionGrant(id, value);
    default:
      return undefined;
  }
}

function typedDataGrant(id: string, value: JsonObject): Grant | undefined {
  const { key, domain, types: listed, perDay: limit } = value;
  const separator = domain === undefined ? undefined : domainSeparator(domain);
  const perDay = limit === undefined ? 0n : amountOf(limit);
  const types = entriesOf(listed, ['type', 'value', 'per'], countedType);
  if (!isKey(key) || separator?.ok !== true || perDay === undefined || types === undefined)
    return undefined;
  // A limit that nothing counts against is a mistake, and so is a count without a limit.
  if ((limit === undefined) !== [...types.values()].every((counted) => counted === undefined))
    return undefined;
  return { id, kind: 'typed-data', key, domainSeparator: toHex(separator.value), types, perDay };
}

function messagesGrant(id: string, { key, messages }: JsonObject): Grant | undefined {
  if (!isKey(key) || !Array.isArray(messages)) return undefined;
  const tags = (messages as readonly JsonValue[]).filter(isTag);
  if (tags.length === 0 || tags.length !== messages.length || tags.length > TAGS_MAX)
    return undefined;
  return { id, kind: 'messages', key, tags };
}

function transactionGrant(id: string, value: JsonObject): Grant | undefined {
  const { key, chainId, contract, calls: listed, perDay: limit, weiPerDay: wei } = value;
  const weiPerDay = amountOf(wei);
  const perDay = limit === undefined ? 0n : amountOf(limit);
  const calls = entriesOf(listed, ['selector', 'value'], countedCall);
  const chain = typeof chainId === 'number' || typeof chainId === 'bigint' ? BigInt(chainId) : 0n;
  if (!isKey(key) || chain <= 0n || typeof contract !== 'string' || !ADDRESS.test(contract))
    return undefined;
  if (weiPerDay === undefined || perDay === undefined || calls === undefined) return undefined;
  if ((limit === undefined) !== [...calls.values()].every((counted) => counted === undefined))
    return undefined;
  return {
    id,
    kind: 'transaction',
    key,
    chainId: chain,
    contract: contract.toLowerCase(),
    calls,
    perDay,
    weiPerDay,
  };
}

/** A list of objects as a map; undefined when one is not as it should be, has another member, or comes twice. */
function entriesOf<T>(
  listed: JsonValue | undefined,
  names: readonly string[],
  read: (item: JsonObject) => readonly [string, T] | undefined,
): ReadonlyMap<string, T> | undefined {
  if (!Array.isArray(listed)) return undefined;
  const items = listed as readonly JsonValue[];
  if (items.length === 0 || items.length > GRANT_ENTRIES_MAX) return undefined;
  const entries = new Map<string, T>();
  for (const item of items) {
    if (!isJsonObject(item) || Object.keys(item).some((name) => !names.includes(name)))
      return undefined;
    const entry = read(item);
    if (entry === undefined || entries.has(entry[0])) return undefined;
    entries.set(...entry);
  }
  return entries;
}

function countedType({
  type,
  value: member,
  per,
}: JsonObject): readonly [string, Counted | undefined] | undefined {
  if (typeof type !== 'string') return undefined;
  if (member === undefined) return per === undefined ? [type, undefined] : undefined;
  const members = membersOf(type);
  if (typeof member !== 'string' || !/^uint[0-9]+$/.test(members.get(member) ?? ''))
    return undefined;
  if (per === undefined) return [type, { member, per: undefined }];
  if (!Array.isArray(per) || per.length === 0) return undefined;
  const names = (per as readonly JsonValue[]).filter((name) => typeof name === 'string');
  // Of whole values only: two texts of one number would be two.
  const known = names.every((name) =>
    /^(bytes32|address|uint[0-9]+)$/.test(members.get(name) ?? ''),
  );
  return known && names.length === per.length ? [type, { member, per: names }] : undefined;
}

function countedCall({
  selector,
  value: argument,
}: JsonObject): readonly [string, number | undefined] | undefined {
  if (typeof selector !== 'string') return undefined;
  if (argument === undefined)
    return SELECTOR.test(selector) || selector === PLAIN_TRANSFER
      ? [selector, undefined]
      : undefined;
  return SELECTOR.test(selector) && isArgument(argument) ? [selector, argument] : undefined;
}

/** Types by name, of the type's own struct. */
function membersOf(type: string): ReadonlyMap<string, string> {
  const members = /^[^(]*\(([^)]*)\)/.exec(type)?.[1]?.split(',') ?? [];
  return new Map(
    members.map((member): [string, string] => {
      const [kind = '', name = ''] = member.split(' ');
      return [name, kind];
    }),
  );
}

/** One text for all that encode alike: hex in either case, numbers as digits or as hex. */
function sameValue(value: JsonValue | undefined): string {
  const number = integerOf(value);
  if (number !== undefined) return String(number);
  // Proof that it is a text: the value of a word in data that has been hashed.
  return typeof value === 'string' ? value.toLowerCase() : '';
}

function isArgument(value: JsonValue): value is number {
  return (
    typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < ARGUMENTS_MAX
  );
}

/** Printable, so that no tag hides in another. */
function isTag(value: JsonValue): value is string {
  return typeof value === 'string' && value.length <= TAG_CHARS_MAX && /^[\x21-\x7e]+$/.test(value);
}

function isKey(value: JsonValue | undefined): value is string {
  return typeof value === 'string' && (ADDRESS.test(value) || isKeyName(value));
}

/** Money is never a JSON number (compute-market.md, conventions). */
function amountOf(value: JsonValue | undefined): bigint | undefined {
  return typeof value === 'string' && /^(0|[1-9][0-9]{0,77})$/.test(value)
    ? BigInt(value)
    : undefined;
}
