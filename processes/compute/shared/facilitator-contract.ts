/**
 * What `facilitator:compute:sys` is asked, by processes of this package on this node (what only reads, by all of the node): terms, funding, assigning and closing of jobs on the
 * chain, and what the chain says of jobs and providers (compute-market.md §2, §3.5, §6). Money is in a token's smallest unit, times of the
 * chain are seconds since 1970. What an action does is known when the chain says so: it answers once the wish is on disk, and carries it
 * out whatever crashes meanwhile; every change of a job is then told by `moneyEventMethods`.
 */
import {
  addressText,
  hashText,
  signatureText,
  structCodec,
  wideNumber,
} from '../../../contracts/compute-json.ts';
import { JOB_STATES, type JobState } from '../../../contracts/compute.ts';
import {
  bool,
  list,
  option,
  record,
  refined,
  text,
  u16,
  u32,
  u64,
  u8,
  union,
  unit,
  type Decoded,
} from '../../../wit/codec.ts';
import { contract, method } from '../../lib/contract.ts';

/** Seconds that an acceptance has to be good for, so that it arrives in time. */
export const ACCEPTANCE_LEFT_S_MIN = 5;

/** A state of the escrow, such as `funded`. */
export const jobState = refined<string, JobState>(
  text,
  'state of a job',
  (value) => JOB_STATES.find((state) => state === value),
  (value) => value,
);

/** Where money is. Refused with `NotConfigured` as long as no chain is set. */
export const moneySettings = record({
  chainId: u32,
  escrow: addressText,
  registry: addressText,
  verifiers: addressText,
  token: addressText,
  /** EIP-712 name and version of the token. */
  tokenName: text,
  tokenVersion: text,
  vaultInitHash: hashText,
  /** Our address: sends transactions, and is the platform of terms. */
  platform: addressText,
  /** Blocks, its own included, after which a transaction counts. */
  confirmations: u32,
  fundWindowS: u32,
  challengeWindowS: u32,
  protocolBps: u16,
  platformBps: u16,
  /** Seconds of the chain's clock: a development chain's may be far ahead. */
  nowS: u64,
});
export type MoneySettings = Decoded<typeof moneySettings>;

/** A job as the chain has it; everything of a job that nobody paid is zero or missing. */
export const jobMoney = record({
  jobId: hashText,
  /** Grows with every change: what comes late with a smaller one is old. */
  rev: u64,
  state: jobState,
  attempt: u32,
  client: option(addressText),
  token: option(addressText),
  amount: wideNumber,
  /** Of the acceptance. */
  price: wideNumber,
  payout: wideNumber,
  nodeId: option(hashText),
  deadline: u64,
  /** The last second in which a proposal may be disputed, or a dispute resolved; 0: neither. */
  timer: u64,
  receiptHash: option(hashText),
  dispute: option(record({ by: addressText, evidenceHash: hashText, bond: wideNumber })),
  /** How it was shared out. */
  settled: option(
    record({
      provider: wideNumber,
      protocolFee: wideNumber,
      platformFee: wideNumber,
      clientRefund: wideNumber,
    }),
  ),
  /** 1 expired, 2 rejected, 3 cancelled, 4 convicted. */
  refundReason: option(u8),
  fundTx: option(hashText),
  /** Of the last change. */
  lastTx: option(hashText),
  /** An action that the chain refuses for good; the market has to decide what now. */
  trouble: option(record({ action: text, code: text, message: text })),
});
export type JobMoney = Decoded<typeof jobMoney>;

/** A provider as the registry has it. */
export const provider = record({
  nodeId: hashText,
  /** Of the node, where the namespace knows it. */
  name: option(text),
  operator: addressText,
  executor: addressText,
  payTo: addressText,
  /** Whether it takes jobs. */
  on: bool,
  stake: wideNumber,
  reserved: wideNumber,
  /** Jobs at a time by its stake, and those it has. */
  slots: u32,
  active: u32,
  /** The most that one job may cost, in HYPER: what is slashed for one false result. */
  reservation: wideNumber,
  lastBeat: u64,
  slashes: u32,
});
export type Provider = Decoded<typeof provider>;

/** How a client pays. What it signed is verified before anything is sent; a refusal has the code of x402.md §7. */
export const payment = union({
  /** The money is in the vault already, or will be. */
  Vault: unit,
  /** EIP-3009 `TransferWithAuthorization` to the vault: what any x402 wallet signs. */
  Transfer: record({
    validAfter: u64,
    validBefore: u64,
    nonce: hashText,
    value: wideNumber,
    signature: signatureText,
  }),
  /** EIP-3009 `ReceiveWithAuthorization` to the escrow with the job's id as nonce. */
  Receive: record({ validAfter: u64, validBefore: u64, signature: text }),
  /** The client approved the escrow and signed the terms. */
  Allowance: record({ termsSignature: text }),
  /** EIP-2612, and the terms signed. */
  Permit: record({ termsSignature: text, deadline: u64, signature: signatureText }),
  Permit2: record({ nonce: wideNumber, deadline: u64, signature: text }),
});
export type Payment = Decoded<typeof payment>;

