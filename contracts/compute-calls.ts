/**
 * Calls of the compute escrow, the node registry and the verifier set as calldata, and what `getJob` and `nodes` return, by hand as in `calls.ts`: for guests.
 * Reads and what operators seldom do have the typed bindings in `abi/`. `compute-calls.test.ts` compares with ethers.
 */
import type { Result } from '../wit/types.ts';
import {
  addressWord,
  bytes32Word,
  dynamic,
  encode,
  list,
  numberWord,
  tuple,
  type Argument,
} from './calls.ts';
import { readWords } from './compute-words.ts';
import {
  JOB_STATES,
  structWords,
  type Acceptance,
  type ComputeTerms,
  type JobReceipt,
  type JobState,
  type Resolution,
  type StructOf,
  type Verdict,
  type Voucher,
} from './compute.ts';
import type { Hex } from './hex.ts';

/** The first four bytes of calldata. */
export const ESCROW_SELECTORS = {
  fund: '1778d6f0',
  fundFor: 'e084f0d8',
  fundForWithPermit: '6ec64fac',
  fundWithAuthorization: '7af87481',
  fundWithPermit2: '808ccfbf',
  fundFromVault: 'ff20feb4',
  recoverVault: 'f41df6ed',
  assign: 'b20a4a87',
  propose: '62fe36a5',
  reject: 'd3013cc4',
  convict: '2098b3f8',
  dispute: '82cbf88b',
  disputeAs: '20a2dfe7',
  resolve: 'bcc66eee',
  finalize: '92584d80',
  claimSession: '9eb16fbe',
  requestClose: '6bf5fe6f',
  closeSession: '3ade240b',
  cancel: '302bacf3',
  refundExpired: 'cc3e049b',
  withdraw: 'f940e385',
  withdrawFor: 'adb5735c',
  batch: 'd2423b51',
  getJob: 'f729cf0d',
  creditOf: '035ec584',
} as const;

/** The first four bytes of calldata. */
export const REGISTRY_SELECTORS = {
  register: '46941525',
  claim: '1ed3c7de',
  update: 'c338e48d',
  setStatus: 'a3adc4d0',
  heartbeat: '5a3b7899',
  stake: '8caa5230',
  requestUnstake: 'd3b63463',
  withdrawStake: 'b95ff689',
  slashEquivocation: '0c057631',
  executeSlash: '69ae9af8',
  nodes: 'd86e697d',
} as const;

/** The first four bytes of calldata. */
export const VERIFIER_SELECTORS = {
  postBond: '0c206115',
  requestBond: 'ac41a149',
  withdrawBond: '66eb9cec',
  slashVerdict: '187790eb',
} as const;

/** A verifier's signature; a list of them is by signer, ascending: see `inOrder`. */
export interface Signed {
  readonly signer: string;
  readonly signature: string;
}

/** Verifiers' signatures in the order that the contracts want. */
export function inOrder(signatures: readonly Signed[]): Signed[] {
  return signatures.toSorted((a, b) => (a.signer.toLowerCase() < b.signer.toLowerCase() ? -1 : 1));
}

const S = ESCROW_SELECTORS;
const R = REGISTRY_SELECTORS;
const V = VERIFIER_SELECTORS;
const bytes32 = (text: string): Argument => ({ head: bytes32Word(text) });
const address = (text: string): Argument => ({ head: addressWord(text) });
const uint = (value: bigint): Argument => ({ head: numberWord(value, 'uint256') });
const terms = (value: ComputeTerms): Argument => ({ head: structWords('ComputeTerms', value) });
const receiptOf = (value: JobReceipt): Argument => ({ head: structWords('JobReceipt', value) });
const verdictOf = (value: Verdict): Argument => ({ head: structWords('Verdict', value) });
const resolutionOf = (value: Resolution): Argument => ({ head: structWords('Resolution', value) });
const quorum = (signatures: readonly Signed[]): Argument =>
  list(signatures.map(({ signer, signature }) => tuple([address(signer), dynamic(signature)])));

