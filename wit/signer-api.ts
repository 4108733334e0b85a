/**
 * Bodies and error names of `signer:distro:sys` (finding F41; docs/signer.md), a module of ours. Bytes are `0x` hex, amounts decimal
 * texts in atomic units.
 */
import {
  type Decoded,
  bool,
  dictionary,
  json,
  list,
  option,
  record,
  refined,
  text,
  u64,
  union,
  unit,
} from './codec.ts';
import { processId } from './codec-ids.ts';

const UINT256_END = 2n ** 256n;

/** A whole number from 0 to 2^256-1, as a decimal text without leading zeros. */
export const amount = refined(
  text,
  'decimal text',
  (value) => {
    if (!/^(0|[1-9][0-9]{0,77})$/.test(value)) return undefined;
    const number = BigInt(value);
    return number < UINT256_END ? number : undefined;
  },
  String,
);

const hexOf = (bytes: number | undefined): typeof text =>
  refined(
    text,
    bytes === undefined ? '0x hex' : `0x hex of ${bytes} bytes`,
    (value) =>
      /^0x([0-9a-fA-F]{2})*$/.test(value) && (bytes === undefined || value.length === 2 + 2 * bytes)
        ? value
        : undefined,
    (value) => value,
  );

const address = hexOf(20);
const hash = hexOf(32);

/** As wallets take it in `eth_signTypedData_v4`. */
export const typedData = record({
  domain: json,
  types: dictionary(list(record({ name: text, type: text }))),
  primaryType: text,
  message: json,
});

/** EIP-1559; a fee is in wei. Contracts are called, none is made. */
export const transaction = record({
  chainId: u64,
  nonce: u64,
  maxPriorityFeePerGas: amount,
  maxFeePerGas: amount,
  gasLimit: u64,
  to: address,
  value: amount,
  data: hexOf(undefined),
});
export type Transaction = Decoded<typeof transaction>;

/** What a key sends: its nonce and its fees are the signer's business. */
const outgoing = record({
  to: address,
  value: amount,
  data: hexOf(undefined),
  /** Estimated, with a quarter on top, if left out: what would revert is refused then. */
  gasLimit: option(u64),
  /** The most that a unit of gas may ever cost, replacements included, in wei; left out: four times what is needed now. */
  maxFeePerGas: option(amount),
});
export type Outgoing = Decoded<typeof outgoing>;

/** What became of what was sent. A block that the chain drops makes it pending again. */
export const sendState = union({
  Pending: unit,
  /** `ok`: it did not revert. */
  Mined: record({ block: u64, ok: bool }),
  /** Another transaction of the key has its nonce, one that was not sent here: it can never be mined. */
  Superseded: unit,
});
export type SendState = Decoded<typeof sendState>;

/** r, s and v, 27 or 28. */
const signed = record({ digest: hash, signature: hexOf(undefined) });

export const signerRequest = union({
  /** For holders of `{"root":true}` or `{"create":name}`. */
  CreateKey: record({ name: option(text) }),
  /** For root. The blob is the 32 bytes of the key. */
  ImportKey: record({ name: option(text) }),
  /** For root. There is no way back. */
  RemoveKey: record({ key: text }),
  /** All of them for root, for others those that their capabilities name. */
  ListKeys: unit,
  /** For root: gives a process the capability with these params. */
  Grant: record({ process: processId, params: json }),
  /** What is left today of the capabilities held. */
  Budgets: unit,
  /** Of the blob. */
  Keccak256: unit,
  /** EIP-712, without signing. */
  TypedDataDigest: typedData,
  SignTypedData: record({ key: text, data: typedData }),
  SignTransaction: record({ key: text, transaction }),
  /** EIP-191, of bytes. */
  SignMessage: record({ key: text, message: hexOf(undefined) }),
  /**
   * Assigns the key's next nonce on the chain, signs, keeps on disk, and then broadcasts through `eth:distro:sys` until it is mined, with
   * higher fees where it is stuck. `id` is the asker's package's: the same id again sends nothing and answers what became of it.
   */
  Send: record({ id: text, key: text, chainId: u64, transaction: outgoing }),
  /** Of something the asker's package sent. */
  SendState: record({ id: text }),
  /** For root: gives up what is pending of a key on a chain, as after the chain was made anew. It may still be mined. */
  ForgetSends: record({ key: text, chainId: u64 }),
  /** Who made these signatures; null for one that is none. */
  Recover: list(signed),
  Verify: list(record({ digest: hash, signature: hexOf(undefined), address })),
  /** Of a file in vfs that the process may read. */
  Sha256: record({ path: text }),
  /** Of a file of log records (`wit/jobs/log-records.ts`) in vfs, as a receipt commits to them (compute-market.md §7.1). */
  LogRoot: record({ path: text }),
  /** Of all files below a folder in vfs, as outputs of a job (compute-market.md §7.1). */
  MerkleRoot: record({ path: text }),
});
export type SignerRequest = Decoded<typeof signerRequest>;

export const signerError = union({
  MalformedRequest: text,
  /** No capability held allows it; the text says what comes closest. */
  NotPermitted: text,
  NoReadCap: unit,
  NoSuchKey: unit,
  /** The key is sealed under another keyfile's file key than the node has. */
  KeyLocked: unit,
  KeyExists: unit,
  NameTaken: unit,
  TooManyKeys: unit,
  NoProcess: unit,
  /** Of the capability that has most left. Amounts are of one day (UTC). */
  OverBudget: record({ asked: amount, left: amount, perDay: amount }),
  /** The record of what was spent today was damaged: nothing of value is signed before tomorrow (UTC). */
  BudgetsUnknown: unit,
  BadTypedData: text,
  /** Links, or more files than a root is made of. */
  BadTree: text,
  /** The file is no log; the text says where it stops to be one. */
  BadLog: text,
  /** The id was used for something else. */
  IdTaken: unit,
  NoSuchSend: unit,
  /** So much is pending of the key on this chain, or of all keys, that nothing more is taken. */
  QueueFull: unit,
  /** The chain cannot be asked now; nothing was sent. */
  NoChain: text,
  /** The chain would not take it, in its words; nothing was sent. */
  Refused: text,
  /** A unit of gas costs more now than it may; nothing was sent. */
  FeeTooLow: record({ needed: amount, maxFeePerGas: amount }),
  IOError: text,
});
export type SignerError = Decoded<typeof signerError>;

export const signerResponse = union({
  Ok: unit,
  /** The key's address, checksummed as all of them. */
  Key: address,
  Keys: list(address),
  Budgets: list(record({ params: text, spent: amount, perDay: amount })),
  Hash: hash,
  Signature: record({ digest: hash, signature: hexOf(65) }),
  /** For `eth_sendRawTransaction`. */
  Transaction: record({ raw: hexOf(undefined), hash }),
  Addresses: list(option(address)),
  Verified: list(bool),
  FileHash: record({ sha256: hash, bytes: u64 }),
  Root: record({ root: hash, files: u64, bytes: u64 }),
  LogRoot: record({ root: hash, records: u64, stdoutHash: hash, bytes: u64 }),
  /** On its way, or what became of it. The hash changes when it is sent again with higher fees. */
  Sent: record({ hash, nonce: u64, state: sendState }),
  Err: signerError,
});
export type SignerResponse = Decoded<typeof signerResponse>;
