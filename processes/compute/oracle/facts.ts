/** Gathers what is judged: from the chain, from what was delivered, and from what the receipt's signature says. */
import { type Domain, FREE_DOMAIN } from '../../../contracts/compute.ts';
import { fromHex, toHex } from '../../../contracts/hex.ts';
import { GrowingTree, outputLeaf } from '../../../contracts/merkle-tree.ts';
import { sha256 } from '../../../wit/jobs/sha256.ts';
import type { OutputFile } from '../../../wit/jobs/result.ts';
import { type JobSpec, parseJobSpec } from '../../../wit/jobs/spec.ts';
import { Refusal } from '../../lib/errors.ts';
import type { Caller } from '../../lib/modules.ts';
import { type Signer, SignerError } from '../../lib/signer.ts';
import { CHUNK_BYTES, openDrive } from '../../lib/vfs.ts';
import type { ChainView } from '../shared/chain-view.ts';
import type { Evidence } from '../shared/oracle-contract.ts';
import { typedDigest } from '../shared/typed-digest.ts';
import { same } from '../shared/words.ts';
import type { Docket } from './docket.ts';
import type { Facts, Root } from './gates.ts';
import { LogReader, type RunLog } from './run-log.ts';

/** Files that are hashed at once. */
const AT_ONCE = 16;

export interface FactNeeds {
  readonly caller: Caller;
  readonly signer: Signer;
  readonly docket: Docket;
  /** Undefined: no chain is set, and jobs are free. */
  readonly chain: { readonly view: ChainView; readonly domain: Domain } | undefined;
}

/** In which domain the documents of a run are. */
export function domainOf(
  run: Pick<Evidence, 'terms'>,
  chain: FactNeeds['chain'],
): Domain | undefined {
  return run.terms === undefined ? FREE_DOMAIN : chain?.domain;
}

/**
 * That a run is what it says: terms and receipt are those of its job and attempt.
 * @returns the receipt's hash  @throws Refusal
 */
export async function receiptHashOf(run: Evidence, needs: FactNeeds): Promise<string> {
  const { jobId, attempt, result } = run;
  const domain = domainOf(run, needs.chain);
  if (domain === undefined)
    throw new Refusal('NotConfigured', 'no chain is set: paid jobs cannot be judged');
  const receiptHash = await typedDigest(needs.signer, domain, 'JobReceipt', result.receipt);
  if (!same(receiptHash, result.receiptHash))
    throw new Refusal('BadEvidence', 'receiptHash is not of the receipt');
  const ofTerms = run.terms && (await typedDigest(needs.signer, domain, 'ComputeTerms', run.terms));
  if (ofTerms !== undefined && !same(ofTerms, jobId))
    throw new Refusal('BadEvidence', 'the terms are of another job');
  if (result.receipt.jobId !== jobId || result.receipt.attempt !== attempt)
    throw new Refusal('BadEvidence', 'the receipt is of another attempt');
  return receiptHash;
}

/** Somebody else's words change nothing (CM19). @throws Refusal for a receipt that the attempt's executor did not sign */
export async function checkExecutor(
  run: Evidence,
  receiptHash: string,
  { signer, chain }: FactNeeds,
): Promise<void> {
  const { jobId, attempt, node, result } = run;
  const executor =
    run.terms === undefined
      ? node.executor
      : await chain?.view.executorFor(jobId, attempt, node.nodeId);
  const [by] = await signer.recover([{ digest: receiptHash, signature: result.signature }]);
  if (by === undefined || executor === undefined || !same(by, executor))
    throw new Refusal(
      'BadReceipt',
      `the receipt is not signed by ${executor ?? 'whom this attempt is assigned to'}`,
    );
}

