/** How the store fails. */

/** A store that cannot be opened, read or written. `code` is stable; the message says what to do. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: 'locked' | 'damaged' | 'unreadable' | 'write-failed' | 'closed';
  constructor(code: StoreError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
