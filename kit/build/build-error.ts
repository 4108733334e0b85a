/** Why a build failed. `code` is stable; the message says which file and what to do next. */
export class BuildError extends Error {
  override readonly name = 'BuildError';
  readonly code:
    | 'no-package'
    | 'bad-manifest'
    | 'unknown-language'
    | 'toolchain-missing'
    | 'source'
    | 'componentize'
    | 'missing-wasm'
    | 'bad-flags'
    | 'fake-node';
  constructor(code: BuildError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
