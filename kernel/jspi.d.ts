/** JavaScript Promise Integration, which TypeScript's libraries lack. On by default in Node 26. */
declare namespace WebAssembly {
  /** Imported in place of `call`: when it returns a promise, the calling stack waits for it. */
  class Suspending extends Function {
    constructor(call: (...args: never[]) => unknown);
  }
  /** The export as a function whose stack may wait; it returns a promise of the export's result. */
  function promising(call: (...args: never[]) => unknown): (...args: unknown[]) => Promise<unknown>;
}
