/** Why a backup or restore did not happen; the message says what to do next. */
export class BackupError extends Error {
  override readonly name = 'BackupError';
  /**
   * 'wrong-password' also stands for a damaged first chunk: the two cannot be told apart. 'damaged': cut, reordered or changed.
   */
  readonly code:
    | 'not-a-backup'
    | 'wrong-password'
    | 'damaged'
    | 'other-version'
    | 'not-a-home'
    | 'not-empty'
    | 'exists'
    | 'no-password'
    | 'unreachable'
    | 'node'
    | 'io';
  constructor(code: BackupError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
