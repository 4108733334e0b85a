import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { connect } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { packageId } from '../../wit/address.ts';
import type { PackageId } from '../../wit/types.ts';
import type { BackupParticipant } from '../shared/backup.ts';
import { openHome, type Home } from '../identity/home.ts';
import { ArchiveWriter } from './archive.ts';
import { CONTROL, serveControl } from './control.ts';
import { restoreHome } from './restore.ts';
import { passwordFrom, saveHome } from './save.ts';
import { SealedWriter } from './sealed.ts';
import { Staging } from './staging.ts';
import { open } from 'node:fs/promises';

const LONG = 'x'.repeat(200_000);
const CHEAP = { keyCostLog2: 10, chunkLog2: 12 };
let folder: string;
let home: string;
let file: string;
let again: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'backup-'));
  [home, file, again] = ['home', 'b.hyperloom', 'again'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  await (await openHome(home)).release();
  await mkdir(join(home, 'vfs', 'a:b', 'd', 'empty'), { recursive: true });
  await writeFile(join(home, 'vfs', 'a:b', 'd', 'large'), Buffer.alloc(3_000_001, 7));
  await writeFile(join(home, 'vfs', 'a:b', 'd', 'ünï ☃'), '');
  await symlink('large', join(home, 'vfs', 'a:b', 'd', 'link'));
  await writeFile(join(home, '.development-key'), 'key', { mode: 0o600 });
  await mkdir(join(home, 'kernel'));
  await writeFile(join(home, 'kernel', 'CURRENT'), 'x');
  await mkdir(join(home, 'cache'));
  await writeFile(join(home, 'cache', 'image'), 'made again');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const save = (): ReturnType<typeof saveHome> => saveHome(home, file, 'pw', CHEAP);
const restore = (password = 'pw'): ReturnType<typeof restoreHome> =>
  restoreHome(file, again, password);
/** Everything but what a restore left in the parent. */
const names = async (): Promise<string[]> => (await readdir(folder)).toSorted();

describe('a home whose node does not run', () => {
  test('F19 comes back with files, folders, links and modes; caches and locks stay behind', async () => {
    await chmod(join(home, 'vfs', 'a:b', 'd', 'large'), 0o640);
    const saved = await save();
    expect(saved).toMatchObject({ running: false, leftOut: [] });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await readFile(file)).includes('development')).toBe(false);
    expect(await restore()).toEqual({ entries: saved.entries, bytes: saved.bytes });
    const drive = join(again, 'vfs', 'a:b', 'd');
    expect(await readFile(join(drive, 'large'))).toEqual(Buffer.alloc(3_000_001, 7));
    expect((await stat(join(drive, 'large'))).mode & 0o777).toBe(0o640);
    expect((await stat(join(again, '.development-key'))).mode & 0o777).toBe(0o600);
    expect(await readlink(join(drive, 'link'))).toBe('large');
    expect((await readdir(drive)).toSorted()).toEqual(['empty', 'large', 'link', 'ünï ☃']);
    expect((await readdir(again)).toSorted()).toEqual([
      '.development-key',
      '.hyperloom',
      'kernel',
      'vfs',
    ]);
    expect(await names()).toEqual(['again', 'b.hyperloom', 'home']);
  });

  test('F19 is given back unlocked, and a file that exists is never replaced', async () => {
    await save();
    await expect(save()).rejects.toMatchObject({ code: 'exists' });
    await (await openHome(home)).release();
    await expect(saveHome(home, join(home, 'x'), 'pw', CHEAP)).rejects.toMatchObject({
      code: 'exists',
    });
    await expect(saveHome(folder, join(folder, 'x'), 'pw', CHEAP)).rejects.toMatchObject({
      code: 'not-a-home',
    });
    expect(await names()).toEqual(['b.hyperloom', 'home']);
  });

  test('F19 a failure leaves no half of a backup', async () => {
    await rm(file, { force: true });
    const none = join(folder, 'no', 'such', 'folder');
    await expect(saveHome(home, none, 'pw', CHEAP)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await names()).toEqual(['home']);
  });
});

