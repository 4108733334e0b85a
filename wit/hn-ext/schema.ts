/**
 * The frames of `hn-ext/1` by type (compute-market.md §10.3, §10.4; findings F40, F46): between an extension and the process it is
 * paired with. Documents (specs, devices, receipts) travel as their JSON text, the one that is hashed; files travel beside these frames
 * (bulk.ts). Runs in guests.
 */

/** `b16`, `b32`: exactly so many bytes. `count`: up to 2^53-1. With `?` it may be missing. */
export type FieldType = 'text' | 'texts' | 'u32' | 'count' | 'bool' | 'bytes' | 'b16' | 'b32';
export type Field = FieldType | `${FieldType}?`;

export interface FrameShape {
  /** Numbered, acknowledged, and sent again after a lost socket. */
  readonly reliable: boolean;
  readonly fields: Readonly<Record<string, Field>>;
}

const shape = <const F extends Readonly<Record<string, Field>>>(
  fields: F,
): { readonly reliable: false; readonly fields: F } => ({ reliable: false, fields });
const reliable = <const F extends Readonly<Record<string, Field>>>(
  fields: F,
): { readonly reliable: true; readonly fields: F } => ({ reliable: true, fields });

/** Which attempt of which job: `0x` hex of 32 bytes, hex of 16. */
const leased = { jobId: 'text', lease: 'text' } as const;

/** By what `t` says. */
export const FRAMES = {
  // The handshake, in this order (handshake.ts). P: process, E: extension.
  /** P to E, on open. */
  challenge: shape({ proto: 'texts', nonceP: 'b32' }),
  /** E to P. The session is of one run of the extension, the same over reconnections. */
  hello: shape({ proto: 'text', session: 'b16', nonceE: 'b32', version: 'text' }),
  /** P to E: it knows the token too. */
  proof: shape({ mac: 'b32' }),
  /**
   * E to P. `device`: DeviceInfo. `jobs`: `[{jobId, attempt, lease, state, logSeq, haveResult}]`. `lastSeq`: the last reliable frame
   * that it has of this process; `epoch`: of which count, empty for none.
   */
  auth: shape({
    mac: 'b32',
    executor: 'text',
    device: 'text',
    /** Jobs at a time. */
    slots: 'u32',
    jobs: 'text',
    epoch: 'text',
    lastSeq: 'u32',
    /** It takes `jobs.offer` and `jobs.drop`. */
    many: 'bool?',
  }),
  /** P to E. `many`: it takes `jobs.news`. `resume`: both go on counting in the epoch that `auth` named; else both begin anew, in this one. */
  welcome: shape({
    resume: 'bool',
    epoch: 'text',
    lastSeq: 'u32',
    orphanMs: 'count',
    many: 'bool?',
  }),
  /** P to E, and the channel ends. */
  denied: shape({ reason: 'text', retryMs: 'count?' }),

  // Jobs, P to E.
  'job.offer': reliable({
    ...leased,
    attempt: 'u32',
    spec: 'text',
    specHash: 'text',
    price: 'text',
    timeoutS: 'u32',
    expiresAt: 'count',
    nodeId: 'text',
    payTo: 'text',
    gpus: 'texts',
    /** Of the escrow; missing for free jobs. */
    chainId: 'u32?',
    escrow: 'text?',
  }),
  /** As many `job.offer`: a JSON list of their fields; with `start` one begins as soon as it is accepted. */
  'jobs.offer': reliable({ offers: 'text' }),
  'job.start': reliable(leased),
  /** What the process has of a job, after it was restarted or the extension was: the rest is wanted. */
  'job.sync': reliable({ ...leased, logSeq: 'u32', result: 'bool' }),
  'job.cancel': reliable({ ...leased, reason: 'text', graceMs: 'u32' }),
  /** Everything of the job may go. */
  'job.drop': reliable(leased),
  'jobs.drop': reliable({ leases: 'texts' }),
  /** Records up to `seq` are taken; `bytes` more may be sent. */
  'log.credit': shape({ ...leased, seq: 'u32', bytes: 'count' }),
  /** Asks for an output, as bulk frames of this transfer. */
  'artifact.send': reliable({ ...leased, sha256: 'text', transfer: 'u32' }),
  'artifact.stop': reliable({ transfer: 'u32' }),
  /** An input that was asked for will not come. */
  'input.fail': reliable({ ...leased, transfer: 'u32', code: 'text', message: 'text' }),
  drain: reliable({ on: 'bool' }),

  // Jobs, E to P.
  /** `acceptance`: JSON of the document and its signature; missing for free jobs. */
  'job.accept': reliable({ ...leased, acceptance: 'text?' }),
  'job.reject': reliable({ ...leased, code: 'text', message: 'text' }),
  /** `preparing`, `started` or `collecting`. */
  'job.state': reliable({ ...leased, state: 'text', detail: 'text?' }),
  /** The attempt ended without a receipt. */
  'job.lost': reliable({ ...leased, code: 'text', message: 'text' }),
  'job.progress': shape({ ...leased, ppm: 'u32', note: 'text?' }),
  /** Records as in wit/jobs/log-records.ts; `seq`: of the first. */
  'log.chunk': reliable({ ...leased, seq: 'u32', records: 'bytes' }),
  /** Outputs of the result that follows: a JSON list from that index on. */
  'job.files': reliable({ ...leased, from: 'u32', files: 'text' }),
  /** The rest of a `runResult` as JSON; `files`: how many outputs there are. */
  'job.result': reliable({ ...leased, result: 'text', files: 'u32' }),
  /** What is new of many attempts: a JSON list (job-news.ts), and the records of their logs. */
  'jobs.news': reliable({ news: 'text', logs: 'bytes' }),
  /** Asks for an input or the module, as bulk frames of this transfer. */
  'input.get': reliable({ ...leased, sha256: 'text', size: 'count', transfer: 'u32' }),
  'artifact.fail': reliable({ transfer: 'u32', code: 'text', message: 'text' }),
  /** DeviceInfo again: something changed. */
  device: reliable({ device: 'text' }),
  stats: shape({ running: 'u32', queue: 'u32', load: 'text' }),

  // Model requests (§12). Lost with the channel. The answer is lines of JSON: of a streamed one a line is an event, of another the only one.
  /** P to E. `bytes`: of the body, which `llm.more` asks for. `credit`: bytes of answer that may be sent. */
  'llm.request': shape({
    rid: 'text',
    backend: 'text',
    endpoint: 'text',
    bytes: 'u32',
    credit: 'u32',
    deadlineMs: 'u32',
  }),
  /** E to P, and P to E: the body from there on, as much as a frame takes. */
  'llm.more': shape({ rid: 'text', offset: 'u32' }),
  'llm.body': shape({ rid: 'text', offset: 'u32', data: 'bytes' }),
  /** E to P. `i`: of the chunk, from 0; they are cut anywhere. */
  'llm.chunk': shape({ rid: 'text', i: 'u32', data: 'bytes' }),
  /** P to E: as many bytes were taken by whoever reads. */
  'llm.credit': shape({ rid: 'text', bytes: 'u32' }),
  /** E to P, after the last chunk; `sha256`: of all lines together, hex. */
  'llm.done': shape({ rid: 'text', chunks: 'u32', sha256: 'text', requestSha256: 'text' }),
  /** E to P; `status`: as of HTTP, `message`: may be shown to clients. */
  'llm.error': shape({ rid: 'text', status: 'u32', message: 'text' }),
  /** P to E: nobody waits any more. Not answered. */
  'llm.cancel': shape({ rid: 'text' }),

  // Both.
  ack: shape({}),
  ping: shape({ x: 'u32' }),
  pong: shape({ x: 'u32' }),
  error: shape({ code: 'text', message: 'text' }),
  bye: shape({ reason: 'text' }),
} as const satisfies Readonly<Record<string, FrameShape>>;