/** @throws what keeps it from being gathered now: providers, files that are not there yet */
export async function gather(run: Evidence, needs: FactNeeds): Promise<Facts> {
  const { chain, signer, docket } = needs;
  const { jobId, attempt, terms, node, result } = run;
  const domain = domainOf(run, chain);
  if (domain === undefined) throw new Error('no chain is set, and the job is a paid one');
  const spec = specOf(run);
  const receiptHash = await typedDigest(signer, domain, 'JobReceipt', result.receipt);
  const [by] = await signer.recover([{ digest: receiptHash, signature: result.signature }]);
  const paid = terms === undefined ? undefined : chain;
  const log = await readLog(needs, run, spec);
  const assigned = await paid?.view.assignment(jobId, attempt, node.nodeId);
  return {
    evidence: run,
    spec,
    chain: assigned?.job,
    executor: assigned === undefined ? node.executor : assigned.executor,
    receiptHash,
    signer: by,
    roots: {
      inputs: rootOf(spec.inputs),
      outputs: await outputsRoot(run, signer),
      logs: log.root,
    },
    log: log.log,
    otherReceipt: await docket.otherReceipt(jobId, attempt, receiptHash),
  };
}

/** @throws Error for a spec that no market would have taken */
export function specOf({ spec: text }: Pick<Evidence, 'spec'>): JobSpec {
  const spec = parseJobSpec(text);
  if (!spec.ok) throw new Error(`the spec is none: ${spec.error.message}`);
  return spec.value;
}

/** Of inputs or outputs, `0x` hex. */
export function rootOf(files: readonly OutputFile[]): string {
  const utf8 = new TextEncoder();
  const sorted = files
    .map((file) => ({ file, name: utf8.encode(file.path) }))
    .toSorted((a, b) => compareBytes(a.name, b.name));
  const tree = new GrowingTree(sha256);
  for (const { file } of sorted) {
    // Proof that it is hex: the codec of outputs, and the check of specs.
    const content = { path: file.path, bytes: file.size, sha256: fromHex(`0x${file.sha256}`)! };
    tree.add(outputLeaf(sha256, content));
  }
  return toHex(tree.root());
}

/** From the files themselves, each below its hash. */
async function outputsRoot({ artifacts, result }: Evidence, signer: Signer): Promise<Root> {
  const { outputs } = result;
  for (let at = 0; at < outputs.length; at += AT_ONCE) {
    const part = outputs.slice(at, at + AT_ONCE);
    const found = await Promise.all(
      part.map(({ sha256: hash }) => signer.sha256(`${artifacts}/${hash}`)),
    );
    for (const [index, { path, size, sha256: hash }] of part.entries())
      if (found[index]?.sha256 !== `0x${hash}` || found[index].bytes !== size)
        return { problem: `the output ${path} is not what its hash says` };
  }
  return { root: rootOf(outputs) };
}

/** The root is made natively; what the log says is read here. */
async function readLog(
  { caller, signer }: FactNeeds,
  { logs }: Evidence,
  spec: JobSpec,
): Promise<{ root: Facts['roots']['logs']; log: RunLog | undefined }> {
  let hashed;
  try {
    hashed = await signer.logRoot(logs);
  } catch (error) {
    if (!(error instanceof SignerError) || error.code !== 'BadLog') throw error;
    return { root: { problem: `the log is none: ${error.detail}` }, log: undefined };
  }
  const reader = new LogReader(spec.outputs?.marker);
  const [, pkg = '', name = '', ...rest] = logs.split('/');
  const drive = openDrive(caller, `/${pkg}/${name}`);
  const path = rest.join('/');
  // Most are short: what fits a chunk is one question.
  const chunks = hashed.bytes <= CHUNK_BYTES ? [await drive.read(path)] : drive.chunks(path);
  for await (const bytes of chunks)
    if (!reader.add(bytes)) return { root: { problem: 'the log is none' }, log: undefined };
  const { root, stdoutHash } = hashed;
  return { root: { root, stdoutHash }, log: reader.end() };
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let at = 0; at < shared; at += 1) if (a[at] !== b[at]) return a[at]! - b[at]!;
  return a.length - b.length;
}
