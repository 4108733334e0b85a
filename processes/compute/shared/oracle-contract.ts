/**
 * What `oracle:compute:sys` is asked: by the market of this node for verdicts, by oracles of other nodes for their signature, and by
 * anybody for the record of its audits (compute-market.md §8). The oracle stores a verdict, hands it to the facilitator, and tells the
 * market by `verdictEventMethods`.
 */
import {
  addressText,
  hashText,
  signatureText,
  structCodec,
  wideNumber,
} from '../../../contracts/compute-json.ts';
import {
  bool,
  list,
  option,
  record,
  text,
  u16,
  u32,
  u64,
  union,
  unit,
  type Decoded,
} from '../../../wit/codec.ts';
import { deviceInfo } from '../../../wit/jobs/device.ts';
import { contentHash } from '../../../wit/jobs/result.ts';
import { contract, method } from '../../lib/contract.ts';
import { runResult } from './job-events-contract.ts';

const attempt = { jobId: hashText, attempt: u32 } as const;

/** A run that ended with a receipt, and what its coordinator saw of it. Times are milliseconds of the coordinator's clock. */
export const evidence = record({
  ...attempt,
  /** Missing for free jobs. */
  terms: option(structCodec('ComputeTerms')),
  /** Canonical JSON. */
  spec: text,
  /** Who took it: its node, and whose signature its acceptance has. */
  node: record({ name: text, nodeId: hashText, executor: addressText }),
  /** Of the acceptance; what a free job would have cost. */
  price: wideNumber,
  seen: record({
    assignedAt: u64,
    startedAt: u64,
    receivedAt: u64,
    /** The result came under the lease of the attempt. */
    leaseAgrees: bool,
    /** The node was heard of throughout the run. */
    beatsSeen: bool,
  }),
  result: runResult,
  /** As the node advertised it. */
  device: option(deviceInfo),
  /** The median of runs of the same spec, once there are a few. */
  medianMs: option(u64),
  /** The client wanted it cancelled while it ran (§3.9). */
  cancelled: bool,
  /** A vfs folder in which every output lies under its hash. */
  artifacts: text,
  /** The same for inputs and the module. */
  inputs: option(text),
  /** A vfs file of the log's records, one behind another (wit/jobs/log-records.ts). */
  logs: text,
});
export type Evidence = Decoded<typeof evidence>;

/** An attempt that ended without a receipt. */
export const lostAttempt = record({
  ...attempt,
  terms: option(structCodec('ComputeTerms')),
  spec: text,
  /** One of `FAULTS`. */
  code: text,
  /** The market has another attempt to offer, and wants it. */
  mayRetry: bool,
});
export type LostAttempt = Decoded<typeof lostAttempt>;

/** What became of an attempt. */
export const givenVerdict = record({
  ...attempt,
  /** Pay with `payout`, another attempt, or the refund; `Convicted`: refunded, and the node's reservation is taken. */
  outcome: union({ Pay: unit, Retry: unit, Refund: unit, Convicted: unit }),
  payout: wideNumber,
  scoreBps: u16,
  /** Bit by bit, as in §8.2. */
  checks: u16,
  /** Whose fault a verdict is that does not pay: `VERDICT_FAIL` for the provider's; a pay verdict for a failed run has its own code. */
  code: option(text),
  /** Which gates failed, `G4`, and what each said. */
  gates: list(record({ gate: text, message: text })),
  receiptHash: option(hashText),
  /** Whether another node ran it again, and agreed. */
  audit: option(union({ Agreed: unit, Differed: unit, Inconclusive: unit })),
});
export type GivenVerdict = Decoded<typeof givenVerdict>;

/** An hour's audit secret: committed to before, shown after. Who knows it can check every choice made by it. */
export const auditHour = record({
  /** Hours since 1970. */
  hour: u64,
  commitment: hashText,
  /** Once the hour is over. */
  secret: option(hashText),
  /** Every receipt of the hour, and whether it was audited. */
  picks: list(record({ jobId: hashText, receiptHash: hashText, rateBps: u32, audited: bool })),
});
export type AuditHour = Decoded<typeof auditHour>;

