/** What we use of the compiler's package, which has no types. */
declare module 'solc' {
  /** Compiles standard JSON to standard JSON. Synchronous: seconds. */
  function compile(input: string): string;
  /** Such as `0.8.37+commit.f401782d.Emscripten.clang`. */
  function version(): string;
  const solc: { compile: typeof compile; version: typeof version };
  export default solc;
}
