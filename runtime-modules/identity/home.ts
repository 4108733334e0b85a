/**
 * The home folder as a whole: the marker that says a folder is one, the lock that keeps it to one node, and wiping it.
 * Refusals are `HomeError`s with a stable code and a sentence saying what to do.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Says that a folder is a hyperloom home, and of which layout. */
const MARKER = '.hyperloom';
const LOCK = '.lock';
const LAYOUT = 1;
/** Times the lock is tried when a dead node's lock must be cleared first. */
const LOCK_TRIES_MAX = 5;

export class HomeError extends Error {
  override readonly name = 'HomeError';
  readonly code: 'in-use' | 'not-a-home' | 'unusable' | 'other-layout';
  constructor(code: HomeError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export interface Home extends AsyncDisposable {
  readonly path: string;
  /** Gives the lock back. Safe to call twice. */
  release(): Promise<void>;
}

/** Creates the folder if need be, and takes it for this process. @throws HomeError */
export async function openHome(path: string): Promise<Home> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new HomeError('unusable', `the home ${path} cannot be created: ${text(error)}`, {
      cause: error,
    });
  }
  await checkMarker(path);
  const mine = await takeLock(path);
  let released: Promise<void> | undefined;
  const release = (): Promise<void> => (released ??= releaseLock(path, mine));
  return { path, release, [Symbol.asyncDispose]: release };
}

/**
 * Deletes a home folder, after checking that it is one and that no node runs on it. A folder that does not exist, or is empty, is fine.
 * @throws HomeError
 */
export async function wipeHome(path: string): Promise<void> {
  let names: string[];
  try {
    names = await readdir(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw new HomeError('unusable', `${path} cannot be read: ${text(error)}`, { cause: error });
  }
  if (names.length === 0) return;
  if (!names.includes(MARKER)) {
    throw new HomeError(
      'not-a-home',
      `${path} is not a hyperloom home (it has no ${MARKER}), so it is left alone. Delete it yourself, or choose another folder.`,
    );
  }
  const mine = await takeLock(path);
  // Out of the way first: a wipe that is cut short leaves no half of a home under its name.
  const doomed = join(dirname(path), `.wiped-${randomUUID()}`);
  try {
    await rename(path, doomed);
  } catch (error) {
    await releaseLock(path, mine);
    throw new HomeError('unusable', `${path} cannot be wiped: ${text(error)}`, { cause: error });
  }
  await rm(doomed, { recursive: true, force: true });
}

async function checkMarker(path: string): Promise<void> {
  const marker = join(path, MARKER);
  let content: string | undefined;
  try {
    content = await readFile(marker, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw new HomeError('unusable', `${marker} cannot be read: ${text(error)}`, { cause: error });
    }
  }
  if (content === undefined) {
    await refuseForeign(path);
    await writeFile(marker, `${JSON.stringify({ layout: LAYOUT })}\n`, { mode: 0o600 });
    return;
  }
  let layout: unknown;
  try {
    layout = (JSON.parse(content) as { layout?: unknown } | null)?.layout;
  } catch {
    // Damaged: the file says one number that we can only guess to be ours.
    layout = LAYOUT;
    await writeFile(marker, `${JSON.stringify({ layout: LAYOUT })}\n`, { mode: 0o600 });
  }
  if (layout !== LAYOUT) {
    throw new HomeError(
      'other-layout',
      `${path} has layout ${String(layout)}; this version reads layout ${LAYOUT}. Start it with the version that made it.`,
    );
  }
}

/** A folder with other things in it is not quietly taken over; one with a reference node's `.keys` or `kernel` is a home. */
async function refuseForeign(path: string): Promise<void> {
  const names = await readdir(path);
  const known = new Set(['.keys', 'kernel', 'vfs', 'sqlite', 'kv', LOCK]);
  if (names.length === 0 || names.some((name) => known.has(name))) return;
  throw new HomeError(
    'not-a-home',
    `${path} holds other things (${names.slice(0, 3).join(', ')} ...) and is no hyperloom home. Choose an empty or new folder.`,
  );
}

/** @returns the content of our lock file */
async function takeLock(path: string): Promise<string> {
  const lock = join(path, LOCK);
  const mine = JSON.stringify({
    pid: process.pid,
    born: await bornAt(process.pid),
    id: randomUUID(),
  });
  for (let tries = 0; tries < LOCK_TRIES_MAX; tries += 1) {
    try {
      const file = await open(lock, 'wx', 0o600);
      await file.writeFile(mine);
      await file.close();
      return mine;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
        throw new HomeError('unusable', `the home ${path} cannot be locked: ${text(error)}`, {
          cause: error,
        });
      }
    }
    await clearStale(path, lock);
  }
  throw new HomeError(
    'in-use',
    `${path} is being taken by another node at this moment. Try again.`,
  );
}

/** Removes the lock of a node that no longer lives. The database's own lock is the last word should two nodes do so at once. */
async function clearStale(path: string, lock: string): Promise<void> {
  const content = await readFile(lock, 'utf8').catch(() => undefined);
  if (content === undefined) return;
  const holder = parseHolder(content);
  if (holder !== undefined && (await lives(holder))) {
    throw new HomeError(
      'in-use',
      `${path} is in use by a node with process id ${holder.pid}. Stop it first, or choose another home.`,
    );
  }
  if (holder === undefined) {
    // Written in part: either by a node that died in that moment, or by one that is just starting.
    const age = Date.now() - (await stat(lock).catch(() => ({ mtimeMs: 0 }))).mtimeMs;
    if (age < 1_000) await new Promise((resolve) => setTimeout(resolve, 200));
    if ((await readFile(lock, 'utf8').catch(() => '')) !== content) return;
  }
  await rm(lock, { force: true });
}

async function releaseLock(path: string, mine: string): Promise<void> {
  const lock = join(path, LOCK);
  const content = await readFile(lock, 'utf8').catch(() => undefined);
  if (content === mine) await rm(lock, { force: true });
}

interface Holder {
  readonly pid: number;
  readonly born: string;
}

function parseHolder(content: string): Holder | undefined {
  try {
    const { pid, born } = JSON.parse(content) as { pid?: unknown; born?: unknown };
    return typeof pid === 'number' && typeof born === 'string' ? { pid, born } : undefined;
  } catch {
    return undefined;
  }
}

async function lives(holder: Holder): Promise<boolean> {
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  // The number may have gone to another process since.
  return holder.born === (await bornAt(holder.pid));
}

/** Start time of a process in the system's own ticks; empty where the system does not say. */
async function bornAt(pid: number): Promise<string> {
  const line = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // Field 22; the name in field 2 may hold blanks and parentheses.
  return line.slice(line.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
