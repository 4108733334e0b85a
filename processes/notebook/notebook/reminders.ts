/** Reminders: rows in sqlite, so that they outlive the process; one timer for whichever is due next. */
import { at, type DeferredReply, type Process } from '../../lib/index.ts';
import type { Sqlite } from '../../lib/sqlite.ts';

/** Of those who wait for a reminder; more are refused by their own timeouts. */
const WAITERS_MAX = 100;

export class Reminders {
  readonly #process: Process<unknown>;
  readonly #database: Sqlite;
  #waiters: { readonly reply: DeferredReply; readonly gone: AbortSignal }[] = [];
  #rearmed: AbortController | undefined;

  constructor(process: Process<unknown>, database: Sqlite) {
    this.#process = process;
    this.#database = database;
  }

  async add(note: number | bigint, dueMs: number, text: string): Promise<void> {
    await this.#database
      .run`insert into reminders (note, due_ms, text) values (${note}, ${dueMs}, ${text})`;
    await this.arm();
  }

  /** Answers with the next reminder's text. */
  wait(reply: DeferredReply, gone: AbortSignal): void {
    this.#waiters = this.#waiters.filter((one) => !one.gone.aborted).slice(1 - WAITERS_MAX);
    this.#waiters.push({ reply, gone });
  }

  /** Sets the timer for what is due next, and drops the one before. */
  async arm(): Promise<void> {
    const next = await this.#database.get<{ due_ms: number }>`
      select due_ms from reminders order by due_ms limit 1`;
    this.#rearmed?.abort();
    this.#rearmed = undefined;
    if (next === undefined) return;
    const rearmed = new AbortController();
    this.#rearmed = rearmed;
    at(this.#process, next.due_ms, () => this.#ring(), { signal: rearmed.signal }).catch(
      (error: unknown) => this.#process.print(`reminders: ${String(error)}`),
    );
  }

  /** Told first and deleted afterwards: a reminder may come twice when the process ends in between, but none is lost. */
  async #ring(): Promise<void> {
    const due = await this.#database.all<{ id: number; title: string; text: string }>`
      select reminders.id as id, title, text from reminders join notes on notes.id = note
      where due_ms <= ${Date.now()} order by due_ms`;
    for (const { title, text } of due) {
      this.#process.print(`reminder: ${text} (${title})`);
      for (const { reply, gone } of this.#waiters.splice(0)) {
        if (!gone.aborted) reply.resolve(text);
      }
    }
    await this.#database.tx(async (tx) => {
      for (const { id } of due) await tx.run`delete from reminders where id = ${id}`;
    });
    await this.arm();
  }
}
