/** A market on the embedded chain for tests: who signs what, as the people of the reference's vectors would. */
import { SigningKey } from 'ethers';
import { COMPUTE_ESCROW, HYPER } from '../abi/constants.ts';
import { CHAIN_ID } from '../addresses.ts';
import { marketPersonas, PROVIDER_LABEL } from '../chain/market.ts';
import type { Persona } from '../chain/personas.ts';
import type { Rpc } from '../chain/rpc.ts';
import { inOrder, type Signed } from '../compute-calls.ts';
import {
  digestOf,
  escrowDomain,
  jobIdOf,
  saltOf,
  type Acceptance,
  type ComputeTerms,
  type JobReceipt,
  type Struct,
  type StructName,
  type Verdict,
} from '../compute.ts';
import { namehash } from '../hypermap.ts';

export const UNITS = 1_000_000n;
export const domain = escrowDomain(CHAIN_ID, COMPUTE_ESCROW);
export const NODE = namehash(`${PROVIDER_LABEL}.os`);
export const { client, platform, operator, executor, payTo, verifiers } = marketPersonas;

const ZERO = `0x${'00'.repeat(20)}`;
const NOTHING = `0x${'00'.repeat(32)}`;

/** 65 bytes over a digest. */
export function signDigest({ privateKey }: Persona, digest: string): string {
  return new SigningKey(privateKey).sign(digest).serialized;
}

export function sign<N extends StructName>(by: Persona, name: N, value: Struct<N>): string {
  return signDigest(by, digestOf(domain, name, value));
}

/** Signatures of the first `count` verifiers. */
export function quorum<N extends StructName>(name: N, value: Struct<N>, count: number): Signed[] {
  return inOrder(
    verifiers
      .slice(0, count)
      .map((by) => ({ signer: by.address, signature: sign(by, name, value) })),
  );
}

/** Terms of 100 HYPER for an hour from the chain's now. */
export function termsAt(
  now: bigint,
  intent: string,
  part: Partial<ComputeTerms> = {},
): ComputeTerms {
  return {
    client: client.address,
    token: HYPER,
    amount: 100n * UNITS,
    specHash: saltOf('spec'),
    nodeId: NOTHING,
    platform: platform.address,
    voucherSigner: ZERO,
    fundBy: now + 3_600n,
    deadline: now + 7_200n,
    challengeWindow: 600,
    mode: 0,
    salt: saltOf(intent),
    ...part,
  };
}

export function acceptanceOf(terms: ComputeTerms): Acceptance {
  return {
    jobId: jobIdOf(domain, terms),
    nodeId: NODE,
    attempt: 0,
    payTo: payTo.address,
    price: terms.amount,
    expiresAt: terms.deadline,
  };
}

export function receiptOf(terms: ComputeTerms): JobReceipt {
  return {
    jobId: jobIdOf(domain, terms),
    nodeId: NODE,
    attempt: 0,
    specHash: terms.specHash,
    inputsRoot: saltOf('inputs'),
    outputsRoot: saltOf('outputs'),
    logsRoot: saltOf('logs'),
    stdoutHash: saltOf('stdout'),
    runtimeHash: saltOf('runtime'),
    usageHash: saltOf('usage'),
    exitCode: 0,
    status: 0,
    startedAt: terms.fundBy - 3_000n,
    finishedAt: terms.fundBy - 2_000n,
    claimed: terms.amount,
  };
}

export function verdictOf(receipt: JobReceipt, payout: bigint): Verdict {
  return {
    jobId: receipt.jobId,
    attempt: receipt.attempt,
    receiptHash: digestOf(domain, 'JobReceipt', receipt),
    outcome: 1,
    scoreBps: 10_000,
    checks: 63,
    payout,
    issuedAt: receipt.finishedAt,
  };
}

/** Seconds of the newest block. */
export async function chainNow(rpc: Rpc): Promise<bigint> {
  const block = (await rpc.request('eth_getBlockByNumber', 'latest', false)) as {
    timestamp: string;
  };
  return BigInt(block.timestamp);
}

/** Moves the chain's clock on. */
export async function wait(rpc: Rpc, seconds: number): Promise<void> {
  await rpc.batch([['evm_increaseTime', seconds], ['evm_mine']]);
}
