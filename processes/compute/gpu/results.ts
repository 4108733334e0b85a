/** Whether what an extension sends as a result is one: of this attempt, with the receipt that its hash names, signed by its executor (CM19). */
import { escrowDomain, FREE_DOMAIN } from '../../../contracts/compute.ts';
import { runEnd, type RunEndDocument } from '../../../contracts/compute-result.ts';
import { documentHash, type Runtime } from '../../../wit/jobs/result.ts';
import type { Signer } from '../../lib/signer.ts';
import { typedDigest } from '../shared/typed-digest.ts';
import type { Lease } from './lease.ts';

/** @returns why it is none */
export async function checkResult(
  text: string,
  lease: Lease,
  { nodeId, signer }: { readonly nodeId: string; readonly signer: Signer },
): Promise<{ readonly value: RunEndDocument } | { readonly problem: string }> {
  const decoded = runEnd.decode(text);
  if (!decoded.ok) return { problem: `${decoded.error.path} is no ${decoded.error.expected}` };
  const { receipt, receiptHash, signature, usage, runtime } = decoded.value;
  const { offer } = lease;
  for (const [name, is, due] of [
    ['job', receipt.jobId, offer.jobId],
    ['node', receipt.nodeId, nodeId],
    ['attempt', receipt.attempt, offer.attempt],
    ['spec', receipt.specHash, offer.specHash],
    ['usage', receipt.usageHash, documentHash(usage)],
    ['runtime', receipt.runtimeHash, hashOfRuntime(runtime)],
  ] as const)
    if (is !== due) return { problem: `the receipt is of another ${name}` };
  if (receipt.claimed > offer.price) return { problem: 'the receipt claims more than the price' };
  const { money } = offer;
  const domain = money === undefined ? FREE_DOMAIN : escrowDomain(money.chainId, money.escrow);
  const [digest, [valid]] = await Promise.all([
    typedDigest(signer, domain, 'JobReceipt', receipt),
    signer.verify([{ digest: receiptHash, signature, address: lease.executor }]),
  ]);
  if (digest !== receiptHash) return { problem: 'the hash is of another receipt' };
  if (valid !== true) return { problem: 'the receipt is not signed by the executor' };
  return { value: decoded.value };
}

/** One after another is of the same machine, as a rule: a guest takes a millisecond for the hash. */
let lastRuntime: { readonly text: string; readonly hash: string } | undefined;

function hashOfRuntime(runtime: Runtime): string {
  const text = JSON.stringify(runtime);
  if (lastRuntime?.text !== text) lastRuntime = { text, hash: documentHash(runtime) };
  return lastRuntime.hash;
}
