/**
 * How ours comes to a judgement of its own about a result of another verifier's market that is disputed, or that an audit there found to be
 * false: what was delivered is checked against chain and receipt, the job is run again by providers that our market finds, and only what
 * that comes to is signed. Whoever asks is answered at once, and asks again.
 */
import type { ChainJob } from '../../../contracts/compute-calls.ts';
import type { Struct } from '../../../contracts/compute.ts';
import { specHash } from '../../../wit/jobs/spec.ts';
import { Refusal } from '../../lib/errors.ts';
import type { ChainView } from '../shared/chain-view.ts';
import type { Evidence, ResolutionRequest } from '../shared/oracle-contract.ts';
import { same } from '../shared/words.ts';
import { rerunMs } from './audits.ts';
import type { Colleagues } from './colleagues.ts';
import { type Docket, DISPUTE_RERUN, type Opinion } from './docket.ts';
import { checkExecutor, type FactNeeds, receiptHashOf, rootOf, specOf } from './facts.ts';
import type { Shown } from './shown.ts';
import type { SignedBy, Signing } from './signing.ts';

/** Runs that one node asks about at a time. */
export const ASKED_MAX = 32;
/** Bytes of the reruns that somebody shows. */
const RERUNS_CHARS_MAX = 64 * 1_024;

export interface OpinionsNeeds {
  readonly docket: Docket;
  readonly colleagues: Colleagues;
  readonly facts: FactNeeds;
  readonly shown: Shown;
  readonly chain: ChainView;
  readonly signing: Signing;
  /** There is something to be run again. */
  readonly wanted: () => void;
}

export class Opinions {
  readonly #needs: OpinionsNeeds;

  constructor(needs: OpinionsNeeds) {
    this.#needs = needs;
  }

  /**
   * Our signature under a resolution to which we come as well; undefined: it is not known yet.
   * @param peer  the node that asks, which is one of ours  @throws Refusal that says why not
   */
  async cosign(request: ResolutionRequest, peer: string): Promise<SignedBy | undefined> {
    const { docket, signing } = this.#needs;
    const { evidence, resolution } = request;
    const { jobId, attempt } = evidence;
    const job = await this.#check(request);
    const known = await docket.run(jobId, attempt);
    if (known === undefined) {
      await this.#begin(evidence, peer);
      return undefined;
    }
    if (known.peer === undefined)
      throw new Refusal('BadEvidence', 'the job is of the market here: its verifier asks, not you');
    if (!same(known.evidence?.result.receiptHash ?? '', evidence.result.receiptHash))
      throw new Refusal('BadEvidence', 'another receipt of this attempt was shown before');
    if (known.opinion === undefined) return undefined;
    const wrong = disagreement(known.opinion, resolution, job);
    if (wrong !== undefined) throw new Refusal('Disagreed', wrong);
    return signing.sign('Resolution', resolution);
  }

  /** That the run is one that may be resolved now, and the resolution is on it. @returns the job as the chain has it */
  async #check({ evidence, resolution, reruns }: ResolutionRequest): Promise<ChainJob> {
    const { chain, facts } = this.#needs;
    const { jobId, attempt, terms, node, result } = evidence;
    const refuse = (why: string): never => {
      throw new Refusal('BadEvidence', why);
    };
    if (terms === undefined) refuse('a free job has no resolution');
    const receiptHash = await receiptHashOf(evidence, facts);
    if (!same(resolution.jobId, jobId) || !same(resolution.receiptHash, receiptHash))
      refuse('the resolution is on another receipt');
    if (!same(result.receipt.nodeId, node.nodeId)) refuse('the receipt is of another node');
    const hash = specHash(specOf(evidence));
    if (!same(result.receipt.specHash, hash) || !same(terms?.specHash ?? '', hash))
      refuse('the spec is of another job');
    if (rootOf(result.outputs) !== result.receipt.outputsRoot)
      refuse('the outputs are not those of the receipt');
    if (reruns.length > RERUNS_CHARS_MAX) refuse('the reruns are too long');
    const shownHash = await facts.signer.keccak256(new TextEncoder().encode(reruns));
    if (!same(shownHash, resolution.evidenceHash)) refuse('evidenceHash is not of the reruns');
    await checkExecutor(evidence, receiptHash, facts);
    const job = await chain.job(jobId);
    const disputed = job.state === 'disputed' && same(job.receiptHash, receiptHash);
    const judged =
      job.state === 'assigned' && job.attempt === attempt && same(job.nodeId, node.nodeId);
    if (!disputed && !judged)
      throw new Refusal('BadState', `the job is ${job.state}: there is nothing to resolve`);
    return job;
  }

  /** Nothing of a vfs is believed that the other names: it is theirs. */
  async #begin(evidence: Evidence, peer: string): Promise<void> {
    const { docket, colleagues, shown, wanted } = this.#needs;
    if ((await colleagues.askedBy(peer)) >= ASKED_MAX)
      throw new Refusal('Busy', `${ASKED_MAX} runs of yours are being weighed; ask again later`);
    const { jobId, attempt } = evidence;
    const until = Date.now() + rerunMs(specOf(evidence));
    await docket.addRerun(jobId, attempt, DISPUTE_RERUN, until);
    const artifacts = shown.folderOf(evidence);
    await colleagues.addAsked({ ...evidence, artifacts, inputs: undefined, logs: '' }, peer);
    wanted();
  }
}

/** Why the resolution is not ours. */
function disagreement(
  opinion: Opinion,
  { upheld, payout, slash }: Struct<'Resolution'>,
  job: ChainJob,
): string | undefined {
  if (opinion === 'inconclusive') return 'run again here, it proved nothing';
  const found = opinion === 'differed';
  if (upheld !== found)
    return found
      ? 'run again here, it came to something else'
      : 'run again here, it came to the same';
  const right = upheld ? 0n : job.payout;
  if (payout !== right) return `the payout here is ${right}`;
  // The registry takes the reservation of the job, whatever is named.
  if (slash > 0n !== upheld)
    return upheld ? 'it slashes nothing' : 'it slashes where nothing is wrong';
  return upheld || job.state === 'disputed' ? undefined : 'nobody disputes it';
}
