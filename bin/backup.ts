/** `hyperloom backup` and `hyperloom restore` (docs/operating.md): flags, password, and what is said about the outcome. */
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { BackupError } from '../runtime-modules/backup/backup-error.ts';
import { restoreHome } from '../runtime-modules/backup/restore.ts';
import { passwordFrom, saveHome } from '../runtime-modules/backup/save.ts';
import { HomeError, openHome } from '../runtime-modules/identity/home.ts';
import { openLevelStore } from '../runtime-modules/state/index.ts';
import { ask } from './secrets-input.ts';

/** As of the node itself (docs/operating.md). */
const EXIT = { usage: 2, homeInUse: 3, failed: 8 } as const;

const USAGE = [
  'hyperloom backup <home> <file> [--password-file FILE]',
  'hyperloom restore <file> <home> [--password-file FILE]',
].join('\n');

/** Runs one of the two; `args` start with its name. Sets the exit code. */
export async function runBackupCommand(args: readonly string[]): Promise<void> {
  const parsed = parse(args);
  if (parsed === undefined) return fail(EXIT.usage, `it is one of\n${USAGE}`);
  const { command, from, to, passwordFile } = parsed;
  try {
    if (command === 'backup') await backup(from, to, await password(passwordFile, true));
    else await restore(from, to, await password(passwordFile, false));
  } catch (error) {
    const inUse = error instanceof HomeError && error.code === 'in-use';
    const expected = error instanceof BackupError || error instanceof HomeError || isHost(error);
    const text = error instanceof Error ? error.message : String(error);
    if (!expected) throw error;
    fail(inUse ? EXIT.homeInUse : EXIT.failed, text);
  }
}

async function backup(home: string, file: string, secret: string): Promise<void> {
  const saved = await saveHome(home, file, secret);
  for (const path of saved.leftOut) say(`left out: ${path} is no file, folder or link`);
  const how = saved.running ? 'while its node ran' : 'its node was not running';
  say(`${file}: ${saved.entries} files and folders, ${saved.bytes} bytes (${how})`);
}

async function restore(file: string, home: string, secret: string): Promise<void> {
  const total = await restoreHome(file, home, secret, async (unpacked) => {
    // Takes and gives back the lock, which says whether the layout is one this version reads.
    await (await openHome(unpacked)).release();
    const { store } = await openLevelStore(join(unpacked, 'kernel'), { onDamage: 'refuse' });
    await store.load();
    await store[Symbol.asyncDispose]();
  });
  say(`${home}: ${total.entries} files and folders, ${total.bytes} bytes`);
}

interface Parsed {
  readonly command: 'backup' | 'restore';
  readonly from: string;
  readonly to: string;
  readonly passwordFile: string | undefined;
}

function parse(args: readonly string[]): Parsed | undefined {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { 'password-file': { type: 'string' } },
      allowPositionals: true,
    });
    const [command, from, to, ...extra] = positionals;
    if (command !== 'backup' && command !== 'restore') return undefined;
    if (from === undefined || to === undefined || extra.length > 0) return undefined;
    const passwordFile = values['password-file'];
    return { command, from: resolve(from), to: resolve(to), passwordFile };
  } catch {
    return undefined;
  }
}

/** Of the file, or typed; a new one twice, because a slip would make the backup useless. */
async function password(file: string | undefined, isNew: boolean): Promise<string> {
  if (file !== undefined) return passwordFrom(file);
  if (!process.stdin.isTTY)
    throw new BackupError(
      'no-password',
      'there is nobody to ask for the password; give it in a file with --password-file',
    );
  const first = await ask('Password of the backup: ');
  if (first === '') throw new BackupError('no-password', 'the password must not be empty');
  if (isNew && (await ask('Once more: ')) !== first)
    throw new BackupError('no-password', 'the two passwords differ; nothing was done');
  return first;
}

/** Failures of the host's files, which name the path themselves. */
function isHost(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function fail(code: number, message: string): void {
  process.stderr.write(`hyperloom: ${message}\n`);
  process.exitCode = code;
}
