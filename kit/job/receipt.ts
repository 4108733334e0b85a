/**
 * Who signed a result (compute-market.md §7.2): the receipt must be of this job, commit to what the market hands out, and be signed by the
 * executor that had the attempt. Of a paid job the registry on chain says who that was; of a free one there is the market's record alone.
 */
import { isError, recoverAddress } from 'ethers';
import { COMPUTE_ESCROW } from '../../contracts/abi/constants.ts';
import { computeEscrowAbi } from '../../contracts/abi/compute-escrow.ts';
import { nodeRegistryAbi } from '../../contracts/abi/node-registry.ts';
import { CHAIN_ID } from '../../contracts/addresses.ts';
import { type RunEndDocument, runEnd } from '../../contracts/compute-result.ts';
import { digestOf, escrowDomain, FREE_DOMAIN, type JobReceipt } from '../../contracts/compute.ts';
import { contractAt } from '../../contracts/contract.ts';
import { namehash } from '../../contracts/hypermap.ts';
import { toHex } from '../../contracts/hex.ts';
import { outputsRoot } from '../../contracts/merkle.ts';
import { documentHash, type OutputFile } from '../../wit/jobs/result.ts';
import { parseJobSpec, specHash } from '../../wit/jobs/spec.ts';
import { printable } from '../report.ts';
import { DEVELOPMENT_RPC, same, withChain } from './chain.ts';
import { JobError } from './job-error.ts';
import type { JobView } from './job-record.ts';
import type { MarketApi } from './market-api.ts';

const NOBODY = /^0x0{40}$/;

/** Flags of commands that fetch results. */
export const CHAIN_ARGS = {
  rpc: {
    type: 'string',
    description: `the chain, to ask who may sign the result of a paid job (default ${DEVELOPMENT_RPC} for a development chain)`,
  },
  chain: {
    type: 'string',
    description: 'id of the chain that is paid on (default: a development chain)',
  },
  escrow: { type: 'string', description: 'the escrow contract that you trust, on another chain' },
} as const;

/** Whose word counts for paid jobs. */
export interface Trusted {
  readonly chainId: number;
  readonly escrow: string;
  /** Undefined where none was named, and none is usual. */
  readonly rpc: string | undefined;
  /** Without an answer from the chain nothing is believed. */
  readonly insist: boolean;
}

/** @throws JobError for flags that name half a chain */
export function trustedOf(flags: {
  readonly rpc?: string | boolean | undefined;
  readonly chain?: string | boolean | undefined;
  readonly escrow?: string | boolean | undefined;
}): Trusted {
  const { chain, escrow } = flags;
  const rpc = typeof flags.rpc === 'string' ? flags.rpc : undefined;
  const insist = rpc !== undefined;
  if (chain === undefined && escrow === undefined)
    return { chainId: CHAIN_ID, escrow: COMPUTE_ESCROW, rpc: rpc ?? DEVELOPMENT_RPC, insist };
  if (!/^\d{1,9}$/.test(String(chain)) || !/^0x[0-9a-fA-F]{40}$/.test(String(escrow)))
    throw new JobError('bad-flags', '--chain ID and --escrow ADDRESS go together');
  return { chainId: Number(chain), escrow: String(escrow), rpc, insist };
}

export interface Checking {
  readonly trusted: Trusted;
  /** Told what a person should know: whose word it is that the signer is the right one, where it is not the chain's. */
  readonly tell: (text: string) => void;
}

/**
 * Looks at the receipt of a job, and at who signed it.
 * @throws JobError `bad-hash` for a receipt of something else, `bad-signature` for one that somebody else signed, with both addresses
 */
export async function checkReceipt(
  api: MarketApi,
  job: JobView,
  { trusted, tell }: Checking,
): Promise<void> {
  const run = await receiptOf(api, runIdOf(job));
  const problem = problemOf(job, run);
  if (problem !== undefined)
    throw new JobError('bad-hash', `the receipt of the job is not what it should be: ${problem}`);
  const { receipt, signature } = run;
  const free = job.payment.state === 'free';
  const domain = free ? FREE_DOMAIN : escrowDomain(trusted.chainId, trusted.escrow);
  const digest = digestOf(domain, 'JobReceipt', receipt);
  const signer = signerOf(digest, signature);
  const named = free ? undefined : await onChain(receipt, { trusted, tell });
  const executors = named?.executors ?? [recordedExecutor(job)];
  if (executors.some((executor) => same(executor, signer))) return;
  throw new JobError(
    'bad-signature',
    `the receipt is forged: ${signer} signed it, and ${named?.by ?? 'the record of the job'} names ${executors.join(' and ')} as executor of ${printable(job.node?.name ?? 'its node')}`,
  );
}

