/** Whether what an extension sends as a result is one: of this attempt, with the receipt that its hash names, signed by its executor (CM19). */
import { escrowDomain, FREE_DOMAIN } from '../../../contracts/compute.ts';
import { runEnd } from '../../../contracts/compute-result.ts';
import { list } from '../../../wit/codec.ts';
import {
  documentHash,
  outputFile,
  type OutputFile,
  type Runtime,
} from '../../../wit/jobs/result.ts';
import { member } from '../../lib/modules.ts';
import type { Process } from '../../lib/process.ts';
import type { Signer } from '../../lib/signer.ts';
import { typedDigest } from '../shared/typed-digest.ts';
import type { Lease, LeaseResult } from './lease.ts';

export interface ResultNeeds {
  readonly process: Pick<Process<unknown>, 'our'>;
  readonly nodeId: string;
  readonly signer: Signer;
}

const MARKET = 'market:compute:sys';
const outputFiles = list(outputFile);

/**
 * @param sent  a `runEnd` as JSON was read, of which nothing is checked, and all outputs that were announced
 * @returns it as it is kept and told, or why it is none
 */
export async function checkResult(
  sent: { readonly value: unknown; readonly outputs: readonly OutputFile[] },
  lease: Lease,
  needs: ResultNeeds,
): Promise<LeaseResult | { readonly problem: string }> {
  const { value, outputs } = sent;
  const logCount = logCountOf(value, lease, needs.nodeId);
  if (typeof logCount !== 'number') return logCount;
  const end = JSON.stringify(value);
  const problem = isOurs(lease, needs) ? undefined : await receiptProblem(end, lease, needs.signer);
  if (problem !== undefined) return { problem };
  return { end, outputs, outputsText: outputFiles.stringify([...outputs]), logCount };
}

/** Of the market of this node, and free: it looks at the receipt and what it commits to itself, and nobody is paid for it. */
function isOurs({ market, offer }: Lease, { process: { our } }: ResultNeeds): boolean {
  return offer.money === undefined && market.node === our.node && market.process === MARKET;
}

/** Without what is looked at here nothing can be told. @returns the number of log records */
function logCountOf(
  end: unknown,
  { offer }: Lease,
  nodeId: string,
): number | { readonly problem: string } {
  const receipt = member(end, 'receipt');
  for (const [name, key, due] of [
    ['job', 'jobId', offer.jobId],
    ['node', 'nodeId', nodeId],
    ['attempt', 'attempt', offer.attempt],
    ['spec', 'specHash', offer.specHash],
  ] as const)
    if (member(receipt, key) !== due) return { problem: `the receipt is of another ${name}` };
  const count = member(member(end, 'logs'), 'count');
  const isCount = typeof count === 'number' && Number.isSafeInteger(count) && count >= 0;
  return isCount ? count : { problem: 'its log has no length' };
}

async function receiptProblem(
  end: string,
  lease: Lease,
  signer: Signer,
): Promise<string | undefined> {
  const decoded = runEnd.decode(end);
  if (!decoded.ok) return `${decoded.error.path} is no ${decoded.error.expected}`;
  const { receipt, receiptHash, signature, usage, runtime } = decoded.value;
  const { money, price } = lease.offer;
  if (receipt.usageHash !== documentHash(usage)) return 'the receipt is of another usage';
  if (receipt.runtimeHash !== hashOfRuntime(runtime)) return 'the receipt is of another runtime';
  if (receipt.claimed > price) return 'the receipt claims more than the price';
  const domain = money === undefined ? FREE_DOMAIN : escrowDomain(money.chainId, money.escrow);
  const [digest, [valid]] = await Promise.all([
    typedDigest(signer, domain, 'JobReceipt', receipt),
    signer.verify([{ digest: receiptHash, signature, address: lease.executor }]),
  ]);
  if (digest !== receiptHash) return 'the hash is of another receipt';
  return valid === true ? undefined : 'the receipt is not signed by the executor';
}

/** One after another is of the same machine, as a rule: a guest takes a millisecond for the hash. */
let lastRuntime: { readonly text: string; readonly hash: string } | undefined;

function hashOfRuntime(runtime: Runtime): string {
  const text = JSON.stringify(runtime);
  if (lastRuntime?.text !== text) lastRuntime = { text, hash: documentHash(runtime) };
  return lastRuntime.hash;
}

/** Of JSON text; undefined: it is none. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