/** The caller pays; it approved the amount. */
export const encodeFund = (job: ComputeTerms): Hex => encode(S.fund, [terms(job)]);
/** From the client's allowance, by its signature of the terms. */
export const encodeFundFor = (job: ComputeTerms, clientSignature: string): Hex =>
  encode(S.fundFor, [terms(job), dynamic(clientSignature)]);
/** From what came to the job's vault. */
export const encodeFundFromVault = (job: ComputeTerms): Hex =>
  encode(S.fundFromVault, [terms(job)]);
/** What the job's vault has of `token` becomes the client's credit. */
export const encodeRecoverVault = (job: ComputeTerms, token: string): Hex =>
  encode(S.recoverVault, [terms(job), address(token)]);

/** By permit (EIP-2612) of `permit.signature`, 65 bytes, and the client's signature of the terms. */
export function encodeFundForWithPermit(
  job: ComputeTerms,
  clientSignature: string,
  permit: { readonly deadline: bigint; readonly signature: string },
): Hex {
  const { r, s, v } = partsOf(permit.signature);
  return encode(S.fundForWithPermit, [
    terms(job),
    dynamic(clientSignature),
    uint(permit.deadline),
    uint(v),
    bytes32(r),
    bytes32(s),
  ]);
}

/** By authorisation (EIP-3009) with the job's id as nonce. */
export function encodeFundWithAuthorization(
  job: ComputeTerms,
  authorization: {
    readonly validAfter: bigint;
    readonly validBefore: bigint;
    readonly signature: string;
  },
): Hex {
  return encode(S.fundWithAuthorization, [
    terms(job),
    uint(authorization.validAfter),
    uint(authorization.validBefore),
    dynamic(authorization.signature),
  ]);
}

/** Through Permit2, with the terms as witness. */
export function encodeFundWithPermit2(
  job: ComputeTerms,
  permit: { readonly nonce: bigint; readonly deadline: bigint; readonly signature: string },
): Hex {
  return encode(S.fundWithPermit2, [
    terms(job),
    uint(permit.nonce),
    uint(permit.deadline),
    dynamic(permit.signature),
  ]);
}

/** `pickSignature` is `0x` where the caller needs none. */
export const encodeAssign = (
  acceptance: Acceptance,
  executorSignature: string,
  pickSignature = '0x',
): Hex =>
  encode(S.assign, [
    { head: structWords('Acceptance', acceptance) },
    dynamic(executorSignature),
    dynamic(pickSignature),
  ]);

/** A receipt and the verdict to pay for it; `signatures` as of `inOrder`. */
export const encodePropose = (
  receipt: JobReceipt,
  executorSignature: string,
  verdict: Verdict,
  signatures: readonly Signed[],
): Hex =>
  encode(S.propose, [
    receiptOf(receipt),
    dynamic(executorSignature),
    verdictOf(verdict),
    quorum(signatures),
  ]);

/** A verdict to try again or to refund. */
export const encodeReject = (verdict: Verdict, signatures: readonly Signed[]): Hex =>
  encode(S.reject, [verdictOf(verdict), quorum(signatures)]);

/** A false receipt that was not proposed. */
export const encodeConvict = (
  receipt: JobReceipt,
  executorSignature: string,
  resolution: Resolution,
  signatures: readonly Signed[],
): Hex =>
  encode(S.convict, [
    receiptOf(receipt),
    dynamic(executorSignature),
    resolutionOf(resolution),
    quorum(signatures),
  ]);

/** By the client or a verifier, who approved the bond. */
export const encodeDispute = (jobId: string, evidenceHash: string): Hex =>
  encode(S.dispute, [bytes32(jobId), bytes32(evidenceHash)]);
/** By the operator of a node with stake. */
export const encodeDisputeAs = (jobId: string, evidenceHash: string, nodeId: string): Hex =>
  encode(S.disputeAs, [bytes32(jobId), bytes32(evidenceHash), bytes32(nodeId)]);