export type FrameType = keyof typeof FRAMES;

interface Values {
  readonly text: string;
  readonly texts: readonly string[];
  readonly u32: number;
  readonly count: number;
  readonly bool: boolean;
  readonly bytes: Uint8Array;
  readonly b16: Uint8Array;
  readonly b32: Uint8Array;
}
type ValueOf<F extends Field> = F extends `${infer T extends FieldType}?`
  ? Values[T] | undefined
  : F extends FieldType
    ? Values[F]
    : never;
type Optional<M> = { [K in keyof M]: M[K] extends `${string}?` ? K : never }[keyof M];

/** The fields of a frame. */
export type Body<T extends FrameType> = {
  readonly [
    K in Exclude<keyof (typeof FRAMES)[T]['fields'], Optional<(typeof FRAMES)[T]['fields']>>
  ]: ValueOf<(typeof FRAMES)[T]['fields'][K] & Field>;
} & {
  readonly [K in Optional<(typeof FRAMES)[T]['fields']>]?: ValueOf<
    (typeof FRAMES)[T]['fields'][K] & Field
  >;
};

/** A frame that was read: its type, its fields, and what every frame may carry. */
export type Frame<T extends FrameType = FrameType> = {
  readonly [K in T]: {
    readonly t: K;
    readonly body: Body<K>;
    /** Its number; reliable frames only, from 1. */
    readonly n: number | undefined;
    /** The highest number up to which the sender has all of ours. */
    readonly a: number | undefined;
  };
}[T];

export const PROTO = 'hn-ext/1';
