/**
 * What a capability of the signer allows, from its params (docs/signer.md). Strict: params with a member too many or too few allow
 * nothing, because a misspelt limit must not be no limit.
 *
 *   {"root":true}
 *   {"create":"executor"}
 *   {"key":"executor","domain":{…},"types":[{"type":"Voucher(bytes32 jobId,…)","value":"cumulative"}],"perDay":"1000"}
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
import { GRANT_ENTRIES_MAX, NAME_CHARS_MAX } from './limits.ts';

export type Grant = { readonly id: string } & (
  | { readonly kind: 'root' }
  | { readonly kind: 'create'; readonly name: string }
  | {
      readonly kind: 'typed-data';
      readonly key: string;
      /** Hex. */
      readonly domainSeparator: string;
      /** By the type's text: the member that counts against `perDay`. */
      readonly types: ReadonlyMap<string, string | undefined>;
      readonly perDay: bigint;
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
  const member = grant.types.get(hashes.encodedType);
  if (member === undefined) return [];
  const asked = isJsonObject(message) ? integerOf(message[member]) : undefined;
  // An amount that cannot be read is no small one.
  if (asked === undefined || asked < 0n) return undefined;
  return [{ id: budgetId(grant.id, 'value'), asked, perDay: grant.perDay }];
}

/** What signing this may cost, or undefined when the grant is not for it. */
export function transactionCharges(
  grant: TransactionGrant,
  transaction: Transaction,
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
  const types = entriesOf(listed, 'type', (type, counted) =>
    typeof type === 'string' && (counted === undefined || isUnsignedMember(type, counted))
      ? [type, counted as string | undefined]
      : undefined,
  );
  if (!isKey(key) || separator?.ok !== true || perDay === undefined || types === undefined)
    return undefined;
  // A limit that nothing counts against is a mistake, and so is a count without a limit.
  if ((limit === undefined) !== [...types.values()].every((counted) => counted === undefined))
    return undefined;
  return { id, kind: 'typed-data', key, domainSeparator: toHex(separator.value), types, perDay };
}

function transactionGrant(id: string, value: JsonObject): Grant | undefined {
  const { key, chainId, contract, calls: listed, perDay: limit, weiPerDay: wei } = value;
  const weiPerDay = amountOf(wei);
  const perDay = limit === undefined ? 0n : amountOf(limit);
  const calls = entriesOf(listed, 'selector', (selector, counted) =>
    typeof selector === 'string' &&
    (SELECTOR.test(selector) || (selector === PLAIN_TRANSFER && counted === undefined)) &&
    (counted === undefined || isArgument(counted))
      ? [selector, counted as number | undefined]
      : undefined,
  );
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

/** A list of `{[name], value?}` as a map; undefined when one is not as it should be, or comes twice. */
function entriesOf<T>(
  listed: JsonValue | undefined,
  name: string,
  read: (named: JsonValue | undefined, counted: JsonValue | undefined) => [string, T] | undefined,
): ReadonlyMap<string, T> | undefined {
  if (!Array.isArray(listed)) return undefined;
  const items = listed as readonly JsonValue[];
  if (items.length === 0 || items.length > GRANT_ENTRIES_MAX) return undefined;
  const entries = new Map<string, T>();
  for (const item of items) {
    if (!isJsonObject(item)) return undefined;
    const names = Object.keys(item).toSorted().join();
    if (names !== name && names !== [name, 'value'].toSorted().join()) return undefined;
    const entry = read(item[name], item['value']);
    if (entry === undefined || entries.has(entry[0])) return undefined;
    entries.set(...entry);
  }
  return entries;
}

/** Whether the type's own struct has an unsigned number of that name. */
function isUnsignedMember(type: string, counted: JsonValue): boolean {
  if (typeof counted !== 'string') return false;
  const members = /^[^(]*\(([^)]*)\)/.exec(type)?.[1]?.split(',') ?? [];
  return members.some((member) => {
    const [kind = '', name] = member.split(' ');
    return name === counted && /^uint[0-9]+$/.test(kind);
  });
}

function isArgument(value: JsonValue): boolean {
  return (
    typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < ARGUMENTS_MAX
  );
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