/** How a dispute ends. */
export const encodeResolve = (resolution: Resolution, signatures: readonly Signed[]): Hex =>
  encode(S.resolve, [resolutionOf(resolution), quorum(signatures)]);
/** Settles what was proposed, after its window. */
export const encodeFinalize = (jobId: string): Hex => encode(S.finalize, [bytes32(jobId)]);
/** What a voucher says more than was paid. */
export const encodeClaimSession = (voucher: Voucher, signature: string): Hex =>
  encode(S.claimSession, [{ head: structWords('Voucher', voucher) }, dynamic(signature)]);
/** By the client of a session. */
export const encodeRequestClose = (jobId: string): Hex => encode(S.requestClose, [bytes32(jobId)]);
/** By the provider of a session. */
export const encodeCloseSession = (jobId: string): Hex => encode(S.closeSession, [bytes32(jobId)]);
/** By the client; `releaseSignature` is `0x` where no node has the job. */
export const encodeCancel = (jobId: string, releaseSignature = '0x'): Hex =>
  encode(S.cancel, [bytes32(jobId), dynamic(releaseSignature)]);
/** By anybody, after the deadline. */
export const encodeRefundExpired = (jobId: string): Hex =>
  encode(S.refundExpired, [bytes32(jobId)]);
/** The caller's credit, to `to`. */
export const encodeWithdraw = (token: string, to: string): Hex =>
  encode(S.withdraw, [address(token), address(to)]);
/** An account's credit, to it. */
export const encodeWithdrawFor = (account: string, token: string): Hex =>
  encode(S.withdrawFor, [address(account), address(token)]);
/** Several calls of the escrow; `all`: one that fails undoes the others. At most 64. */
export const encodeBatch = (calls: readonly string[], all: boolean): Hex =>
  encode(S.batch, [list(calls.map((call) => dynamic(call).tail)), uint(all ? 1n : 0n)]);
/** `decodeJob` reads the answer. */
export const encodeGetJob = (jobId: string): Hex => encode(S.getJob, [bytes32(jobId)]);
/** A number is returned: `BigInt(answer)`. */
export const encodeCreditOf = (account: string, token: string): Hex =>
  encode(S.creditOf, [address(account), address(token)]);

/** What an operator registers, claims or changes. */
export interface NodeRecord {
  readonly nodeId: string;
  readonly executor: string;
  readonly payTo: string;
  readonly metaHash: string;
  /** Of `Registration`; `0x` where `update` leaves the executor. */
  readonly executorSignature: string;
}

/** Takes, takes back or changes a node id. */
export const encodeNodeRecord = (
  call: 'register' | 'claim' | 'update',
  { nodeId, executor, payTo, metaHash, executorSignature }: NodeRecord,
): Hex =>
  encode(R[call], [
    bytes32(nodeId),
    address(executor),
    address(payTo),
    bytes32(metaHash),
    dynamic(executorSignature),
  ]);
/** Whether the node takes jobs. */
export const encodeSetStatus = (nodeId: string, on: boolean): Hex =>
  encode(R.setStatus, [bytes32(nodeId), uint(on ? 1n : 0n)]);
/** By the executor, an hour after the last at the earliest. */
export const encodeHeartbeat = (nodeId: string): Hex => encode(R.heartbeat, [bytes32(nodeId)]);
/** Adds to a node's stake; approved before. */
export const encodeStake = (nodeId: string, amount: bigint): Hex =>
  encode(R.stake, [bytes32(nodeId), uint(amount)]);
/** `approve(address,uint256)` of a token: what comes before `stake` and bonds. */
export const encodeApprove = (spender: string, amount: bigint): Hex =>
  encode('095ea7b3', [address(spender), uint(amount)]);
/** Asks for stake back. */
export const encodeRequestUnstake = (nodeId: string, amount: bigint): Hex =>
  encode(R.requestUnstake, [bytes32(nodeId), uint(amount)]);
/** Takes what was asked for a week ago. */
export const encodeWithdrawStake = (nodeId: string): Hex =>
  encode(R.withdrawStake, [bytes32(nodeId)]);
