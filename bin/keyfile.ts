/** `hyperloom keyfile export|import|change-password`: the keyfile of a home that no node runs on (networking.md §13.3). */
import { open, readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { BackupError } from '../runtime-modules/backup/backup-error.ts';
import { HomeError, openHome } from '../runtime-modules/identity/home.ts';
import { changePassword, type Keyfile } from '../runtime-modules/identity/keyfile.ts';
import { decodeKeyfile, encodeKeyfile } from '../runtime-modules/identity/keyfile-format.ts';
import { asideName, readKeys, writeKeys } from '../runtime-modules/identity/keys-file.ts';
import { openStrong } from '../runtime-modules/identity/open-node.ts';
import { hashPassword } from '../runtime-modules/identity/password.ts';
import { keyfileBytes } from '../runtime-modules/identity/registration/bodies.ts';
import { InputError, password } from './secrets-input.ts';

/** As of the node itself (docs/operating.md). */
const EXIT = { usage: 2, homeInUse: 3, failed: 5 } as const;

const USAGE = `hyperloom keyfile export <home> <file>
hyperloom keyfile import <file> <home> [--password-file FILE]
hyperloom keyfile change-password <home> [--password-file FILE] [--new-password-file FILE]`;

/** `args` are those after its name. Sets the exit code. */
export async function runKeyfile(args: readonly string[]): Promise<void> {
  const parsed = parse(args);
  if (parsed === undefined) return fail(EXIT.usage, `it is one of\n${USAGE}`);
  const { command, paths, passwordFile, newPasswordFile } = parsed;
  try {
    switch (command) {
      case 'help':
        return say(USAGE);
      case 'export':
        return await exportKeyfile(paths[0]!, paths[1]!);
      case 'import':
        return await importKeyfile(paths[0]!, paths[1]!, passwordFile);
      case 'change-password':
        return await change(paths[0]!, passwordFile, newPasswordFile);
    }
  } catch (error) {
    if (!isExpected(error)) throw error;
    const inUse = error instanceof HomeError && error.code === 'in-use';
    return fail(inUse ? EXIT.homeInUse : EXIT.failed, error.message);
  }
}

/** As the pages save it: base64 text, still encrypted. An existing file is never replaced. */
async function exportKeyfile(home: string, file: string): Promise<void> {
  const keyfile = await keysOf(home);
  const out = await open(file, 'wx', 0o600).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
    throw new InputError(`${file} is there already, and is not replaced: name another file`);
  });
  try {
    await out.writeFile(Buffer.from(encodeKeyfile(keyfile)).toString('base64'));
    await out.sync();
  } finally {
    await out.close();
  }
  say(`${file}: the keyfile of ${keyfile.username}`);
}

async function importKeyfile(
  file: string,
  home: string,
  passwordFile: string | undefined,
): Promise<void> {
  const content = await readFile(file);
  // Base64 as it is exported, or the bytes of `.keys`.
  const decoded = decodeKeyfile(keyfileBytes(content.toString('latin1')) ?? content);
  if (!decoded.ok) throw new InputError(`${file} ${decoded.error}`);
  const secret = await password(passwordFile, { prompt: 'password', isNew: false });
  const { username } = decoded.value;
  const opened = await openStrong(decoded.value, await hashOf(secret, username));
  if (!opened.ok) throw new InputError(refusalText(opened.error, file));
  opened.value.secrets[Symbol.dispose]();
  await using taken = await openHome(home);
  await writeKeys(taken.path, opened.value.keyfile, asideName(new Date()));
  say(`${home} is the home of ${username} now. Start it: hyperloom ${home}`);
}

async function change(
  home: string,
  passwordFile: string | undefined,
  newPasswordFile: string | undefined,
): Promise<void> {
  await using taken = await openHome(home);
  const keyfile = await keysOf(taken.path);
  const from = await password(passwordFile, { prompt: 'password', isNew: false });
  const to = await password(newPasswordFile, { prompt: 'new password', isNew: true });
  const changed = await changePassword(keyfile, {
    from: await hashOf(from, keyfile.username),
    to: await hashOf(to, keyfile.username),
  });
  if (!changed.ok) throw new InputError(refusalText(changed.error, home));
  await writeKeys(taken.path, changed.value);
  say(`${keyfile.username} has a new password. Copies of its keyfile keep the old one.`);
}

async function keysOf(home: string): Promise<Keyfile> {
  const keyfile = await readKeys(home);
  if (!keyfile.ok) throw new InputError(keyfile.error);
  if (keyfile.value === undefined) throw new InputError(`${home} has no keyfile`);
  return keyfile.value;
}

function hashOf(secret: string, username: string): Promise<string> {
  if (username === '') throw new InputError('the keyfile is damaged: it names no node');
  return hashPassword(secret, username);
}

function refusalText(error: 'wrong-password' | 'damaged', where: string): string {
  return error === 'wrong-password'
    ? 'that is not the password'
    : `the keyfile of ${where} is damaged: not all of it decrypts`;
}

interface Parsed {
  readonly command: 'help' | 'export' | 'import' | 'change-password';
  readonly paths: readonly string[];
  readonly passwordFile: string | undefined;
  readonly newPasswordFile: string | undefined;
}

const PATHS = { export: 2, import: 2, 'change-password': 1 } as const;

function parse(args: readonly string[]): Parsed | undefined {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: {
        'password-file': { type: 'string' },
        'new-password-file': { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
      allowPositionals: true,
    });
    const files = {
      passwordFile: values['password-file'],
      newPasswordFile: values['new-password-file'],
    };
    if (values.help === true) return { command: 'help', paths: [], ...files };
    const [command, ...paths] = positionals;
    if (command !== 'export' && command !== 'import' && command !== 'change-password')
      return undefined;
    if (paths.length !== PATHS[command]) return undefined;
    return { command, paths: paths.map((path) => resolve(path)), ...files };
  } catch {
    return undefined;
  }
}

function isExpected(error: unknown): error is Error {
  return (
    error instanceof InputError ||
    error instanceof HomeError ||
    error instanceof BackupError ||
    (error instanceof Error && 'syscall' in error)
  );
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function fail(code: number, message: string): void {
  process.stderr.write(`hyperloom: ${message}\n`);
  process.exitCode = code;
}
