/** A full disk and a read-only one: typed errors, everything goes on, nothing is corrupt afterwards (issue: Durability). */
import { readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Bench, TestPort } from '../../runtime-modules/shared/testing.ts';
import { openLevelStore } from '../../runtime-modules/state/level-store.ts';
import { vfs } from '../../runtime-modules/vfs/index.ts';
import type { StoreChange } from '../../kernel/store.ts';
import { processId } from '../../wit/address.ts';
import { RunningNode } from '../support/running-node.ts';
import { SmallDisk, whyNoSmallDisk } from './small-disk.ts';

const why = whyNoSmallDisk();
const FULL = { Err: { IOError: 'No space left on device (os error 28)' } };
const READ_ONLY = { Err: { IOError: 'Read-only file system (os error 30)' } };
const A = processId('a:p:q');
const MIB = 1024 * 1024;

function put(text: string | Uint8Array): StoreChange[] {
  return [{ kind: 'put-state', id: A, bytes: Buffer.from(text as string) }];
}

interface Files extends AsyncDisposable {
  do(path: string, action: unknown, blob?: Uint8Array | string): Promise<unknown>;
  read(path: string): Promise<Uint8Array | undefined>;
}

function filesOf(home: string): Files {
  const port = new TestPort('vfs');
  const bench = new Bench(vfs({ root: join(home, 'vfs') })({ port }), port);
  const ask = (
    path: string,
    action: unknown,
    blob?: Uint8Array | string,
  ): ReturnType<typeof bench.ask> => bench.ask({ from: 'app:p:q', body: { path, action }, blob });
  return {
    do: async (path, action, blob) => (await ask(path, action, blob))?.body,
    [Symbol.asyncDispose]: () => bench.module[Symbol.asyncDispose](),
    read: async (path) => (await ask(path, 'Read'))?.blob?.bytes,
  };
}

