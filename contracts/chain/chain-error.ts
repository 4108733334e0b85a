/** Why the embedded chain did not start, or ended. */
export class ChainError extends Error {
  override readonly name = 'ChainError';
  readonly code:
    | 'no-binary'
    | 'port-taken'
    | 'not-ready'
    | 'ended'
    | 'damaged-state'
    | 'other-profile'
    | 'unreadable-state'
    | 'unwritable-state'
    | 'rpc';
  constructor(code: ChainError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