/** What a receipt has of files: hex. */
export function rootOf(files: readonly OutputFile[]): string {
  const hashed = files.map(({ path, size, sha256 }) => ({
    path,
    bytes: size,
    sha256: Buffer.from(sha256, 'hex'),
  }));
  return toHex(outputsRoot(hashed));
}

async function receiptOf(api: MarketApi, jobId: string): Promise<RunEndDocument> {
  const answer = await api.ask(`/api/receipts/${encodeURIComponent(jobId)}`);
  const read = runEnd.decode(await answer.text());
  if (!read.ok) throw new JobError('bad-hash', `the market has no receipt that is one of the job`);
  return read.value;
}

/** What a receipt commits to, against what the market says of the job. */
function problemOf(job: JobView, { receipt, usage, runtime }: RunEndDocument): string | undefined {
  const spec = parseJobSpec(JSON.stringify(job.spec));
  if (!spec.ok || !same(specHash(spec.value), receipt.specHash)) return 'it is for another spec';
  if (!same(receipt.jobId, runIdOf(job))) return 'it is for another job';
  if (receipt.attempt !== job.attempt) return 'it is for another attempt';
  if (!same(receipt.nodeId, namehash(job.node?.name ?? ''))) return 'it is of another node';
  if (!same(receipt.inputsRoot, rootOf(spec.value.inputs))) return 'it read other inputs';
  if (!same(receipt.outputsRoot, job.result?.outputsRoot ?? '')) return 'it is of other outputs';
  if (receipt.exitCode !== job.result?.exitCode) return 'it ended otherwise';
  if (!same(receipt.usageHash, documentHash(usage))) return 'it used something else';
  if (!same(receipt.runtimeHash, documentHash(runtime))) return 'something else ran it';
  return undefined;
}

/** Of a job that several nodes run the run that speaks for it. */
function runIdOf({ jobId, run, replicas = [] }: JobView): string {
  return replicas.find((each) => each.jobId === run)?.jobId ?? jobId;
}

function signerOf(digest: string, signature: string): string {
  try {
    return recoverAddress(digest, signature);
  } catch (error) {
    throw new JobError('bad-signature', 'the receipt is forged: nobody has signed it', {
      cause: error,
    });
  }
}

function recordedExecutor({ node }: JobView): string {
  if (typeof node?.executor === 'string') return node.executor;
  throw new JobError('bad-signature', 'the market does not say whose signature the result has');
}

interface Named {
  readonly by: string;
  readonly executors: readonly string[];
}

/** Who had the attempt, as the registry knows; undefined where nobody could be asked. */
async function onChain(
  receipt: JobReceipt,
  { trusted, tell }: Checking,
): Promise<Named | undefined> {
  const { rpc, insist } = trusted;
  const unasked = (why: string): undefined => {
    tell(
      `${why}: that the signer of the result is the right one is the market's word; --rpc URL asks the chain`,
    );
  };
  if (rpc === undefined) return unasked('no chain was asked');
  try {
    return await registryNames(receipt, { ...trusted, rpc });
  } catch (error) {
    if (insist || !(error instanceof JobError)) throw error;
    return unasked(error.message);
  }
}

function registryNames(
  { jobId, attempt, nodeId }: JobReceipt,
  { rpc, chainId, escrow }: Trusted & { readonly rpc: string },
): Promise<Named> {
  return withChain({ rpc, chainId }, async (provider) => {
    try {
      const address = await contractAt(computeEscrowAbi, escrow, provider).registry();
      const registry = contractAt(nodeRegistryAbi, address, provider);
      const { executor, generation } = await registry.leaseOf(jobId, attempt, nodeId);
      if (NOBODY.test(executor))
        throw new JobError('not-found', `the registry on ${rpc} knows of no such attempt`);
      const executors = (await registry.revoked(executor))
        ? // Its key is not to be trusted any more: the present one signs for what it had.
          [(await registry.seatAt(nodeId, generation)).executor]
        : [executor];
      return { by: `the registry ${address}`, executors };
    } catch (error) {
      if (error instanceof JobError) throw error;
      if (!isError(error, 'CALL_EXCEPTION') && !isError(error, 'BAD_DATA')) throw error;
      throw new JobError('refused', `there is no escrow at ${escrow} on ${rpc}`, { cause: error });
    }
  });
}
