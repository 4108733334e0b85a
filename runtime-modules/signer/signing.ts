/** Signatures and transactions as a process asked for them: what they cost is charged first, and is on disk before anything leaves. */
import { toHex } from '../../contracts/hex.ts';
import { keccak256 } from '../../wit/keccak.ts';
import type { SignerError, SignerRequest, SignerResponse } from '../../wit/signer-api.ts';
import type { Result } from '../../wit/types.ts';
import { type Bill, permitTransaction } from './authority.ts';
import type { Budgets } from './budgets.ts';
import type { SignerWork } from './decide.ts';
import { type Entry, newest } from './outbox/entry.ts';
import type { Outbox } from './outbox/outbox.ts';
import { signedTransaction, transactionDigest } from './transaction.ts';
import type { Wallet, WalletRefusal } from './wallet.ts';

/** What is on disk, read. */
export interface Opened {
  readonly wallet: Wallet;
  readonly budgets: Budgets;
  readonly outbox: Outbox;
}

export async function signAsAsked(
  opened: Opened,
  work: Extract<SignerWork, { kind: 'SignTypedData' | 'SignTransaction' | 'SignMessage' }>,
  signal: AbortSignal,
): Promise<Result<SignerResponse, SignerError>> {
  if (work.kind !== 'SignTransaction') {
    const signature = await sign(opened, work, signal);
    if (!signature.ok) return signature;
    const value = { digest: toHex(work.digest), signature: toHex(signature.value) };
    return done({ kind: 'Signature', value });
  }
  const { key, transaction } = work.value;
  const digest = transactionDigest(transaction);
  const signature = await sign(opened, { key, digest, bills: work.bills }, signal);
  if (!signature.ok) return signature;
  const raw = signedTransaction(transaction, signature.value);
  return done({ kind: 'Transaction', value: { raw: toHex(raw), hash: toHex(keccak256(raw)) } });
}

/** Charged before it is signed, and on disk. What cannot be signed costs nothing. */
async function sign(
  { wallet, budgets }: Opened,
  {
    key,
    digest,
    bills,
  }: { readonly key: string; readonly digest: Uint8Array; readonly bills: readonly Bill[] },
  signal: AbortSignal,
): Promise<Result<Uint8Array, SignerError>> {
  const usable = wallet.usable(key);
  if (!usable.ok) return failed(walletError(usable.error));
  const charged = await charge(budgets, bills);
  if (!charged.ok) return charged;
  signal.throwIfAborted();
  const signature = await wallet.sign(key, digest);
  return signature.ok ? signature : failed(walletError(signature.error));
}

/** One of the bills is paid, and that is on disk. */
async function charge(
  budgets: Budgets,
  bills: readonly Bill[],
): Promise<Result<undefined, SignerError>> {
  let closest: SignerError | undefined;
  for (const bill of bills) {
    const charged = await budgets.charge(bill);
    if (charged.ok) return charged;
    if (charged.error.kind === 'BudgetsUnknown') return failed({ kind: 'BudgetsUnknown' });
    const { charge: over, left } = charged.error;
    if (closest?.kind === 'OverBudget' && closest.value.left >= left) continue;
    closest = { kind: 'OverBudget', value: { asked: over.asked, left, perDay: over.perDay } };
  }
  return failed(closest ?? { kind: 'NotPermitted', value: 'no capability allows it' });
}

/** What is on disk is sent, whether or not its asker still waits. */
export async function send(
  { wallet, budgets, outbox }: Opened,
  { sender, value, grants }: Extract<SignerWork, { kind: 'Send' }>,
  signal: AbortSignal,
): Promise<Result<SignerResponse, SignerError>> {
  const { id, key, chainId, transaction } = value;
  const usable = wallet.usable(key);
  if (!usable.ok) return failed(walletError(usable.error));
  const request = { sender, id, address: usable.value.address, chainId, transaction };
  const entry = await outbox.send(request, async ({ gasLimit, feeLimit }) => {
    signal.throwIfAborted();
    const { to, data, value: wei } = transaction;
    const costed = { chainId, to, data, value: wei, gasLimit, maxFeePerGas: feeLimit };
    const bills = permitTransaction(grants, { key, transaction: costed });
    if (!bills.ok) return failed({ kind: 'NotPermitted', value: bills.error });
    return charge(budgets, bills.value);
  });
  return entry.ok ? sent(entry.value) : entry;
}

export function sent(entry: Entry | undefined): Result<SignerResponse, SignerError> {
  if (entry === undefined) return failed({ kind: 'NoSuchSend' });
  const { nonce, state } = entry;
  const { hash } = newest(entry);
  return done({ kind: 'Sent', value: { hash, nonce, state } });
}

export async function forget(
  { wallet, outbox }: Opened,
  { key, chainId }: Extract<SignerRequest, { kind: 'ForgetSends' }>['value'],
): Promise<Result<SignerResponse, SignerError>> {
  const found = wallet.find(key);
  if (found === undefined) return failed({ kind: 'NoSuchKey' });
  await outbox.forget(chainId, found.address);
  return done({ kind: 'Ok' });
}

export function walletError(refused: WalletRefusal): SignerError {
  return refused === 'NotAKey'
    ? { kind: 'MalformedRequest', value: 'the blob is no secp256k1 key' }
    : { kind: refused };
}

export function done(value: SignerResponse): Result<SignerResponse, never> {
  return { ok: true, value };
}

export function failed(error: SignerError): Result<never, SignerError> {
  return { ok: false, error };
}
