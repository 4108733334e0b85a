/** As much of better-sqlite3 as the benches use; it ships no types. */
declare module 'better-sqlite3' {
  interface Statement {
    run(...parameters: readonly unknown[]): unknown;
    get(...parameters: readonly unknown[]): unknown;
    raw(on: boolean): this;
    safeIntegers(on: boolean): this;
  }
  class Database {
    constructor(path: string);
    prepare(sql: string): Statement;
    exec(sql: string): this;
    pragma(text: string): unknown;
    transaction(work: () => void): () => void;
    close(): void;
  }
  export default Database;
}
