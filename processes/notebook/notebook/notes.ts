/** Notes in sqlite, their tags in kv, their attachments in a drive. */
import type { t } from '../../lib/index.ts';
import { type Process, Refusal } from '../../lib/index.ts';
import { type Kv, openKv, rawText } from '../../lib/kv.ts';
import { openSqlite, type Sqlite } from '../../lib/sqlite.ts';
import { type Drive, drive } from '../../lib/vfs.ts';
import type { note, noteId, summary } from '../contract.ts';

type Id = t.Decoded<typeof noteId>;
type Note = t.Decoded<typeof note>;
type Summary = t.Decoded<typeof summary>;

/** Longest body, in UTF-16 units. Attachments are for what is larger. */
const BODY_MAX = 65_536;
const MIGRATIONS = [
  'create table notes (id integer primary key autoincrement, key text not null unique, title text not null, body text not null)',
  [
    'create table reminders (id integer primary key, note integer not null references notes on delete cascade, due_ms integer not null, text text not null)',
    'create index reminders_by_time on reminders (due_ms)',
  ],
] as const;

export class Notes {
  readonly database: Sqlite;
  /** `tag/<tag>/<id>` and `note/<id>/<tag>`, so that either is found by a prefix of the other. Values are empty. */
  readonly tags: Kv<string, string>;
  readonly files: Drive;

  private constructor(database: Sqlite, tags: Kv<string, string>, files: Drive) {
    this.database = database;
    this.tags = tags;
    this.files = files;
  }

  static async open(process: Process<unknown>): Promise<Notes> {
    return new Notes(
      await openSqlite(process, 'notes', { migrations: MIGRATIONS }),
      await openKv(process, 'tags', { key: rawText, value: rawText }),
      await drive(process, 'attachments'),
    );
  }

  async add(title: string, body: string): Promise<Id> {
    if (body.length > BODY_MAX) {
      throw new Refusal('TooLong', `a note has at most ${BODY_MAX} characters; attach the rest`);
    }
    // A statement that writes returns nothing, not even the id it made.
    const key = crypto.randomUUID();
    await this.database
      .run`insert into notes (key, title, body) values (${key}, ${title}, ${body})`;
    const made = await this.database.get<{ id: Id }>`select id from notes where key = ${key}`;
    if (made === undefined) throw new Error('the note is gone');
    return made.id;
  }

  async show(id: Id): Promise<Note> {
    const found = await this.database.get<{ title: string; body: string }>`
      select title, body from notes where id = ${id}`;
    if (found === undefined) throw new Refusal('NoNote', `there is no note ${id}`);
    const attachments: { name: string; bytes: number }[] = [];
    if (await this.files.exists(String(id))) {
      for await (const { path, name } of this.files.list(String(id))) {
        attachments.push({ name, bytes: (await this.files.stat(path))?.bytes ?? 0 });
      }
    }
    return { id, ...found, tags: await this.tagsOf(id), attachments };
  }

  async list(max: number): Promise<Summary[]> {
    return this.#summaries(
      await this.database.all`select id, title from notes order by id desc limit ${max}`,
    );
  }

  async find(text: string, max: number): Promise<Summary[]> {
    const pattern = `%${text.replaceAll(/[%_\\]/g, '\\$&')}%`;
    return this.#summaries(
      await this.database.all`
        select id, title from notes where title like ${pattern} escape '\\' or body like ${pattern} escape '\\'
        order by id desc limit ${max}`,
    );
  }

  async withTag(tag: string, max: number): Promise<Summary[]> {
    const ids: number[] = [];
    for await (const [key] of this.tags.scan({ prefix: `tag/${tag}/` })) {
      ids.push(Number(key.slice(key.lastIndexOf('/') + 1)));
    }
    const found: Summary[] = [];
    for (const id of ids.sort((a, b) => b - a).slice(0, max)) {
      const row = await this.database.get`select id, title from notes where id = ${id}`;
      if (row !== undefined) found.push(...(await this.#summaries([row])));
    }
    return found;
  }

  /** The note with its tags, reminders and attachments; tags and files first, so that nothing is left that no note leads to. */
  async remove(id: Id): Promise<void> {
    const tags = await this.tagsOf(id);
    await this.tags.tx(async (tx) => {
      for (const tag of tags) {
        await tx.delete(`tag/${tag}/${id}`);
        await tx.delete(`note/${id}/${tag}`);
      }
    });
    await this.files.remove(String(id), { recursive: true });
    await this.database.run`delete from notes where id = ${id}`;
  }

  async tag(id: Id, tag: string): Promise<void> {
    if (!/^[\w.-]+$/u.test(tag)) {
      throw new Refusal('BadTag', 'a tag has letters, digits, dots and dashes only');
    }
    await this.show(id);
    await this.tags.tx(async (tx) => {
      await tx.set(`tag/${tag}/${id}`, '');
      await tx.set(`note/${id}/${tag}`, '');
    });
  }

  async tagsOf(id: Id): Promise<string[]> {
    const tags: string[] = [];
    for await (const [key] of this.tags.scan({ prefix: `note/${id}/` })) {
      tags.push(key.slice(key.lastIndexOf('/') + 1));
    }
    return tags;
  }

  async countTags(): Promise<{ tag: string; notes: number }[]> {
    const counts = new Map<string, number>();
    for await (const [key] of this.tags.scan({ prefix: 'tag/' })) {
      const tag = key.split('/')[1] ?? '';
      counts.set(tag, (counts.get(tag) ?? 0) + 1);
    }
    return [...counts].map(([tag, notes]) => ({ tag, notes }));
  }

  /** The SHA-256 of what was stored, in hex. */
  async attach(id: Id, name: string, bytes: Uint8Array): Promise<string> {
    await this.show(id);
    const path = this.#path(id, name);
    await this.files.writeChunks(path, [bytes], { mkdirs: true });
    const hash = await this.files.hash(path);
    return [...hash].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  }

  async attachment(id: Id, name: string): Promise<Uint8Array> {
    return this.files.read(this.#path(id, name));
  }

  /** Names are what people type: one part of a path and no more. */
  #path(id: Id, name: string): string {
    if (name === '' || name.includes('/')) {
      throw new Refusal('BadName', 'the name of an attachment has no slash');
    }
    return `${id}/${name}`;
  }

  async #summaries(rows: readonly unknown[]): Promise<Summary[]> {
    const found: Summary[] = [];
    // Proof of the type: the columns of the queries above, of a table whose types are declared there.
    for (const { id, title } of rows as readonly { id: number; title: string }[]) {
      found.push({ id, title, tags: await this.tagsOf(id) });
    }
    return found;
  }
}
