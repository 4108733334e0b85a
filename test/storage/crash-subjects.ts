/**
 * What the crash and power-cut tests write and look for: each subject writes numbered states through a real module and can tell from
 * the disk which one is there. Used by the writer, which is killed, and by the test, which looks.
 */
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import { Bench, TestPort } from '../../runtime-modules/shared/testing.ts';
import type { LevelStore } from '../../runtime-modules/state/level-store.ts';
import { vfs } from '../../runtime-modules/vfs/index.ts';
import { processId } from '../../wit/address.ts';

export type Counts = Readonly<Record<string, number>>;

export interface Subject {
  readonly name: string;
  /** Called once in a process, before the first write. */
  begin(next: number): Promise<void>;
  /** Resolves when it was acknowledged. */
  write(count: number): Promise<void>;
  /** The last number that is wholly there; -1: none. @throws Error when there is anything that no crash may leave */
  found(): Promise<number>;
}

export interface World {
  readonly home: string;
  readonly store: LevelStore;
  /** Make vfs writes certain with SyncAll: for power cuts, which page caches do not survive. */
  readonly synced?: boolean;
}

export function subjects(world: World): Subjects {
  const files = new Bench(
    vfs({ root: join(world.home, 'vfs') })({ port: new TestPort('vfs') }),
    new TestPort('vfs'),
  );
  const send: Send = async (from, path, action, blob) => {
    const reply = await files.ask({ from, body: { path, action }, blob });
    const error = (reply?.body as { Err?: unknown } | undefined)?.Err;
    if (error !== undefined)
      throw new Error(`${path} ${JSON.stringify(action)}: ${JSON.stringify(error)}`);
    return reply?.blob?.bytes ?? new Uint8Array();
  };
  const synced = world.synced ?? false;
  const all = [
    new States(world.store),
    new Whole(send, synced),
    new Log(send, synced),
    new Swap(send, synced),
  ];
  return { all, [Symbol.asyncDispose]: () => files.module[Symbol.asyncDispose]() };
}

export interface Subjects extends AsyncDisposable {
  readonly all: readonly Subject[];
}

type Send = (
  from: string,
  path: string,
  action: string | object,
  blob?: Uint8Array,
) => Promise<Uint8Array>;

/** Two states and a capability that only ever change together. */
class States implements Subject {
  readonly name = 'states';
  readonly #store: LevelStore;
  readonly #ids = ['left', 'right'].map((name) => processId(`${name}:crash:sys`));

  constructor(store: LevelStore) {
    this.#store = store;
  }

  async begin(): Promise<void> {
    // Nothing to make.
  }

  async write(count: number): Promise<void> {
    const bytes = Buffer.from(String(count));
    await this.#store.commit(this.#ids.map((id) => ({ kind: 'put-state', id, bytes }) as const));
  }

  async found(): Promise<number> {
    const [left, right] = await Promise.all(
      this.#ids.map(async (id) => Number((await this.#store.readState(id))?.toString() ?? -1)),
    );
    if (left !== right) throw new Error(`half a batch: ${left} and ${right}`);
    return left ?? -1;
  }
}

/** Drives are made anew each time; that is harmless. */
async function drive(send: Send, from: string): Promise<string> {
  const path = `/${from.split(':').slice(1).join(':')}/d`;
  await send(from, path, 'CreateDrive');
  return path;
}

/** A number, and as many bytes that follow from it. */
function page(count: number): Buffer {
  const hash = createHash('sha256').update(String(count)).digest();
  const body = Buffer.alloc((count * 7919) % 50_000, hash);
  return Buffer.concat([Buffer.from(`${count}\n`), body]);
}

/** The number of a page, if all of it is there. */
function pageNumber(bytes: Uint8Array): number {
  const text = Buffer.from(bytes);
  const count = Number(text.subarray(0, Math.max(0, text.indexOf(10))).toString() || 'NaN');
  if (!Number.isInteger(count) || !page(count).equals(text))
    throw new Error(
      `a torn file of ${bytes.length} bytes, starting ${text.subarray(0, 12).toString()}`,
    );
  return count;
}

