/**
 * Calls of the namespace, its accounts and its minters as calldata, and what they return (reference hypermap, sections 4, 6 and 8), by
 * hand: quick, and without an ABI library in guests. Bytes are hex, labels are text. `calls.test.ts` compares with ethers.
 */
import { byteAt, textToHex, type Hex } from './hex.ts';
import type { Result } from '../wit/types.ts';

/** The first four bytes of calldata. */
export const SELECTORS = {
  get: '8eaa6ac0',
  mint: '094cefed',
  note: '7788b5a8',
  fact: 'e852398b',
  gene: '74e08829',
  tbaOf: '27244d1e',
  ownerOf: '6352211e',
  execute: '51945447',
  token: 'fc0c546a',
  initialize: '8129fc1c',
  aggregate: '252dba42',
  tryAggregate: 'bce38bd7',
  commit: 'f14fcbc8',
  getCommit: '8784ea96',
} as const;

/** What `execute` does with its target. */
export const OPERATION_CALL = 0;
export const OPERATION_DELEGATECALL = 1;

export interface MintCall {
  /** Gets the name. */
  readonly who: string;
  readonly label: string;
  /** First call of the new account, such as `encodeExecute`; `0x` for none. */
  readonly initialization: string;
  /** Code of the new account. */
  readonly implementation: string;
}

/** `mint(who, label, initialization, implementation)`: to a zone's account, or from a parent's account to the namespace. */
export function encodeMint({ who, label, initialization, implementation }: MintCall): Hex {
  return encode(SELECTORS.mint, [
    address(who),
    dynamic(textToHex(label)),
    dynamic(initialization),
    address(implementation),
  ]);
}

/** `note(label, data)`, from the account of the entry it is under. */
export function encodeNote(label: string, data: string): Hex {
  return encode(SELECTORS.note, [dynamic(textToHex(label)), dynamic(data)]);
}

/** `fact(label, data)`, from the account of the entry it is under. */
export function encodeFact(label: string, data: string): Hex {
  return encode(SELECTORS.fact, [dynamic(textToHex(label)), dynamic(data)]);
}

/** `gene(implementation)`, from the account of the entry. */
export function encodeGene(implementation: string): Hex {
  return encode(SELECTORS.gene, [address(implementation)]);
}

/** `get(namehash)`; `decodeGet` reads the answer. */
export function encodeGet(hash: string): Hex {
  return encode(SELECTORS.get, [word(hash)]);
}

/** `tbaOf(namehash)`; `decodeAddress` reads the answer. */
export function encodeTbaOf(hash: string): Hex {
  return encode(SELECTORS.tbaOf, [word(hash)]);
}

export interface ExecuteCall {
  readonly to: string;
  /** Wei. */
  readonly value?: bigint;
  readonly data: string;
  readonly operation: typeof OPERATION_CALL | typeof OPERATION_DELEGATECALL;
}

/** `execute(to, value, data, operation)`, to an account from its owner. */
export function encodeExecute({ to, value = 0n, data, operation }: ExecuteCall): Hex {
  return encode(SELECTORS.execute, [
    address(to),
    number(value),
    dynamic(data),
    number(BigInt(operation)),
  ]);
}

/** Multicall3's `aggregate`: all calls or none. Delegate-called by an account, they come from the account. */
export function encodeAggregate(calls: readonly { to: string; data: string }[]): Hex {
  return encode(SELECTORS.aggregate, [
    list(calls.map(({ to, data }) => tuple([address(to), dynamic(data)]))),
  ]);
}

/** Multicall3's `tryAggregate`: each call for itself, whatever becomes of the others. */
export function encodeTryAggregate(calls: readonly { to: string; data: string }[]): Hex {
  return encode(SELECTORS.tryAggregate, [
    number(0n),
    list(calls.map(({ to, data }) => tuple([address(to), dynamic(data)]))),
  ]);
}

/** The call by which an account writes several notes at once: a new account's initialisation, or a reset by its owner. */
export function encodeNotes(
  { hypermap, multicall }: { hypermap: string; multicall: string },
  notes: readonly { label: string; data: string }[],
): Hex {
  const calls = notes.map(({ label, data }) => ({ to: hypermap, data: encodeNote(label, data) }));
  return encodeExecute({
    to: multicall,
    data: encodeAggregate(calls),
    operation: OPERATION_DELEGATECALL,
  });
}

/** `commit(commitment)`, to a nine-character minter; see `commitmentOf`. */
export function encodeCommit(commitment: string): Hex {
  return encode(SELECTORS.commit, [word(commitment)]);
}

/** Any function whose arguments are words: addresses and numbers. */
export function encodeCall(selector: string, words: readonly bigint[]): Hex {
  return encode(selector, words.map(number));
}

/** `initialize()` of upgradable accounts and minters. */
export function encodeInitialize(): Hex {
  return encode(SELECTORS.initialize, []);
}

export interface Entry {
  /** Lower case; all zeros for a note, a fact, and what is not there. */
  readonly tba: Hex;
  readonly owner: Hex;
  readonly data: Hex;
}

/** What `get` returned; refused where a provider answered something else. */
export function decodeGet(answer: string): Result<Entry, string> {
  const tba = addressAt(answer, 0);
  const owner = addressAt(answer, 1);
  const data = bytesAt(answer, 2, answer.length);
  if (tba === undefined || owner === undefined || data === undefined)
    return { ok: false, error: 'not an answer of get(bytes32)' };
  return { ok: true, value: { tba, owner, data: `0x${data}` } };
}