describe.skipIf(why !== undefined)(
  `a disk that gives out${why === undefined ? '' : ` (${why})`}`,
  () => {
    test('M12 a full disk: writes fail by name and whole, reads go on, and room makes all well', async () => {
      await using disk = await SmallDisk.mount(8);
      await using files = filesOf(disk.home);
      await files.do('/p:q/d', 'CreateDrive');
      const old = Buffer.alloc(MIB, 1);
      expect(await files.do('/p:q/d/old', 'Write', old)).toBe('Ok');
      await files.do('/p:q/d/log', 'CreateFile');
      const kept: string[] = [];
      let answer: unknown = 'Ok';
      for (let n = 0; n < 20 && answer === 'Ok'; n += 1) {
        answer = await files.do(`/p:q/d/${n}`, 'Write', Buffer.alloc(MIB, n));
        if (answer === 'Ok') kept.push(String(n));
      }
      expect(answer).toEqual(FULL);
      expect(kept.length).toBeGreaterThan(3);
      // The file that did not fit is not there, nor a piece of it; the old one was not touched by what would replace it.
      expect((await readdir(join(disk.home, 'vfs', 'p:q', 'd'))).toSorted()).toEqual(
        [...kept, 'log', 'old'].toSorted(),
      );
      expect(await readdir(join(disk.home, 'vfs', '.partial'))).toEqual([]);
      expect(await files.do('/p:q/d/old', 'Write', Buffer.alloc(3 * MIB, 2))).toEqual(FULL);
      expect(await files.read('/p:q/d/old')).toEqual(new Uint8Array(old));
      expect(await files.do('/p:q/d/log', 'Append', Buffer.alloc(3 * MIB))).toEqual(FULL);
      expect(await files.do(`/p:q/d/0`, 'RemoveFile')).toBe('Ok');
      expect(await files.do('/p:q/d/1', 'RemoveFile')).toBe('Ok');
      expect(await files.do('/p:q/d/again', 'Write', 'x')).toBe('Ok');
      for (const name of kept.slice(2))
        expect(await files.read(`/p:q/d/${name}`)).toEqual(new Uint8Array(MIB).fill(Number(name)));
    });

    test('F19 a full disk: a commit that did not reach it is refused; with room again the store goes on, whole after a restart', async () => {
      await using disk = await SmallDisk.mount(8);
      const path = join(disk.home, 'kernel');
      const { store } = await openLevelStore(path);
      await store.commit(put('before'));
      const filler = join(disk.path, 'filler');
      await writeFile(filler, Buffer.alloc(16 * MIB)).catch(() => undefined);
      const states: string[] = [];
      for (let n = 0; n < 5; n += 1)
        states.push(
          await store.commit(put(Buffer.alloc(64 * 1024, n))).then(
            () => 'Ok',
            (error: { code: string }) => error.code,
          ),
        );
      expect(states).toContain('write-failed');
      await rm(filler);
      await store.commit(put('after'));
      expect(Buffer.from((await store.readState(A)) ?? []).toString()).toBe('after');
      await store[Symbol.asyncDispose]();
      const again = (await openLevelStore(path, { onDamage: 'refuse' })).store;
      expect(Buffer.from((await again.readState(A)) ?? []).toString()).toBe('after');
      await again[Symbol.asyncDispose]();
    });

    test('M12 a disk that becomes read-only: typed errors, reads go on, and writable again it takes writes again', async () => {
      await using disk = await SmallDisk.mount(8);
      await using files = filesOf(disk.home);
      const { store } = await openLevelStore(join(disk.home, 'kernel'));
      await files.do('/p:q/d', 'CreateDrive');
      await files.do('/p:q/d/f', 'Write', 'content');
      await store.commit(put('before'));
      await store[Symbol.asyncDispose]();
      disk.remount('ro');
      for (const action of [
        'Write',
        'CreateFile',
        'RemoveFile',
        { Rename: { new_path: '/p:q/d/g' } },
      ])
        expect(await files.do('/p:q/d/f', action, 'x')).toEqual(READ_ONLY);
      expect(await files.do('/p:q/d/dir', 'CreateDir')).toEqual(READ_ONLY);
      expect(Buffer.from((await files.read('/p:q/d/f')) ?? []).toString()).toBe('content');
      await expect(openLevelStore(join(disk.home, 'kernel'))).rejects.toMatchObject({
        code: 'unreadable',
      });
      disk.remount('rw');
      expect(await files.do('/p:q/d/f', 'Write', 'new')).toBe('Ok');
      const again = (await openLevelStore(join(disk.home, 'kernel'), { onDamage: 'refuse' })).store;
      expect(Buffer.from((await again.readState(A)) ?? []).toString()).toBe('before');
      await again[Symbol.asyncDispose]();
    });

    test('F19 a whole node on a disk that fills up stays up, and starts again with all it had', async () => {
      await using disk = await SmallDisk.mount(320);
      const filler = join(disk.path, 'filler');
      {
        await using node = await RunningNode.start(disk.home);
        await node.type('alias tt help:terminal:sys', /alias set/);
        for (const size of [MIB, 4096]) {
          for (let n = 0; ; n += 1) if (!(await grow(`${filler}-${size}`, n * size, size))) break;
        }
        await node.type('ps', /processes; runtime modules/);
        await node.type('alias uu help:terminal:sys', /./);
        await node.type('ps', /processes; runtime modules/);
        await node.end('SIGKILL');
      }
      for (const size of [MIB, 4096]) await rm(`${filler}-${size}`, { force: true });
      await using node = await RunningNode.start(disk.home);
      expect(node.output).not.toMatch(/damaged/);
      await node.type('tt', /ps/);
      await node.end('SIGTERM');
    });
  },
);

/** Writes that many bytes more; false when they do not fit. */
async function grow(path: string, at: number, bytes: number): Promise<boolean> {
  try {
    await writeFile(path, Buffer.alloc(bytes), { flag: 'a' });
    return true;
  } catch {
    await truncate(path, at).catch(() => undefined);
    return false;
  }
}

test.skipIf(why !== undefined)(
  'M12 a small disk takes no more than its size, and nothing once it is read-only',
  async () => {
    await using disk = await SmallDisk.mount(1);
    const file = join(disk.path, 'file');
    await expect(writeFile(file, Buffer.alloc(2 * MIB))).rejects.toMatchObject({ code: 'ENOSPC' });
    disk.remount('ro');
    await expect(writeFile(file, '')).rejects.toMatchObject({ code: 'EROFS' });
  },
);
