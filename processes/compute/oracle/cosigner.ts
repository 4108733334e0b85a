/**
 * The other side of a quorum: what another verifier is sent, and how ours comes to a verdict of its own from that. It has the documents, the
 * hashes of the outputs and the leaves of the log, but not the files: those its node would have to run for itself, which is an audit.
 */
import { digestOf, type Domain, OUTCOME, type Struct } from '../../../contracts/compute.ts';
import { fromHex, toHex } from '../../../contracts/hex.ts';
import { GrowingTree, logLeaf } from '../../../contracts/merkle-tree.ts';
import { decodeRecords, RECORD_HEAD_BYTES } from '../../../wit/jobs/log-records.ts';
import { sha256 } from '../../../wit/jobs/sha256.ts';
import { Refusal } from '../../lib/errors.ts';
import type { Caller } from '../../lib/modules.ts';
import type { Signer } from '../../lib/signer.ts';
import { openDrive } from '../../lib/vfs.ts';
import type { ChainView } from '../shared/chain-view.ts';
import type { Evidence, VerdictRequest } from '../shared/oracle-contract.ts';
import { same } from '../shared/words.ts';
import type { Colleagues } from './colleagues.ts';
import type { Docket } from './docket.ts';
import { rootOf, specOf } from './facts.ts';
import { type Facts, judge, type Root } from './gates.ts';
import { LogReader, type RunLog } from './run-log.ts';
import { passes } from './score.ts';
import type { Cosigning, Signing } from './signing.ts';

/** Bytes of a log that is shown to others. */
const LOG_BYTES_MAX = 4 * 1_024 * 1_024;
const LEAF_BYTES = 32;

/** What others are sent; undefined: there are none, or the log is too long to be shown. */
export async function cosigningOf(
  caller: Caller,
  evidence: Evidence,
  verdict: Struct<'Verdict'>,
  wanted: boolean,
): Promise<Cosigning | undefined> {
  if (!wanted) return undefined;
  const [, pkg = '', drive = '', ...rest] = evidence.logs.split('/');
  const files = openDrive(caller, `/${pkg}/${drive}`);
  const path = rest.join('/');
  const stat = await files.stat(path);
  if (stat === undefined || stat.bytes > LOG_BYTES_MAX) return undefined;
  const bytes = await files.read(path);
  const decoded = decodeRecords(bytes);
  if (decoded === undefined || decoded.records.length === 0) return undefined;
  const frames: Uint8Array[] = [];
  for (let at = 0; at < decoded.rest;) {
    const length = new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(
      RECORD_HEAD_BYTES - 4,
    );
    const end = at + RECORD_HEAD_BYTES + length;
    frames.push(bytes.subarray(at, end));
    at = end;
  }
  const leaves = new Uint8Array(frames.length * LEAF_BYTES);
  for (const [index, frame] of frames.entries())
    leaves.set(logLeaf(sha256, frame), index * LEAF_BYTES);
  const request = {
    evidence,
    verdict,
    firstRecord: toHex(frames[0]!),
    lastRecord: toHex(frames.at(-1) ?? frames[0]!),
  };
  return { request, leaves };
}

export interface CosignerNeeds {
  readonly signer: Signer;
  readonly chain: ChainView;
  readonly domain: Domain;
  readonly docket: Docket;
  readonly colleagues: Colleagues;
  readonly signing: Signing;
  readonly verifier: string;
}

