/**
 * What a coordinator's market asks of a provider's `gpu:compute:sys`, on this node or another (compute-market.md §10.4, §13). Everything
 * about a job names its lease, so that what belongs to an older attempt is refused.
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
  u32,
  u64,
  union,
  unit,
  type Decoded,
} from '../../../wit/codec.ts';
import { deviceInfo } from '../../../wit/jobs/device.ts';
import { contentHash } from '../../../wit/jobs/result.ts';
import { contract, method } from '../../lib/contract.ts';
import { modelMethods } from './model-contract.ts';

/** Which attempt of which job; the lease is 16 bytes as hex, given by the provider with its acceptance. */
export const leased = { jobId: hashText, lease: text } as const;

/** What a provider offers now. */
export const providerState = record({
  /** No extension is paired now: nothing runs here. */
  paired: bool,
  nodeId: hashText,
  executor: option(addressText),
  payTo: option(addressText),
  device: option(deviceInfo),
  /** Jobs at a time, and how many are free. */
  slots: u32,
  free: u32,
  queue: u32,
  /** Millionths of HYPER an hour by class; what is left out has the network's default. */
  prices: list(record({ class: text, price: wideNumber })),
  /** Digests of images that need no pull. */
  cachedImages: list(text),
  /** Milliseconds since 1970. */
  at: u64,
});
export type ProviderState = Decoded<typeof providerState>;

/** Where the money of a job is; missing for free ones. */
export const moneyPlace = record({ chainId: u32, escrow: addressText, token: addressText });

export const offer = record({
  jobId: hashText,
  attempt: u32,
  /** Canonical JSON. */
  spec: text,
  specHash: hashText,
  price: wideNumber,
  /** Seconds of one run. */
  timeoutS: u32,
  /** Seconds since 1970 until which an acceptance is wanted, as in `Acceptance`. */
  expiresAt: u64,
  money: option(moneyPlace),
  /** It begins as soon as it is accepted, with no `Start`: nothing is to be done before, such as telling a chain. */
  start: option(bool),
});
export type Offer = Decoded<typeof offer>;

export const offerAnswer = union({
  Accepted: record({
    lease: text,
    /** Signed by the executor; missing for free jobs. */
    acceptance: option(record({ value: structCodec('Acceptance'), signature: signatureText })),
    executor: addressText,
  }),
  /** `busy`, `unsupported`, `policy`, `price`, `disk` or `unpaired`. */
  Rejected: record({ code: text, message: text }),
});
export type OfferAnswer = Decoded<typeof offerAnswer>;

/** A part of a file: from where, and at most how much. The bytes come as the blob. */
export const partOf = { sha256: contentHash, offset: u64, bytes: u32 } as const;

export const gpuContract = contract(
  {
    Provider: method(unit, providerState),
    /** Answered together, in their order. */
    Offers: method(record({ offers: list(offer) }), record({ answers: list(offerAnswer) })),
    Start: method(record(leased), unit),
    Cancel: method(record({ ...leased, reason: text, graceMs: u32 }), unit),
    /** Of an output, once the result is in. */
    Artifact: method(record({ ...leased, ...partOf }), record({ end: bool })),
    /** The coordinator has all it wants: files may go. */
    Drop: method(record(leased), unit),
    ...modelMethods,
  },
  {
    access: {
      Models: 'package',
      ModelCall: 'package',
      ModelTaken: 'package',
      ModelCancel: 'package',
    },
  },
);