const job = { jobId: hashText } as const;
const signed = list(record({ signer: addressText, signature: text }));
/** A call that only its owner can send: to the escrow, from there. */
const call = record({ to: addressText, data: text, from: addressText });

/** Terms with their id, and where a plain transfer pays for them. */
export const offeredTerms = record({
  terms: structCodec('ComputeTerms'),
  jobId: hashText,
  vault: addressText,
});
export type OfferedTerms = Decoded<typeof offeredTerms>;

export const facilitatorContract = contract(
  {
    Settings: method(unit, moneySettings),
    /**
     * Terms for what a client wants, kept under the client and its intent: asked again the same terms are answered, with another wish for
     * the same intent `IntentTaken` (CM5). Never terms that harm the client (F37): `BadTerms` says which limit is passed.
     */
    Terms: method(
      record({
        client: addressText,
        intentId: text,
        amount: wideNumber,
        specHash: hashText,
        attempts: u32,
        /** Seconds of one run. */
        timeoutS: u32,
        /** Pins the job to this provider. */
        nodeId: option(hashText),
        /** 0 exact, 1 metered. */
        mode: u8,
        fundWindowS: option(u32),
        challengeWindowS: option(u32),
      }),
      offeredTerms,
    ),
    /** Terms that the client wrote: checked as our own would be, and followed from now on. */
    Adopt: method(record({ terms: structCodec('ComputeTerms') }), offeredTerms),
    /** Terms that were made or adopted; nothing for an id that we do not follow. */
    TermsOf: method(record(job), option(offeredTerms)),
    /** Whether this would pay for the job, without doing it (x402 `verify`). */
    VerifyPayment: method(record({ ...job, payment }), record({ payer: addressText })),
    /** Pays: asked again with the same payment nothing more happens. */
    Fund: method(record({ ...job, payment }), unit),
    /** From the index; what is not followed is read from the chain. */
    Money: method(record(job), jobMoney),
    /** Jobs that are followed and not closed: for a market that starts. */
    Open: method(record({ after: option(hashText), limit: u32 }), list(jobMoney)),
    /** An executor's acceptance, checked against the registry; `BadAcceptance` says what is wrong. */
    Assign: method(
      record({ acceptance: structCodec('Acceptance'), signature: signatureText }),
      unit,
    ),
    Propose: method(
      record({
        receipt: structCodec('JobReceipt'),
        signature: signatureText,
        verdict: structCodec('Verdict'),
        signatures: signed,
      }),
      unit,
    ),
    /** A verdict to try again or to refund. */
    Reject: method(record({ verdict: structCodec('Verdict'), signatures: signed }), unit),
    /** A false receipt that is not proposed. */
    Convict: method(
      record({
        receipt: structCodec('JobReceipt'),
        signature: signatureText,
        resolution: structCodec('Resolution'),
        signatures: signed,
      }),
      unit,
    ),
    Resolve: method(record({ resolution: structCodec('Resolution'), signatures: signed }), unit),
    /** Two receipts for one attempt (CM20). */
    Equivocation: method(
      record({
        one: record({ receipt: structCodec('JobReceipt'), signature: signatureText }),
        other: record({ receipt: structCodec('JobReceipt'), signature: signatureText }),
      }),
      unit,
    ),
    /** What the client has to send to take an unassigned job back, or one that its node released. */
    CancelCall: method(record({ ...job, release: option(signatureText) }), call),
    /** What the client has to send to dispute; the bond is approved before. */
    DisputeCall: method(
      record({ ...job, evidenceHash: hashText }),
      record({ call, bond: wideNumber }),
    ),
    /** Refunds a job whose deadline has passed. The sweeper does it anyway. */
    RefundExpired: method(record(job), unit),
    /** What a job's vault has goes to the client's credit. */
    RecoverVault: method(record({ ...job, token: option(addressText) }), unit),
    Credit: method(record({ account: addressText }), wideNumber),
    /** Sends an account its credit. */
    Withdraw: method(record({ account: addressText }), unit),
    /** Providers that are on and have the stake of a tier, by nodeId (F47). */
    Providers: method(record({ after: option(hashText), limit: u32 }), list(provider)),
    Provider: method(record({ nodeId: hashText }), option(provider)),
  },
  {
    access: {
      Settings: 'local',
      Terms: 'package',
      Adopt: 'package',
      TermsOf: 'package',
      VerifyPayment: 'package',
      Fund: 'package',
      Money: 'local',
      Open: 'package',
      Assign: 'package',
      Propose: 'package',
      Reject: 'package',
      Convict: 'package',
      Resolve: 'package',
      Equivocation: 'package',
      CancelCall: 'package',
      DisputeCall: 'package',
      RefundExpired: 'package',
      RecoverVault: 'package',
      Credit: 'local',
      Withdraw: 'package',
      Providers: 'local',
      Provider: 'local',
    },
  },
);

export const moneyEventMethods = {
  /** Told to `market:compute:sys` until it answers. */
  MoneyChanged: method(jobMoney, unit),
  /** Providers that have registered, or changed their record or their stake. Told once: a market that misses it looks every minute. */
  ProvidersChanged: method(list(provider), unit),
} as const;