/** Signs a verdict that we come to as well. @throws Refusal that says why not */
export async function cosign(
  { evidence, verdict, firstRecord, lastRecord }: VerdictRequest,
  leaves: Uint8Array,
  needs: CosignerNeeds,
): Promise<{ signer: string; signature: string }> {
  const { chain, colleagues, domain, docket, signer, signing, verifier } = needs;
  const { jobId, attempt, node, result } = evidence;
  if (evidence.terms === undefined) throw new Refusal('BadEvidence', 'a free job has no verdict');
  const digest = digestOf(domain, 'Verdict', verdict);
  const before = await colleagues.cosigned(jobId, attempt);
  if (before !== undefined && before.digest === digest)
    return { signer: verifier, signature: before.signature };
  if (before !== undefined) throw signedOther();
  const receiptHash = digestOf(domain, 'JobReceipt', result.receipt);
  const [by] = await signer.recover([{ digest: receiptHash, signature: result.signature }]);
  const shown = logFrom(leaves, firstRecord, lastRecord);
  const { job, executor } = await chain.assignment(jobId, attempt, node.nodeId);
  const facts: Facts = {
    evidence,
    spec: specOf(evidence),
    chain: job,
    executor,
    receiptHash,
    signer: by,
    roots: {
      inputs: rootOf(specOf(evidence).inputs),
      outputs: { root: rootOf(result.outputs) },
      logs: shown.root,
    },
    log: shown.log,
    otherReceipt: await docket.otherReceipt(jobId, attempt, receiptHash),
  };
  const wrong = disagreement(facts, verdict, receiptHash);
  if (wrong !== undefined) throw new Refusal('Disagreed', wrong);
  const { signature } = await signing.sign('Verdict', verdict);
  // Of two that are asked for at the same time one leaves this node.
  if (!(await colleagues.cosign(jobId, attempt, digest, signature))) throw signedOther();
  return { signer: verifier, signature };
}

function signedOther(): Refusal {
  return new Refusal('SignedOther', 'another verdict on this attempt was signed here');
}

/** Why the verdict is not ours. */
function disagreement(
  facts: Facts,
  verdict: Struct<'Verdict'>,
  receiptHash: string,
): string | undefined {
  const { evidence } = facts;
  if (verdict.jobId !== evidence.jobId || verdict.attempt !== evidence.attempt)
    return 'the verdict is on another attempt';
  if (!same(verdict.receiptHash, receiptHash)) return 'the verdict is on another receipt';
  const { gates, score, payout } = judge(facts);
  const passed = passes(score, gates.length);
  if (verdict.outcome !== OUTCOME.pay)
    return passed ? 'the run passes here, and the verdict does not pay' : undefined;
  if (!passed)
    return `it does not pass here: ${gates.map(({ message }) => message).join('; ') || score.scoreBps}`;
  return verdict.payout === payout ? undefined : `the payout here is ${payout}`;
}

/** Of leaves, and of the two records that say how it began and ended. What lies between has to be taken as it is. */
function logFrom(
  leaves: Uint8Array,
  firstRecord: string,
  lastRecord: string,
): { readonly root: Root; readonly log: RunLog | undefined } {
  const count = leaves.length / LEAF_BYTES;
  const bad = (problem: string): { root: Root; log: undefined } => ({
    root: { problem },
    log: undefined,
  });
  const frames = [firstRecord, lastRecord].map((text) => fromHex(text));
  const [first, last] = frames;
  if (!Number.isInteger(count) || count < 2 || first === undefined || last === undefined)
    return bad('the log is not shown as it should be');
  const leafAt = (index: number): string =>
    toHex(leaves.subarray(index * LEAF_BYTES, (index + 1) * LEAF_BYTES));
  if (
    toHex(logLeaf(sha256, first)) !== leafAt(0) ||
    toHex(logLeaf(sha256, last)) !== leafAt(count - 1)
  )
    return bad('the records are not those of the leaves');
  const tree = new GrowingTree(sha256);
  for (let index = 0; index < count; index += 1)
    tree.add(leaves.subarray(index * LEAF_BYTES, (index + 1) * LEAF_BYTES));
  const reader = new LogReader(undefined);
  if (!reader.add(first) || !reader.add(last)) return bad('the records are none');
  const ends = reader.end();
  const seq = decodeRecords(last)?.records[0]?.seq;
  return {
    root: { root: toHex(tree.root()) },
    log: ends && { ...ends, count, gapless: seq === count - 1 },
  };
}
