/** Passwords and keys as commands get them: the first line of a file, or typed unseen. Never an argument, which `ps` shows. */
import { open } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { passwordFrom } from '../runtime-modules/backup/save.ts';

/** Largest file or input that is looked at for a key, in bytes. */
const KEY_BYTES_MAX = 4_096;
/** A file that others can read holds no secret. */
const OTHERS = 0o077;

/** What to tell whoever gave the command. */
export class InputError extends Error {
  override readonly name = 'InputError';
}

/** Of the file, or typed; a new one twice, because a slip would lock its owner out. */
export async function password(
  file: string | undefined,
  { prompt, isNew }: { readonly prompt: string; readonly isNew: boolean },
): Promise<string> {
  if (file !== undefined) return passwordFrom(file);
  if (!process.stdin.isTTY)
    throw new InputError(`there is nobody to ask for the ${prompt}; give it in a file`);
  const first = await ask(`${capitalized(prompt)}: `);
  if (first === '') throw new InputError(`the ${prompt} must not be empty`);
  if (isNew && (await ask('Once more: ')) !== first)
    throw new InputError('the two differ; nothing was done');
  return first;
}

/** A private key of secp256k1: of a file that only its owner can read, else of standard input (F31). */
export async function privateKey(file: string | undefined): Promise<string> {
  const text =
    file !== undefined
      ? await keyFile(file)
      : process.stdin.isTTY
        ? await ask('Private key of the wallet: ')
        : await allOf(process.stdin);
  const digits = text.trim().replace(/^0x/, '');
  if (!/^[0-9a-fA-F]{64}$/.test(digits))
    throw new InputError('the private key is not 32 bytes of hex');
  return `0x${digits}`;
}

async function keyFile(path: string): Promise<string> {
  await using file = await open(path);
  const { mode, size } = await file.stat();
  if ((mode & OTHERS) !== 0)
    throw new InputError(`others can read ${path}; make it yours alone first: chmod 600 ${path}`);
  if (size > KEY_BYTES_MAX) throw new InputError(`${path} is too large for a key`);
  return file.readFile('utf8');
}

async function allOf(input: AsyncIterable<Uint8Array>): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of input) {
    bytes += piece.length;
    if (bytes > KEY_BYTES_MAX) throw new InputError('standard input is too long for a key');
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

/** What is typed, unseen. */
export async function ask(prompt: string): Promise<string> {
  process.stderr.write(prompt);
  const mute = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: mute, terminal: true });
  try {
    return await lines.question('');
  } finally {
    lines.close();
    process.stderr.write('\n');
  }
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
