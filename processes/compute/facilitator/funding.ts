/**
 * Payments of clients: checked before anything is sent, with the reasons of x402.md §5.2 and §7, and turned into the calls that carry them
 * out. What a client signed is checked by its signature first and by trying the call second, so that a wallet that is a contract works too.
 */
import { errorNameOf } from '../../../contracts/compute-errors.ts';
import { encode, numberWord, addressWord, bytes32Word } from '../../../contracts/calls.ts';
import {
  encodeFundFor,
  encodeFundForWithPermit,
  encodeFundFromVault,
  encodeFundWithAuthorization,
  encodeFundWithPermit2,
} from '../../../contracts/compute-calls.ts';
import type { ComputeTerms } from '../../../contracts/compute.ts';
import { EthError } from '../../lib/eth.ts';
import { Refusal } from '../../lib/errors.ts';
import { member } from '../../lib/modules.ts';
import type { Signer, TypedData } from '../../lib/signer.ts';
import type { OfferedTerms, Payment } from '../shared/facilitator-contract.ts';
import type { ChainView } from '../shared/chain-view.ts';
import type { Wish } from './batches.ts';
import type { Settings } from '../shared/settings.ts';
import { same } from '../shared/words.ts';

/** Seconds that an authorisation has to be good for when it arrives. */
export const VALID_S_MIN = 6;
/** `transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)` */
const TRANSFER_WITH_AUTHORIZATION = 'e3ee160e';
/** `authorizationState(address,bytes32)` */
const AUTHORIZATION_STATE = 'e94a0102';
const AUTHORIZATION = [
  { name: 'from', type: 'address' },
  { name: 'to', type: 'address' },
  { name: 'value', type: 'uint256' },
  { name: 'validAfter', type: 'uint256' },
  { name: 'validBefore', type: 'uint256' },
  { name: 'nonce', type: 'bytes32' },
];

export interface FundingNeeds {
  readonly settings: Settings;
  readonly chain: ChainView;
  readonly signer: Signer;
  /** Who sends. */
  readonly from: string;
  /** Seconds of the chain's clock, asked anew. */
  readonly nowS: () => Promise<number>;
}

type Kind<K extends Payment['kind']> = Extract<Payment, { kind: K }>['value'] & object;

/** Whether a payment would pay for the job. @throws Refusal with the reason's code */
export async function checkPayment(
  needs: FundingNeeds,
  offered: OfferedTerms,
  payment: Payment,
): Promise<void> {
  const { terms, jobId, vault } = offered;
  if (Number(terms.fundBy) < (await needs.nowS()))
    throw new Refusal('terms_expired', 'fundBy has passed');
  const { state } = await needs.chain.job(jobId);
  if (state !== 'none') throw new Refusal('job_already_funded', `the job is ${state}`);
  switch (payment.kind) {
    case 'Vault':
      await checkVault(needs, vault, terms.amount);
      break;
    case 'Transfer':
      return checkTransfer(needs, offered, payment.value);
    case 'Receive':
      await checkReceive(needs, offered, payment.value);
      break;
    case 'Allowance':
    case 'Permit':
    case 'Permit2':
      break;
  }
  const [last] = wishesOf(needs.settings, offered, payment).slice(-1);
  await tryCall(needs, last!);
}

/** What carries a payment out, in order. */
export function wishesOf(settings: Settings, offered: OfferedTerms, payment: Payment): Wish[] {
  const { terms, jobId, vault } = offered;
  const fund = (data: string): Wish => ({ jobId, kind: 'fund', to: settings.escrow, data });
  switch (payment.kind) {
    case 'Vault':
      return [fund(encodeFundFromVault(terms))];
    case 'Transfer': {
      const data = transferCall(terms, vault, payment.value);
      return [{ jobId, kind: 'transfer', to: terms.token, data }, fund(encodeFundFromVault(terms))];
    }
    case 'Receive': {
      const { validAfter, validBefore, signature } = payment.value;
      const window = { validAfter: BigInt(validAfter), validBefore: BigInt(validBefore) };
      return [fund(encodeFundWithAuthorization(terms, { ...window, signature }))];
    }
    case 'Allowance':
      return [fund(encodeFundFor(terms, payment.value.termsSignature))];
    case 'Permit': {
      const { termsSignature, deadline, signature } = payment.value;
      const permit = { deadline: BigInt(deadline), signature };
      return [fund(encodeFundForWithPermit(terms, termsSignature, permit))];
    }
    case 'Permit2': {
      const { nonce, deadline, signature } = payment.value;
      const permit = { nonce, deadline: BigInt(deadline), signature };
      return [fund(encodeFundWithPermit2(terms, permit))];
    }
  }
}

async function checkVault({ chain }: FundingNeeds, vault: string, amount: bigint): Promise<void> {
  const [held = 0n] = await chain.balances([vault]);
  if (held < amount)
    throw new Refusal(
      'UnderFunded',
      `the vault ${vault} holds ${held}, and ${amount} is asked for`,
    );
}

