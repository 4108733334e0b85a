/** Transactions of type 2 (EIP-1559) as they are signed and sent. */
import { fromHex } from '../../contracts/hex.ts';
import { keccak256 } from '../../wit/keccak.ts';
import type { Transaction } from '../../wit/signer-api.ts';

const TYPE = 2;
/** Below this length a payload's length is in its first byte. */
const SHORT_BYTES = 56;
const STRING = 0x80;
const LIST = 0xc0;
const WORD_BYTES = 32;
const V_BASE = 27;

/** The 32 bytes that are signed. */
export function transactionDigest(transaction: Transaction): Uint8Array {
  return keccak256(typed(fieldsOf(transaction)));
}

/** As it is sent. @param signature r, s and v, 27 or 28 */
export function signedTransaction(transaction: Transaction, signature: Uint8Array): Uint8Array {
  const numberAt = (at: number): Uint8Array =>
    number(BigInt(hex(signature.subarray(at, at + WORD_BYTES))));
  const parity = number(BigInt(signature[2 * WORD_BYTES]! - V_BASE));
  return typed([...fieldsOf(transaction), parity, numberAt(0), numberAt(WORD_BYTES)]);
}

function fieldsOf(transaction: Transaction): readonly Uint8Array[] {
  return [
    number(BigInt(transaction.chainId)),
    number(BigInt(transaction.nonce)),
    number(transaction.maxPriorityFeePerGas),
    number(transaction.maxFeePerGas),
    number(BigInt(transaction.gasLimit)),
    string(bytes(transaction.to)),
    number(transaction.value),
    string(bytes(transaction.data)),
    // No access list.
    headed(LIST, new Uint8Array()),
  ];
}

function typed(fields: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat([Uint8Array.of(TYPE), headed(LIST, Buffer.concat(fields))]);
}

/** RLP of a number: no leading zeros, nothing for zero. */
function number(value: bigint): Uint8Array {
  if (value === 0n) return string(new Uint8Array());
  const digits = value.toString(16);
  return string(Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex'));
}

/** RLP of bytes. */
function string(value: Uint8Array): Uint8Array {
  return value.length === 1 && value[0]! < STRING ? value : headed(STRING, value);
}

function headed(kind: number, payload: Uint8Array): Uint8Array {
  if (payload.length < SHORT_BYTES)
    return Buffer.concat([Uint8Array.of(kind + payload.length), payload]);
  const digits = payload.length.toString(16);
  const length = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex');
  return Buffer.concat([Uint8Array.of(kind + SHORT_BYTES - 1 + length.length), length, payload]);
}

function hex(value: Uint8Array): string {
  return `0x${Buffer.from(value).toString('hex')}`;
}

/** Proof that it is hex: the codec of the body. */
function bytes(value: string): Uint8Array {
  return fromHex(value) ?? new Uint8Array();
}