/** Adds to a verifier's bond; approved before. */
export const encodePostBond = (verifier: string, amount: bigint): Hex =>
  encode(V.postBond, [address(verifier), uint(amount)]);
/** Asks for bond back. */
export const encodeRequestBond = (amount: bigint): Hex => encode(V.requestBond, [uint(amount)]);
/** Takes what was asked for two weeks ago. */
export const encodeWithdrawBond = (): Hex => encode(V.withdrawBond, []);
/** Shows a verdict that a dispute overruled, to whoever wants a share of its signers' bonds. */
export const encodeSlashVerdict = (
  escrow: string,
  verdict: Verdict,
  signatures: readonly Signed[],
): Hex => encode(V.slashVerdict, [address(escrow), verdictOf(verdict), quorum(signatures)]);
/** Shares out a slash, a week after it. */
export const encodeExecuteSlash = (slashId: bigint): Hex => encode(R.executeSlash, [uint(slashId)]);
/** `decodeNode` reads the answer. */
export const encodeNodes = (nodeId: string): Hex => encode(R.nodes, [bytes32(nodeId)]);

/** Two receipts for one attempt, each with the executor's signature. */
export const encodeSlashEquivocation = (
  escrow: string,
  one: { readonly receipt: JobReceipt; readonly signature: string },
  other: { readonly receipt: JobReceipt; readonly signature: string },
): Hex =>
  encode(R.slashEquivocation, [
    address(escrow),
    receiptOf(one.receipt),
    dynamic(one.signature),
    receiptOf(other.receipt),
    dynamic(other.signature),
  ]);

const JOB = {
  client: 'address',
  deadline: 'uint64',
  attempt: 'uint32',
  token: 'address',
  state: 'uint8',
  mode: 'uint8',
  pinned: 'bool',
  protocolBps: 'uint16',
  platformBps: 'uint16',
  challengeWindow: 'uint32',
  amount: 'uint128',
  price: 'uint128',
  payout: 'uint128',
  timer: 'uint64',
  fundedAt: 'uint64',
  specHash: 'bytes32',
  nodeId: 'bytes32',
  payTo: 'address',
  platform: 'address',
  voucherSigner: 'address',
  receiptHash: 'bytes32',
  disputer: 'address',
  bond: 'uint128',
} as const;

const NODE = {
  operator: 'address',
  stake: 'uint64',
  active: 'uint32',
  executor: 'address',
  reserved: 'uint64',
  on: 'bool',
  payTo: 'address',
  unbonding: 'uint64',
  unbondAt: 'uint64',
  lastBeat: 'uint64',
  reportedAt: 'uint64',
  lastSlashAt: 'uint64',
  metaHash: 'bytes32',
  nextOperator: 'address',
} as const;

/** A job as the escrow has it; addresses lower case. */
export type ChainJob = Omit<StructOf<typeof JOB>, 'state'> & { readonly state: JobState };
/** A node as the registry has it; all zeros where nobody registered it. */
export type ChainNode = StructOf<typeof NODE>;

/** What `getJob` returned; refused where a provider answered something else. */
export function decodeJob(answer: string): Result<ChainJob, string> {
  const job = readWords(answer, JOB);
  const state = job && JOB_STATES[job.state];
  if (state === undefined) return { ok: false, error: 'not an answer of getJob(bytes32)' };
  return { ok: true, value: { ...job!, state } };
}

/** What `nodes` returned; refused where a provider answered something else. */
export function decodeNode(answer: string): Result<ChainNode, string> {
  const node = readWords(answer, NODE);
  if (node === undefined) return { ok: false, error: 'not an answer of nodes(bytes32)' };
  return { ok: true, value: node };
}

function partsOf(signature: string): { r: string; s: string; v: bigint } {
  if (!/^0x[0-9a-fA-F]{130}$/.test(signature)) throw new RangeError('a signature has 65 bytes');
  return {
    r: signature.slice(0, 66),
    s: `0x${signature.slice(66, 130)}`,
    v: BigInt(`0x${signature.slice(130)}`),
  };
}
