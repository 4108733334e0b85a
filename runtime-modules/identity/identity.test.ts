import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DEVELOPMENT_KEY_FILE, developmentIdentity, isDevelopmentName } from './development.ts';
import { openHome, wipeHome } from './home.ts';
import { openKeyfile } from './keyfile.ts';
import { decodeKeyfile } from './keyfile-format.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hyperloom-home-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('development identity', () => {
  test('the key is made once, kept, and readable by its owner only', async () => {
    const first = await developmentIdentity(folder, undefined);
    const second = await developmentIdentity(folder, undefined);
    expect(first.name).toBe('fake.os');
    expect(first.publicKeyHex).toMatch(/^[0-9a-f]{64}$/);
    expect(second.publicKeyHex).toBe(first.publicKeyHex);
    expect((await stat(join(folder, DEVELOPMENT_KEY_FILE))).mode & 0o777).toBe(0o600);
    const other = await mkdtemp(join(tmpdir(), 'hyperloom-home-'));
    expect((await developmentIdentity(other, undefined)).publicKeyHex).not.toBe(first.publicKeyHex);
    await rm(other, { recursive: true });
  });

  test('a home keeps its name, and refuses another', async () => {
    await developmentIdentity(folder, 'alice.dev');
    expect((await developmentIdentity(folder, undefined)).name).toBe('alice.dev');
    await expect(developmentIdentity(folder, 'bob.dev')).rejects.toMatchObject({
      code: 'other-name',
    });
  });

  test.each([
    'alice',
    'Alice.dev',
    'a..dev',
    '',
    'a b.dev',
    `${'a'.repeat(60)}.dev`,
    'our@x.y',
    '../x.y',
  ])('"%s" is no name', async (name) => {
    expect(isDevelopmentName(name)).toBe(false);
    await expect(developmentIdentity(folder, name)).rejects.toMatchObject({ code: 'invalid-name' });
  });

  test.each(['', '{', '{"name":"a.dev"}', '{"name":"a.dev","networking_key":"AAAA"}'])(
    'a damaged key file is named and left alone: %s',
    async (content) => {
      const path = join(folder, DEVELOPMENT_KEY_FILE);
      await writeFile(path, content);
      await expect(developmentIdentity(folder, undefined)).rejects.toMatchObject({
        code: 'damaged',
        message: expect.stringContaining(path) as string,
      });
      expect(await readFile(path, 'utf8')).toBe(content);
    },
  );
});

describe('the home folder', () => {
  test('F19 a second node is refused while the first lives, and welcome after it', async () => {
    const first = await openHome(folder);
    await expect(openHome(folder)).rejects.toMatchObject({
      code: 'in-use',
      message: expect.stringContaining(String(process.pid)) as string,
    });
    await first.release();
    await first.release();
    const second = await openHome(folder);
    await second.release();
  });

  test('F19 the lock of a node that died is taken over', async () => {
    const child = spawn(process.execPath, ['-e', '']);
    await once(child, 'exit');
    const lock = join(folder, '.lock');
    await mkdir(folder, { recursive: true });
    await writeFile(lock, JSON.stringify({ pid: child.pid, born: '1', id: 'x' }));
    const home = await openHome(folder);
    await home.release();
    expect(await readdir(folder)).not.toContain('.lock');
  });

  test('F19 a process that has the number of a dead node is not taken for it', async () => {
    await writeFile(
      join(folder, '.lock'),
      JSON.stringify({ pid: process.pid, born: '1', id: 'x' }),
    );
    const home = await openHome(folder);
    await home.release();
  });

  test('F19 a lock file cut short does not lock its owner out', async () => {
    await writeFile(join(folder, '.lock'), '{"pid":1');
    const home = await openHome(folder);
    await home.release();
  });

  test('F19 --fresh wipes a home, and only a home', async () => {
    const home = await openHome(folder);
    await writeFile(join(folder, 'x'), 'x');
    await expect(wipeHome(folder)).rejects.toMatchObject({ code: 'in-use' });
    await home.release();
    await wipeHome(folder);
    await expect(stat(folder)).rejects.toMatchObject({ code: 'ENOENT' });
    await wipeHome(folder);

    await mkdir(folder);
    await writeFile(join(folder, 'precious.txt'), 'mine');
    await expect(wipeHome(folder)).rejects.toMatchObject({ code: 'not-a-home' });
    expect(await readdir(folder)).toEqual(['precious.txt']);
  });

  test('F19 a folder with other things in it is not taken over', async () => {
    await writeFile(join(folder, 'precious.txt'), 'mine');
    await expect(openHome(folder)).rejects.toMatchObject({ code: 'not-a-home' });
  });

  test('F19 a home that cannot be made is a refusal that names it', async () => {
    const path = join(folder, 'file');
    await writeFile(path, '');
    await expect(openHome(join(path, 'home'))).rejects.toMatchObject({
      code: 'unusable',
      message: expect.stringContaining(path) as string,
    });
  });

  test('F19 a home of another layout is refused', async () => {
    await writeFile(join(folder, '.hyperloom'), '{"layout":2}');
    await expect(openHome(folder)).rejects.toMatchObject({ code: 'other-layout' });
  });
});

describe('what a development node logs in with', () => {
  test('M164 any password opens it, and its keyfile is a real one with the password of fake nodes', async () => {
    const identity = await developmentIdentity(folder, 'alice.dev');
    expect(identity.development).toBe(true);
    expect(await identity.unlock('0x00')).toBe(true);
    const bytes = await identity.encryptedKeyfile();
    const keyfile = decodeKeyfile(bytes);
    if (!keyfile.ok) throw new Error(keyfile.error);
    expect(keyfile.value.username).toBe('alice.dev');
    const opened = await openKeyfile(keyfile.value, 'secret');
    if (!opened.ok) throw new Error(opened.error);
    using secrets = opened.value;
    expect(secrets.networkingKey().equals(identity.networkingKey)).toBe(true);
    expect(secrets.sessionKey().reveal().equals(identity.sessionSecret.reveal())).toBe(true);
  });

  test('sessions and the keyfile survive a restart, and are of this node only', async () => {
    const first = await developmentIdentity(folder, 'alice.dev');
    const second = await developmentIdentity(folder, undefined);
    expect(second.sessionSecret.reveal().equals(first.sessionSecret.reveal())).toBe(true);
    expect(await second.encryptedKeyfile()).toEqual(await first.encryptedKeyfile());
    const other = await mkdtemp(join(tmpdir(), 'hyperloom-home-'));
    const stranger = await developmentIdentity(other, 'alice.dev');
    expect(stranger.sessionSecret.reveal().equals(first.sessionSecret.reveal())).toBe(false);
    await rm(other, { recursive: true });
  });
});
