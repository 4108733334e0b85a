/** Real identities in real processes: registered at the command line, moved as keyfiles, opened by a password. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { chmod, mkdtemp, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { hyperAccount9CharCommitMinterCode } from '../../contracts/abi/hyper-account9-char-commit-minter.ts';
import { NINE_CHAR_COMMIT_MINTER } from '../../contracts/addresses.ts';
import { startChain, type Chain } from '../../contracts/chain/chain.ts';
import { COMMIT_AGE_S_MAX, withImmutables } from '../../contracts/chain/genesis.ts';
import { personas } from '../../contracts/chain/personas.ts';
import { sealKeyfile } from '../../runtime-modules/identity/keyfile.ts';
import { decodeKeyfile, encodeKeyfile } from '../../runtime-modules/identity/keyfile-format.ts';
import { hashPassword } from '../../runtime-modules/identity/password.ts';
import { RunningNode } from '../support/running-node.ts';
import { removeHome } from '../support/remove-home.ts';

const PASSWORD = 'correct horse battery';

let chain: Chain;
let folder: string;
let home: string;
let keyFile: string;
let passwordFile: string;

beforeAll(async () => {
  chain = await startChain({ profile: 'main' });
});
afterAll(() => chain.close());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'identity-'));
  home = join(folder, 'home');
  keyFile = await file('key', personas.alice.privateKey);
  passwordFile = await file('password', `${PASSWORD}\n`);
});
afterEach(() => removeHome(folder));

async function file(name: string, content: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content, { mode: 0o600 });
  return path;
}

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

async function hyperloom(args: readonly string[], input = ''): Promise<Ended> {
  await using node = RunningNode.spawn(args);
  node.child.stdin?.end(input);
  const { code } = await node.exited;
  return { code, output: node.output };
}

function register(name: string, ...more: string[]): Promise<Ended> {
  const at = ['--fakechain-port', String(chain.port)];
  return hyperloom(['register', home, '--name', name, ...at, ...more]);
}

const started = (...more: string[]): RunningNode =>
  RunningNode.spawn([home, '--port', '0', '--fakechain-port', String(chain.port), ...more]);

describe('hyperloom register', () => {
  test('F31 a name is registered, and its node starts with the password', async () => {
    const { code, output } = await register(
      'register-one.dev',
      '--key-file',
      keyFile,
      '--password-file',
      passwordFile,
    );
    expect([code, output]).toEqual([0, expect.stringContaining('register-one.dev is registered')]);
    expect((await stat(join(home, '.keys'))).mode & 0o777).toBe(0o600);
    await using node = started('--password-file', passwordFile);
    await node.until(/register-one\.dev is up after /);
    await node.end('SIGTERM');
    await using wrong = started('--password', 'wrong');
    expect((await wrong.exited).code).toBe(5);
    expect(wrong.output).toContain('that is not the password of register-one.dev');
  });

  test('F31 the key comes from a file that is its owner’s alone, or from standard input; never from an argument', async () => {
    await chmod(keyFile, 0o644);
    const shared = await register(
      'two.dev',
      '--key-file',
      keyFile,
      '--password-file',
      passwordFile,
    );
    expect([shared.code, shared.output]).toEqual([5, expect.stringContaining('chmod 600')]);
    const at = ['--fakechain-port', String(chain.port), '--password-file', passwordFile];
    const piped = await hyperloom(
      ['register', home, '--name', 'two.dev', '--direct', '--ip', '127.0.0.1', ...at],
      `${personas.bob.privateKey}\n`,
    );
    expect([piped.code, piped.output]).toEqual([
      0,
      expect.stringContaining('two.dev is registered'),
    ]);
    expect(piped.output).not.toContain(personas.bob.privateKey.slice(2));
    const argued = await hyperloom(['register', home, '--name', 'a.dev', '--key', '0x12']);
    expect(argued.code).toBe(2);
  });

  test('F31 a name of somebody else, a home that has an identity, and keys that are reset', async () => {
    const key = ['--key-file', keyFile, '--password-file', passwordFile];
    expect((await register('three.dev', ...key)).code).toBe(0);
    const again = await register('three-b.dev', ...key);
    expect([again.code, again.output]).toEqual([5, expect.stringContaining('--reset')]);
    const old = await readFile(join(home, '.keys'));
    expect((await register('three.dev', '--reset', ...key)).code).toBe(0);
    expect(await readFile(join(home, '.keys'))).not.toEqual(old);
    const kept = (await readdir(home)).find((name) => name.startsWith('.keys.replaced-'));
    expect(await readFile(join(home, kept!))).toEqual(old);
    // The old keys are nobody's now.
    await writeFile(join(home, '.keys'), old);
    await using node = started('--password-file', passwordFile);
    expect((await node.exited).code).toBe(5);
    expect(node.output).toContain('Its keys were reset since');
    home = join(folder, 'other');
    await writeFile(keyFile, personas.carol.privateKey);
    const taken = await register('three.dev', ...key);
    expect([taken.code, taken.output]).toEqual([
      5,
      expect.stringContaining(`three.dev belongs to ${personas.alice.address}`),
    ]);
    expect(await readdir(home)).toEqual(['.hyperloom']);
  });
});

describe('a name that needs a commitment', () => {
  beforeAll(async () => {
    // Commitments that are of age at once: what is left to wait is our own margin.
    const code = withImmutables(hyperAccount9CharCommitMinterCode, {
      __self: BigInt(NINE_CHAR_COMMIT_MINTER),
      minCommitAge: 0n,
      maxCommitAge: BigInt(COMMIT_AGE_S_MAX),
    });
    await chain.rpc.request('anvil_setCode', NINE_CHAR_COMMIT_MINTER, code);
  });

  test('F31 it is reserved, then registered, through routers of choice', async () => {
    const { code, output } = await register(
      'command-line.os',
      '--routers',
      'one-router.os,two-router.os',
      '--key-file',
      keyFile,
      '--password-file',
      passwordFile,
    );
    expect([code, output]).toEqual([0, expect.stringContaining('command-line.os is registered')]);
    expect(output).toMatch(/reserving the name[^]*waiting \d s[^]*registering the name/);
    const keyfile = decodeKeyfile(await readFile(join(home, '.keys')));
    expect(keyfile.ok && keyfile.value.routers).toEqual(['one-router.os', 'two-router.os']);
    home = join(folder, 'other');
    const short = await register(
      'short.os',
      '--key-file',
      keyFile,
      '--password-file',
      passwordFile,
    );
    expect([short.code, short.output]).toEqual([
      5,
      expect.stringContaining('at least 9 characters'),
    ]);
  });
});

const PARTS = {
  seed: randomBytes(32),
  sessionSecret: randomBytes(32),
  fileKey: randomBytes(32),
};

async function keyfileBytes(): Promise<Uint8Array> {
  const hash = await hashPassword(PASSWORD, 'alice.dev');
  const owner = { username: 'alice.dev', routers: ['r1.os'] };
  return encodeKeyfile(await sealKeyfile(owner, PARTS, hash));
}

describe('hyperloom keyfile', () => {
  test('N43 out of one home, into another, and under another password', async () => {
    const bytes = await keyfileBytes();
    const raw = join(folder, 'raw');
    await writeFile(raw, bytes);
    const at = ['--password-file', passwordFile];
    expect((await hyperloom(['keyfile', 'import', raw, home, ...at])).code).toBe(0);
    const out = join(folder, 'alice.keyfile');
    expect((await hyperloom(['keyfile', 'export', home, out])).code).toBe(0);
    expect(Buffer.from(await readFile(out, 'utf8'), 'base64')).toEqual(Buffer.from(bytes));
    expect((await stat(out)).mode & 0o777).toBe(0o600);
    // Never over a file that is there.
    expect((await hyperloom(['keyfile', 'export', home, out])).code).toBe(5);
    const other = join(folder, 'second');
    expect((await hyperloom(['keyfile', 'import', out, other, ...at])).code).toBe(0);
    const fresh = await file('new', 'quite another');
    const changed = ['keyfile', 'change-password', other, ...at, '--new-password-file', fresh];
    expect((await hyperloom(changed)).code).toBe(0);
    const twice = await hyperloom(changed);
    expect([twice.code, twice.output]).toEqual([5, expect.stringContaining('not the password')]);
    const keyfile = decodeKeyfile(await readFile(join(other, '.keys')));
    expect(keyfile.ok && keyfile.value.username).toBe('alice.dev');
    const cut = await file('cut', (await readFile(out, 'utf8')).slice(0, 400));
    expect((await hyperloom(['keyfile', 'import', cut, join(folder, 'third'), ...at])).code).toBe(
      5,
    );
  });
});

describe('a node without its chain', () => {
  test('F33 it starts, and no heap snapshot of it holds its seed or its file key', async () => {
    const raw = join(folder, 'raw');
    await writeFile(raw, await keyfileBytes());
    const at = ['--password-file', passwordFile];
    expect((await hyperloom(['keyfile', 'import', raw, home, ...at])).code).toBe(0);
    const before = process.env['NODE_OPTIONS'];
    process.env['NODE_OPTIONS'] =
      `${before ?? ''} --heapsnapshot-signal=SIGUSR1 --diagnostic-dir=${folder}`;
    // A port where nothing is.
    await using node = RunningNode.spawn([home, '--port', '0', '--fakechain-port', '9', ...at]);
    process.env['NODE_OPTIONS'] = before;
    await node.until(/Starting with what the keyfile says/);
    await node.until(/alice\.dev is up after /);
    node.child.kill('SIGUSR1');
    const snapshot = await snapshotIn(folder);
    const found = await findIn(snapshot, {
      control: 'alice.dev',
      ...spellings('seed', PARTS.seed),
      ...spellings('file key', PARTS.fileKey),
      ...spellings('session secret', PARTS.sessionSecret),
    });
    expect(found).toEqual(['control']);
    expect((await node.end('SIGTERM')).code).toBe(0);
  });
});

/** As text it would be one of these, whole or in part. */
function spellings(what: string, bytes: Uint8Array): Record<string, string> {
  const buffer = Buffer.from(bytes);
  return {
    [`${what}, hex`]: buffer.toString('hex').slice(2, -2),
    [`${what}, base64`]: buffer.toString('base64').slice(0, 40).replaceAll('/', '\\/'),
    [`${what}, base64 unescaped`]: buffer.toString('base64').slice(0, 40),
    [`${what}, base64url`]: buffer.toString('base64url').slice(0, 40),
    [`${what}, numbers`]: [...buffer].join(','),
  };
}

/** Waits until it is whole: it ends as JSON does. */
async function snapshotIn(where: string): Promise<string> {
  for (let tries = 0; tries < 600; tries++) {
    const name = (await readdir(where)).find((each) => each.endsWith('.heapsnapshot'));
    if (name !== undefined) {
      const path = join(where, name);
      const { size } = await stat(path);
      if (size > 0) {
        const tail = createReadStream(path, { start: Math.max(0, size - 8), encoding: 'utf8' });
        const end = (await tail.toArray()).join('');
        if (end.trimEnd().endsWith(']}')) return path;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('there is no heap snapshot');
}

async function findIn(path: string, wanted: Readonly<Record<string, string>>): Promise<string[]> {
  const found = new Set<string>();
  let carried = '';
  const stream = createReadStream(path, { encoding: 'latin1', highWaterMark: 1 << 20 });
  stream.on('data', (piece) => {
    const text = carried + String(piece);
    for (const [name, spelling] of Object.entries(wanted))
      if (text.includes(spelling)) found.add(name);
    carried = text.slice(-256);
  });
  await once(stream, 'end');
  return [...found];
}