/** One file, replaced as a whole again and again: old or new, never a mixture. */
class Whole implements Subject {
  readonly name = 'whole';
  readonly #send: Send;
  readonly #synced: boolean;

  constructor(send: Send, synced: boolean) {
    this.#send = send;
    this.#synced = synced;
  }

  async begin(): Promise<void> {
    await drive(this.#send, 'w:whole:sys');
  }

  async write(count: number): Promise<void> {
    await this.#send('w:whole:sys', '/whole:sys/d/f', 'Write', page(count));
    if (this.#synced) await this.#send('w:whole:sys', '/whole:sys/d/f', 'SyncAll');
  }

  async found(): Promise<number> {
    const bytes = await readOr(this.#send, 'w:whole:sys', '/whole:sys/d/f');
    return bytes === undefined ? -1 : pageNumber(bytes);
  }
}

/** A log that only grows: every line in order, and at most a piece of the next. */
class Log implements Subject {
  readonly name = 'log';
  readonly #send: Send;
  readonly #synced: boolean;

  constructor(send: Send, synced: boolean) {
    this.#send = send;
    this.#synced = synced;
  }

  async begin(next: number): Promise<void> {
    await drive(this.#send, 'w:log:sys');
    const path = '/log:sys/d/f';
    await this.#send('w:log:sys', path, { OpenFile: { create: true } });
    await this.#send('w:log:sys', path, { SetLen: lines(next).length });
    if (this.#synced) await this.#send('w:log:sys', path, 'SyncAll');
  }

  async write(count: number): Promise<void> {
    await this.#send('w:log:sys', '/log:sys/d/f', 'Append', Buffer.from(`line ${count}\n`));
    if (this.#synced) await this.#send('w:log:sys', '/log:sys/d/f', 'SyncAll');
  }

  async found(): Promise<number> {
    const bytes = await readOr(this.#send, 'w:log:sys', '/log:sys/d/f');
    const text = Buffer.from(bytes ?? []).toString('latin1');
    let count = 0;
    let at = 0;
    for (;;) {
      const line = `line ${count}\n`;
      if (!text.startsWith(line, at)) break;
      at += line.length;
      count += 1;
    }
    // A cut of power may also leave zeros where the rest of the line was to be.
    const rest = text.slice(at).replace(/\0+$/, '');
    if (!`line ${count}\n`.startsWith(rest))
      throw new Error(`the log goes on with ${JSON.stringify(rest.slice(0, 40))}`);
    return count - 1;
  }
}

/** As many of the log's lines as there were, as text. */
export const lines = (count: number): string =>
  Array.from({ length: count }, (_, n) => `line ${n}\n`).join('');

/** A new file moved over the old one under another name: one of the two is always there. */
class Swap implements Subject {
  readonly name = 'swap';
  readonly #send: Send;
  readonly #synced: boolean;

  constructor(send: Send, synced: boolean) {
    this.#send = send;
    this.#synced = synced;
  }

  async begin(): Promise<void> {
    await drive(this.#send, 'w:swap:sys');
  }

  async write(count: number): Promise<void> {
    const fresh = '/swap:sys/d/fresh';
    await this.#send('w:swap:sys', fresh, 'CreateFile');
    await this.#send('w:swap:sys', fresh, 'WriteAll', page(count));
    await this.#send('w:swap:sys', fresh, 'SyncAll');
    await this.#send('w:swap:sys', fresh, { Rename: { new_path: '/swap:sys/d/f' } });
    if (this.#synced) await this.#send('w:swap:sys', '/swap:sys/d/f', 'SyncAll');
  }

  async found(): Promise<number> {
    const bytes = await readOr(this.#send, 'w:swap:sys', '/swap:sys/d/f');
    return bytes === undefined ? -1 : pageNumber(bytes);
  }
}

async function readOr(send: Send, from: string, path: string): Promise<Uint8Array | undefined> {
  try {
    return await send(from, path, 'Read');
  } catch (error) {
    if (String(error).includes('os error 2')) return undefined;
    throw error;
  }
}