async function checkTransfer(
  needs: FundingNeeds,
  { terms, vault }: OfferedTerms,
  given: Kind<'Transfer'>,
): Promise<void> {
  const { client, token, amount } = terms;
  const message = {
    from: client,
    to: vault,
    value: given.value,
    validAfter: BigInt(given.validAfter),
    validBefore: BigInt(given.validBefore),
    nonce: given.nonce,
  };
  await checkSigned(
    needs,
    client,
    given.signature,
    typed(needs.settings, 'TransferWithAuthorization', message),
  );
  await checkTimes(needs, given);
  if (given.value !== amount)
    throw new Refusal(
      'invalid_exact_evm_authorization_value',
      `${given.value} is authorised, and ${amount} is asked for`,
    );
  const data = transferCall(terms, vault, given);
  try {
    await needs.chain.eth.call({ from: needs.from, to: token, data }, { block: 'pending' });
  } catch (error) {
    if (!(error instanceof EthError) || error.rpc === undefined) throw error;
    await explain(needs, { terms, vault, nonce: given.nonce });
  }
}

/** Why a transfer does not work. What came to the vault already is no reason to refuse. */
async function explain(
  { chain }: FundingNeeds,
  { terms, vault, nonce }: { terms: ComputeTerms; vault: string; nonce: string },
): Promise<void> {
  const { client, token, amount } = terms;
  const used = encode(AUTHORIZATION_STATE, [
    { head: addressWord(client) },
    { head: bytes32Word(nonce) },
  ]);
  const [held = 0n, has = 0n] = await chain.balances([vault, client], token);
  if (held >= amount) return;
  if (BigInt(await chain.eth.call({ to: token, data: used }, { agreed: true })) !== 0n)
    throw new Refusal(
      'invalid_exact_evm_nonce_already_used',
      'this authorisation was used or cancelled',
    );
  if (has < amount)
    throw new Refusal(
      'invalid_exact_evm_insufficient_balance',
      `${client} has ${has}, and ${amount} is asked for`,
    );
  throw new Refusal(
    'invalid_exact_evm_transaction_simulation_failed',
    'the token refuses the transfer',
  );
}

async function checkReceive(
  needs: FundingNeeds,
  { terms, jobId }: OfferedTerms,
  given: Kind<'Receive'>,
): Promise<void> {
  const message = {
    from: terms.client,
    to: needs.settings.escrow,
    value: terms.amount,
    validAfter: BigInt(given.validAfter),
    validBefore: BigInt(given.validBefore),
    nonce: jobId,
  };
  await checkSigned(
    needs,
    terms.client,
    given.signature,
    typed(needs.settings, 'ReceiveWithAuthorization', message),
  );
  await checkTimes(needs, given);
}

/** Of 65 bytes; longer ones are a contract's, and tried. */
async function checkSigned(
  { signer }: FundingNeeds,
  by: string,
  signature: string,
  data: TypedData,
): Promise<void> {
  if (signature.length !== 132) return;
  const digest = await signer.typedDataDigest(data);
  const [found] = await signer.recover([{ digest, signature }]);
  if (found === undefined || !same(found, by))
    throw new Refusal('invalid_exact_evm_signature', `not a signature of ${by} over this`);
}

/** The token's rule is strict on both sides. */
async function checkTimes(
  { nowS }: FundingNeeds,
  {
    validAfter,
    validBefore,
  }: { readonly validAfter: number | bigint; readonly validBefore: number | bigint },
): Promise<void> {
  const now = await nowS();
  if (validBefore < now + VALID_S_MIN)
    throw new Refusal('invalid_exact_evm_payload_authorization_valid_before', 'it ends too soon');
  if (validAfter > now)
    throw new Refusal('invalid_exact_evm_payload_authorization_valid_after', 'it is not valid yet');
}

function typed(
  { chain_id, token, token_name, token_version }: Settings,
  primaryType: string,
  message: TypedData['message'],
): TypedData {
  return {
    domain: {
      name: token_name,
      version: token_version,
      chainId: chain_id,
      verifyingContract: token,
    },
    types: { [primaryType]: AUTHORIZATION },
    primaryType,
    message,
  };
}

function transferCall(
  { client, amount }: ComputeTerms,
  vault: string,
  given: Kind<'Transfer'>,
): string {
  const { signature, nonce } = given;
  const v = BigInt(`0x${signature.slice(130)}`);
  return encode(TRANSFER_WITH_AUTHORIZATION, [
    { head: addressWord(client) },
    { head: addressWord(vault) },
    { head: numberWord(amount, 'uint256') },
    { head: numberWord(BigInt(given.validAfter), 'uint256') },
    { head: numberWord(BigInt(given.validBefore), 'uint256') },
    { head: bytes32Word(nonce) },
    { head: numberWord(v < 27n ? v + 27n : v, 'uint8') },
    { head: bytes32Word(signature.slice(0, 66)) },
    { head: bytes32Word(`0x${signature.slice(66, 130)}`) },
  ]);
}

/** @throws Refusal with the name of the error that the escrow would revert with */
export async function tryCall(
  { chain, from }: Pick<FundingNeeds, 'chain' | 'from'>,
  { to, data }: { readonly to: string; readonly data: string },
): Promise<void> {
  try {
    await chain.eth.call({ from, to, data }, { block: 'pending' });
  } catch (error) {
    if (!(error instanceof EthError) || error.rpc === undefined) throw error;
    const reason = revertOf(error);
    throw new Refusal(reason, `the chain would refuse it: ${reason}`);
  }
}

/** Providers put what a call reverted with into `data`, some one level deeper. */
function revertOf({ rpc }: EthError): string {
  const data = rpc?.data;
  const found = typeof data === 'string' ? data : member(data, 'data');
  return typeof found === 'string' ? errorNameOf(found) : 'Reverted';
}
