/** Why a command of `kit job` or `kit provider` ended without what it was to do. `code` is stable; the message says what to do next. */
export class JobError extends Error {
  override readonly name = 'JobError';
  readonly code:
    | 'bad-flags'
    | 'bad-spec'
    | 'file'
    | 'unreachable'
    | 'login'
    | 'refused'
    | 'not-found'
    | 'declined'
    | 'bad-terms'
    | 'bad-hash'
    | 'bad-signature'
    | 'nothing'
    | 'not-operator'
    | 'cooldown'
    | 'job-failed'
    | 'timeout';
  /** What the market calls it, such as `PRICE_ABOVE_CAP`. */
  readonly reason: string | undefined;
  constructor(
    code: JobError['code'],
    message: string,
    options: ErrorOptions & { readonly reason?: string | undefined } = {},
  ) {
    super(message, options);
    this.code = code;
    this.reason = options.reason;
  }
}
