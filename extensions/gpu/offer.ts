/** What a job is offered as, checked (compute-market.md §10.4). Pure. */
import { addressText, hashText, wideNumber } from '../../contracts/compute-json.ts';
import { bool, option, record, text, u32, u64, list, type Decoded } from '../../wit/codec.ts';
import type { Body } from '../../wit/hn-ext/schema.ts';
import { type JobSpec, parseJobSpec, specHash, timeoutOf } from '../../wit/jobs/spec.ts';
import type { Result } from '../../wit/types.ts';
import { OUTPUT_FILES_MAX } from './outputs.ts';

/** As it is kept on disk. */
export const keptOffer = record({
  jobId: hashText,
  lease: text,
  attempt: u32,
  spec: text,
  specHash: hashText,
  price: wideNumber,
  timeoutS: u32,
  /** Seconds since 1970. */
  expiresAt: u64,
  nodeId: hashText,
  payTo: addressText,
  gpus: list(text),
  money: option(record({ chainId: u32, escrow: addressText })),
});

/** As they are sent, several at a time. */
export const sentOffers = list(
  record({
    jobId: text,
    lease: text,
    attempt: u32,
    spec: text,
    specHash: text,
    price: text,
    timeoutS: u32,
    /** Seconds since 1970. */
    expiresAt: u32,
    nodeId: text,
    payTo: text,
    gpus: list(text),
    chainId: option(u32),
    escrow: option(text),
    /** It begins as soon as it is accepted. */
    start: bool,
  }),
);
export type SentOffer = Body<'job.offer'> & { readonly start: boolean };

export interface Offer extends Omit<Decoded<typeof keptOffer>, 'spec' | 'expiresAt'> {
  readonly spec: JobSpec;
  readonly expiresAt: number;
}

export interface Refused {
  /** `busy`, `unsupported`, `policy`, `price` or `disk`. */
  readonly code: string;
  readonly message: string;
}

/** An offer as it is kept. */
export function textOfOffer({ chainId, escrow, ...body }: Body<'job.offer'>): string {
  const money = chainId === undefined || escrow === undefined ? undefined : { chainId, escrow };
  return keptOffer.stringify({ ...body, price: BigInt(body.price), money });
}

/** Reads an offer: the spec is one, is the one that was hashed, and is one that this program can take. */
export function readOffer(json: string): Result<Offer, Refused> {
  const decoded = keptOffer.decode(json);
  if (!decoded.ok)
    return refuse('unsupported', `${decoded.error.path} is no ${decoded.error.expected}`);
  const { spec: source, expiresAt, ...offer } = decoded.value;
  if (!/^[0-9a-f]{32}$/.test(offer.lease)) return refuse('unsupported', 'a lease is 32 hex digits');
  const spec = parseJobSpec(source);
  if (!spec.ok) return refuse('unsupported', `${spec.error.where} ${spec.error.message}`);
  if (specHash(spec.value) !== offer.specHash)
    return refuse('unsupported', 'the spec is not the one that was hashed');
  if (timeoutOf(spec.value) !== offer.timeoutS)
    return refuse('unsupported', 'the time of a run is not what the spec says');
  const { maxFiles = 0 } = spec.value.outputs ?? {};
  if (maxFiles > OUTPUT_FILES_MAX)
    return refuse('unsupported', `a result has at most ${OUTPUT_FILES_MAX} files here`);
  return { ok: true, value: { ...offer, expiresAt: Number(expiresAt), spec: spec.value } };
}

function refuse(code: string, message: string): { ok: false; error: Refused } {
  return { ok: false, error: { code, message } };
}