describe('restoring', () => {
  test('F19 refuses a folder with anything in it, a wrong password, and a damaged file, and leaves nothing behind', async () => {
    await save();
    await mkdir(again);
    await writeFile(join(again, 'mine'), '');
    await expect(restore()).rejects.toMatchObject({ code: 'not-empty' });
    await rm(join(again, 'mine'));
    await expect(restore('other')).rejects.toMatchObject({ code: 'wrong-password' });
    const whole = await readFile(file);
    await writeFile(file, whole.subarray(0, -1));
    await expect(restore()).rejects.toMatchObject({ code: 'damaged' });
    expect(await readdir(again)).toEqual([]);
    expect(await names()).toEqual(['again', 'b.hyperloom', 'home']);
    await writeFile(file, whole);
    await restore();
    expect(await readdir(again)).toContain('.hyperloom');
  });

  test('F19 what the check refuses is not moved into place', async () => {
    await save();
    const check = (): Promise<void> => Promise.reject(new Error('no'));
    await expect(restoreHome(file, again, 'pw', check)).rejects.toThrow('no');
    expect(await names()).toEqual(['b.hyperloom', 'home']);
  });

  test.each(['../out', '/etc/x', 'a/../../x', 'a//b', '.', '', 'a\0b'])(
    'F19 a path that would lead out of the home is refused: %j',
    async (path) => {
      {
        await using handle = await open(file, 'w');
        const sealed = await SealedWriter.start(handle, 'pw', CHEAP);
        const writer = new ArchiveWriter(sealed);
        await writer.add({ kind: 'file', path, mode: 0o600 }, Buffers('evil'));
        await writer.finish();
        await sealed.finish();
      }
      await expect(restore()).rejects.toMatchObject({ code: 'damaged' });
      expect(await names()).toEqual(['b.hyperloom', 'home']);
    },
  );

  test('F19 nothing is written through a link that the backup itself holds', async () => {
    {
      await using handle = await open(file, 'w');
      const sealed = await SealedWriter.start(handle, 'pw', CHEAP);
      const writer = new ArchiveWriter(sealed);
      await writer.add({ kind: 'file', path: '.hyperloom', mode: 0o600 }, Buffers('{}'));
      await writer.add({ kind: 'link', path: 'way', target: folder });
      await writer.add({ kind: 'file', path: 'way/out', mode: 0o600 }, Buffers('evil'));
      await writer.finish();
      await sealed.finish();
    }
    await expect(restore()).rejects.toThrow();
    expect(await names()).toEqual(['b.hyperloom', 'home']);
  });
});