/** A single address that was returned, lower case. */
export function decodeAddress(answer: string): Hex | undefined {
  return answer.length === 66 ? addressAt(answer, 0) : undefined;
}

const ZEROS_24 = '0'.repeat(24);
const ZEROS_56 = '0'.repeat(56);
const WORD_DIGITS = 64;

/** The number in word `index` of ABI-encoded `text`, which starts with `0x`; undefined where it is not there or over 32 bits. */
export function smallAt(text: string, index: number): number | undefined {
  const at = 2 + index * WORD_DIGITS;
  if (text.length < at + WORD_DIGITS || !text.startsWith(ZEROS_56, at)) return undefined;
  let value = 0;
  for (let i = at + 56; i < at + WORD_DIGITS; i += 2) {
    const byte = byteAt(text, i);
    if (byte === undefined) return undefined;
    value = value * 256 + byte;
  }
  return value;
}

/** Digits of the bytes whose offset is in word `index`, without `0x`; undefined where they are not wholly there. */
export function bytesAt(text: string, index: number, end: number): string | undefined {
  const offset = smallAt(text, index);
  if (offset === undefined || offset % 32 !== 0) return undefined;
  const length = smallAt(text, offset / 32);
  if (length === undefined) return undefined;
  const at = 2 + offset * 2 + WORD_DIGITS;
  return at + length * 2 <= end ? text.slice(at, at + length * 2) : undefined;
}

/** The address in word `index`. */
export function addressAt(text: string, index: number): Hex | undefined {
  const at = 2 + index * WORD_DIGITS;
  if (text.length < at + WORD_DIGITS || !text.startsWith(ZEROS_24, at)) return undefined;
  return `0x${text.slice(at + 24, at + WORD_DIGITS).toLowerCase()}`;
}

/** What the calls of `aggregate` returned, `0x` hex; undefined where a provider answered something else. */
export function decodeAggregate(answer: string, count: number): string[] | undefined {
  // A block number, then as many byte strings.
  const list = smallAt(answer, 1);
  const at = list === undefined ? undefined : list / 32;
  if (at === undefined || !Number.isInteger(at) || smallAt(answer, at) !== count) return undefined;
  // Offsets count from behind the length of the list.
  const inside = `0x${answer.slice(2 + (at + 1) * WORD_DIGITS)}`;
  const found: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const digits = bytesAt(inside, index, inside.length);
    if (digits === undefined) return undefined;
    found.push(`0x${digits}`);
  }
  return found;
}

/** An argument: words in place, or a tail with its offset in place. Digits without `0x`. */
export type Argument = { readonly head: string } | { readonly tail: string };

/** Calldata: a selector without `0x`, and its arguments. */
export function encode(selector: string, parts: readonly Argument[]): Hex {
  return `0x${selector}${tuple(parts)}`;
}

/** Arguments or members one after another; tails follow all heads. */
export function tuple(parts: readonly Argument[]): string {
  let heads = '';
  let tails = '';
  let at = parts.reduce((sum, part) => sum + ('head' in part ? part.head.length / 2 : 32), 0);
  for (const part of parts) {
    if ('head' in part) {
      heads += part.head;
    } else {
      heads += plain(BigInt(at));
      tails += part.tail;
      at += part.tail.length / 2;
    }
  }
  return heads + tails;
}

/** A list of tuples of which each has a tail. */
export function list(items: readonly string[]): Argument {
  const heads: string[] = [];
  let at = 32 * items.length;
  for (const item of items) {
    heads.push(plain(BigInt(at)));
    at += item.length / 2;
  }
  return { tail: plain(BigInt(items.length)) + heads.join('') + items.join('') };
}

/** Bytes of any length. */
export function dynamic(data: string): { readonly tail: string } {
  const digits = digitsOf(data);
  const padding = (WORD_DIGITS - (digits.length % WORD_DIGITS)) % WORD_DIGITS;
  return { tail: plain(BigInt(digits.length / 2)) + digits + '0'.repeat(padding) };
}

/** @throws RangeError when it is not 20 bytes of hex */
export function addressWord(text: string): string {
  const digits = digitsOf(text);
  if (digits.length !== 40) throw new RangeError(`"${text}" is not an address`);
  return ZEROS_24 + digits;
}

/** @throws RangeError when it is not 32 bytes of hex */
export function bytes32Word(text: string): string {
  const digits = digitsOf(text);
  if (digits.length !== WORD_DIGITS) throw new RangeError(`"${text}" is not 32 bytes`);
  return digits;
}

/**
 * @param type  `uint64`, `int32` and the like
 * @throws RangeError when the number is not of the type
 */
export function numberWord(value: bigint, type: string): string {
  const signed = type.startsWith('int');
  const bits = Number(type.slice(signed ? 3 : 4));
  const wrapped = signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
  if (wrapped !== value) throw new RangeError(`${value} is not ${type}`);
  return plain(BigInt.asUintN(256, value));
}

function address(text: string): Argument {
  return { head: addressWord(text) };
}

function word(text: string): Argument {
  return { head: bytes32Word(text) };
}

function number(value: bigint): Argument {
  return { head: plain(value) };
}

function plain(value: bigint): string {
  return value.toString(16).padStart(WORD_DIGITS, '0');
}

function digitsOf(text: string): string {
  if (!HEX_TEXT.test(text)) throw new RangeError(`"${text.slice(0, 80)}" is not hex`);
  return text.slice(2).toLowerCase();
}

const HEX_TEXT = /^0x(?:[0-9a-fA-F]{2})*$/;
