/** A sqlite module on a test bench, with children of its own, and short ways to ask it. */
import { join } from 'node:path';
import { systemClock } from '../../kernel/clock.ts';
import type { Capability } from '../../wit/types.ts';
import { Bench, OUR_NODE, type Reply, TestPort } from '../shared/testing.ts';
import { sqlite, type SqliteOptions, type SqliteWork } from './index.ts';

export const P = { package_name: 'a', publisher_node: 'b.os' };
export const ME = 'p:a:b.os';
export const SIBLING = 'q:a:b.os';
export const FOREIGN = 'p:c:d.os';

export interface Extra {
  readonly from?: string;
  readonly db?: string;
  /** JSON text, or bytes. */
  readonly blob?: Uint8Array | string;
  readonly pkg?: unknown;
  readonly capabilities?: readonly Capability[];
}

export class SqliteBench implements AsyncDisposable {
  readonly home: string;
  bench: Bench<SqliteWork>;

  constructor(home: string, options: Partial<SqliteOptions> = {}) {
    this.home = home;
    const port = new TestPort('sqlite');
    const module = sqlite({ root: join(home, 'sqlite'), ...options })({ port, clock: systemClock });
    this.bench = new Bench(module, port);
  }

  reply(action: unknown, extra: Extra = {}): Promise<Reply | undefined> {
    const { from = ME, db = 'm', pkg = P, blob, capabilities = [] } = extra;
    return this.bench.ask({ from, body: { package_id: pkg, db, action }, blob, capabilities });
  }

  async ask(action: unknown, extra: Extra = {}): Promise<unknown> {
    return (await this.reply(action, extra))?.body;
  }

  /** Rows as text, or the error body. */
  async rowsText(sql: string, parameters?: string, extra: Extra = {}): Promise<unknown> {
    const blob = parameters === undefined ? extra : { ...extra, blob: parameters };
    const answer = await this.reply({ Query: sql }, blob);
    if (answer?.body !== 'Read') return answer?.body;
    return Buffer.from(answer.blob?.bytes ?? []).toString();
  }

  async query(sql: string, parameters?: string, extra: Extra = {}): Promise<unknown> {
    const text = await this.rowsText(sql, parameters, extra);
    return typeof text === 'string' ? JSON.parse(text) : text;
  }

  write(sql: string, parameters?: string, extra: Extra = {}, tx: unknown = null): Promise<unknown> {
    const blob = parameters === undefined ? extra : { ...extra, blob: parameters };
    return this.ask({ Write: { statement: sql, tx_id: tx } }, blob);
  }

  async begin(extra: Extra = {}): Promise<number> {
    return ((await this.ask('BeginTx', extra)) as { BeginTx: { tx_id: number } }).BeginTx.tx_id;
  }

  commit(tx: unknown, extra: Extra = {}): Promise<unknown> {
    return this.ask({ Commit: { tx_id: tx } }, extra);
  }

  capability(kind: string, db = 'm', pkg: unknown = P): Capability {
    return {
      issuer: { node: OUR_NODE, process: this.bench.port.our.process },
      params: JSON.stringify({ kind, db_key: [pkg, db] }),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bench.module[Symbol.asyncDispose]();
  }
}

export const err = (error: unknown): unknown => ({ Err: error });