/**
 * What another verifier needs to come to its own verdict. The leaves of the log, 32 bytes each, are the blob; its first and last record are
 * here, as they are framed, `0x` hex.
 */
export const verdictRequest = record({
  evidence,
  verdict: structCodec('Verdict'),
  firstRecord: text,
  lastRecord: text,
});
export type VerdictRequest = Decoded<typeof verdictRequest>;

/**
 * What another verifier needs to come to its own judgement of a result that is disputed, or that an audit found to be false: what was
 * delivered. It has the job run again for itself; the reruns here are those of who asks, and only what `evidenceHash` is of.
 */
export const resolutionRequest = record({
  evidence,
  resolution: structCodec('Resolution'),
  /** JSON text. */
  reruns: text,
});
export type ResolutionRequest = Decoded<typeof resolutionRequest>;

/** What other nodes came to. */
const others = list(
  record({
    node: record({ name: text, nodeId: hashText, operator: addressText }),
    result: runResult,
    artifacts: text,
  }),
);
export type Others = Decoded<typeof others>;

const signedBy = record({ signer: addressText, signature: signatureText });

export const oracleContract = contract(
  {
    /** Judges a run. Asked again with the same receipt nothing more happens; another receipt for the attempt is held against the node. */
    Verify: method(evidence, unit),
    /** Ends an attempt that left no receipt: another one, or the refund. */
    Close: method(lostAttempt, unit),
    /** Judges a run of a job that several nodes ran, and that others, who agree with each other, differ from: as after an audit. */
    Outvoted: method(
      record({
        run: evidence,
        others,
      }),
      unit,
    ),
    /** Whether two results of a spec are the same, by its `verify.mode`. */
    Compare: method(
      record({ spec: text, first: runResult, second: runResult, artifacts: text }),
      union({ Same: unit, Different: unit, Undecided: unit }),
    ),
    Verdict: method(record(attempt), option(givenVerdict)),
    /** How a run that an audit asked for ended; nothing: it could not be made. `artifacts` and `logs` as in evidence. */
    RerunDone: method(
      record({
        ...attempt,
        rerun: u32,
        node: option(record({ name: text, nodeId: hashText, operator: addressText })),
        result: option(runResult),
        artifacts: text,
      }),
      unit,
    ),
    /** For oracles of other nodes: their own gates over the same evidence, and their signature. */
    Cosign: method(verdictRequest, signedBy),
    /** The same for the end of a dispute. Nothing as long as reruns are out: asked again, it says more. */
    CosignResolution: method(resolutionRequest, option(signedBy)),
    /** For them too: a part of an input or an output of a run that they were asked about, as the blob. */
    Shown: method(
      record({ ...attempt, sha256: contentHash, offset: u64, bytes: u32 }),
      record({ bytes: u64 }),
    ),
    /** For everybody. */
    AuditHours: method(record({ from: u64, limit: u32 }), list(auditHour)),
    /** A client, or who else may, disputes a proposal: the oracle runs the job again and resolves. */
    Disputed: method(record({ jobId: hashText }), unit),
  },
  {
    access: {
      Verify: 'package',
      Outvoted: 'package',
      Compare: 'package',
      Close: 'package',
      Verdict: 'package',
      RerunDone: 'package',
      Cosign: 'any',
      CosignResolution: 'any',
      Shown: 'any',
      AuditHours: 'any',
      Disputed: 'package',
    },
  },
);

/** Told to `market:compute:sys` until it answers. */
export const verdictEventMethods = {
  VerdictGiven: method(givenVerdict, unit),
  /**
   * The job is to be run again, free, by a node that none of these operators runs; the market answers by `RerunDone`, with nothing if it
   * finds none until the time. `NoNodes` says at once that there is none.
   */
  RerunWanted: method(
    record({
      ...attempt,
      rerun: u32,
      spec: text,
      notOperators: list(addressText),
      /** Milliseconds since 1970. */
      until: u64,
    }),
    unit,
  ),
} as const;