async function* Buffers(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

/** A module that keeps one number in a file of each package. */
class Counter implements BackupParticipant {
  readonly folder = 'vfs';
  readonly held: string[] = [];
  packages(): Promise<readonly PackageId[]> {
    return Promise.resolve([packageId('a:b'), packageId('c:d')]);
  }
  async hold<T>(of: PackageId, work: () => Promise<T>): Promise<T> {
    this.held.push(`hold ${of}`);
    const result = await work();
    this.held.push(`go ${of}`);
    return result;
  }
  async copy(of: PackageId, into: string): Promise<void> {
    this.held.push(`copy ${of}`);
    await mkdir(join(into, 'd'));
    await writeFile(join(into, 'd', 'n'), of);
  }
}

describe('a home whose node runs', () => {
  let owned: Home;
  let control: AsyncDisposable | undefined;
  let counter: Counter;
  beforeEach(async () => {
    owned = await openHome(home);
    counter = new Counter();
    const copyKernel = async (into: string): Promise<void> => {
      await mkdir(into);
      await writeFile(join(into, 'CURRENT'), 'copied');
    };
    control = await serveControl(home, new Staging({ home, copyKernel, participants: [counter] }));
  });
  afterEach(async () => {
    await control?.[Symbol.asyncDispose]();
    await owned.release();
  });

  test('F19 is copied by the node, package by package, each held while it is copied', async () => {
    expect((await save()).running).toBe(true);
    expect(counter.held).toEqual([
      'hold a:b',
      'copy a:b',
      'go a:b',
      'hold c:d',
      'copy c:d',
      'go c:d',
    ]);
    await restore();
    expect(await readFile(join(again, 'kernel', 'CURRENT'), 'utf8')).toBe('copied');
    expect(await readFile(join(again, 'vfs', 'a:b', 'd', 'n'), 'utf8')).toBe('a:b');
    expect(await readFile(join(again, '.development-key'), 'utf8')).toBe('key');
    expect((await readdir(again)).toSorted()).toEqual([
      '.development-key',
      '.hyperloom',
      'kernel',
      'vfs',
    ]);
    expect(await readdir(home)).not.toContain('.backup');
  });

  test('F19 only the owner of the home reaches the socket, and it goes with the node', async () => {
    expect((await lstat(join(home, CONTROL))).mode & 0o777).toBe(0o600);
    await control?.[Symbol.asyncDispose]();
    expect(await readdir(home)).not.toContain(CONTROL);
    await expect(save()).rejects.toMatchObject({ code: 'unreachable' });
    expect(await names()).toEqual(['home']);
  });

  test.each([
    'nonsense\n',
    '{"command":"x"}\n',
    '[]\n',
    'null\n',
    '{"command":"backup"}\nnonsense\n',
    LONG,
  ])('F19 nonsense on the socket ends that connection only: %.40s', async (text) => {
    const socket = connect(join(home, CONTROL));
    socket.on('error', () => undefined);
    socket.resume();
    socket.write(text);
    await new Promise((resolve) => socket.once('close', resolve));
    expect((await save()).running).toBe(true);
    expect(await readdir(home)).not.toContain('.backup');
  });

  test('F19 what fails in the node is said by name, leaves nothing behind, and the next backup goes well', async () => {
    counter.copy = () => Promise.reject(new Error('ENOSPC: no space left on device'));
    await expect(save()).rejects.toMatchObject({
      code: 'node',
      message: expect.stringContaining('no space left') as string,
    });
    expect(await names()).toEqual(['home']);
    expect(await readdir(home)).not.toContain('.backup');
    // Back to the one of its class.
    Reflect.deleteProperty(counter, 'copy');
    await save();
  });

  test('F19 two backups at once: the second is refused by name', async () => {
    const first = connect(join(home, CONTROL));
    first.write('{"command":"backup"}\n{"next":true}\n');
    await once(first, 'data');
    await expect(save()).rejects.toMatchObject({ code: 'node' });
    first.destroy();
    await expect.poll(async () => (await readdir(home)).includes('.backup')).toBe(false);
    await save();
  });

  test('F19 a home with a path too long for a socket has one all the same', async () => {
    const deep = join(folder, 'x'.repeat(150));
    const long = await openHome(deep);
    const copyKernel = (into: string): Promise<unknown> => mkdir(into);
    const its = await serveControl(
      deep,
      new Staging({
        home: deep,
        copyKernel: async (into) => void (await copyKernel(into)),
        participants: [],
      }),
    );
    expect((await saveHome(deep, file, 'pw', CHEAP)).running).toBe(true);
    await its?.[Symbol.asyncDispose]();
    await long.release();
  });
});

test('the password is the first line of its file', async () => {
  const path = join(folder, 'pw');
  await writeFile(path, 'se cret\r\nmore\n');
  expect(await passwordFrom(path)).toBe('se cret');
  await writeFile(path, '\n');
  await expect(passwordFrom(path)).rejects.toMatchObject({ code: 'no-password' });
  await expect(passwordFrom(join(folder, 'none'))).rejects.toMatchObject({ code: 'no-password' });
});
