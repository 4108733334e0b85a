/** WASI preview 1 of jobs: numbers that a hostile module may pass, and what real libraries ask for. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, it, type TestContext } from 'vitest';
import { preview1Type } from '../../../../kernel/hart/wasi/preview1.ts';
import { Trap } from '../../../../kernel/process-host.ts';
import { BuildError } from '../../../../kit/build/build-error.ts';
import { buildJob } from '../../../../kit/build/job.ts';
import { missing } from '../../../../test/support/tools.ts';
import { tryRun } from '../testing.ts';
import { JobFiles } from './files.ts';
import { preview1 } from './preview1.ts';
import { wasmRunner } from './runner.ts';
import { JobSystem } from './system.ts';

const root = mkdtempSync(join(tmpdir(), 'hl-preview1-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const NAMES = [
  ...[
    'args_get',
    'args_sizes_get',
    'environ_get',
    'environ_sizes_get',
    'clock_res_get',
    'clock_time_get',
  ],
  ...[
    'fd_advise',
    'fd_allocate',
    'fd_close',
    'fd_datasync',
    'fd_fdstat_get',
    'fd_fdstat_set_flags',
  ],
  ...[
    'fd_fdstat_set_rights',
    'fd_filestat_get',
    'fd_filestat_set_size',
    'fd_filestat_set_times',
    'fd_pread',
  ],
  ...[
    'fd_prestat_get',
    'fd_prestat_dir_name',
    'fd_pwrite',
    'fd_read',
    'fd_readdir',
    'fd_renumber',
    'fd_seek',
  ],
  ...[
    'fd_sync',
    'fd_tell',
    'fd_write',
    'path_create_directory',
    'path_filestat_get',
    'path_filestat_set_times',
  ],
  ...[
    'path_link',
    'path_open',
    'path_readlink',
    'path_remove_directory',
    'path_rename',
    'path_symlink',
  ],
  ...['path_unlink_file', 'poll_oneoff', 'proc_exit', 'proc_raise', 'sched_yield', 'random_get'],
  ...['sock_accept', 'sock_recv', 'sock_send', 'sock_shutdown'],
];

it('whatever numbers are passed, the answer is an errno or the end of the guest, and the host is as it was', () => {
  const word = fc.oneof(
    fc.nat(8),
    fc.constantFrom(-1, 64, 1_000, 65_528, 65_535, 65_536, 0x7fff_ffff, -0x8000_0000),
    fc.integer(),
  );
  const long = fc
    .oneof(word, fc.constantFrom(2 ** 53, -(2 ** 62), 2 ** 63))
    .map((one) => BigInt.asIntN(64, BigInt(one)));
  const call = fc.constantFrom(...NAMES).chain((name) =>
    fc.record({
      name: fc.constant(name),
      args: fc.tuple(...preview1Type(name)!.params.map((type) => (type === 'i64' ? long : word))),
    }),
  );
  let run = 0;
  fc.assert(
    fc.property(
      fc.array(call, { maxLength: 40 }),
      fc.uint8Array({ minLength: 128, maxLength: 128 }),
      (calls, bytes) => {
        const host = join(root, `${run++}`);
        for (const folder of ['in', 'out']) mkdirSync(join(host, folder), { recursive: true });
        writeFileSync(join(host, 'in/a'), 'input');
        const system = new JobSystem(
          { args: ['job', 'x'], env: [['A', 'b']], seed: '1', log: () => undefined },
          (exceeded) =>
            new JobFiles({
              ...{
                inputs: join(host, 'in'),
                outputs: join(host, 'out'),
                files: [{ path: 'a', size: 5 }],
              },
              ...{ bytesMax: 10_000, entriesMax: 20, exceeded },
            }),
        );
        const memory = new WebAssembly.Memory({ initial: 1 });
        // Paths, iovecs and subscriptions out of these; the letters make some of the paths good ones.
        new Uint8Array(memory.buffer).set([...bytes, ...Buffer.from('aa/..b')], 0);
        const find = preview1(system);
        for (const { name, args } of calls) {
          try {
            const result = find(name)!([memory, ...args]);
            expect(result === undefined || typeof result === 'number').toBe(true);
          } catch (error) {
            expect(error).toBeInstanceOf(Trap);
            expect(system.fault?.code ?? 'exit').toMatch(/^(OUTPUT_LIMIT|exit)$/);
            break;
          }
        }
        system.files[Symbol.dispose]();
        expect(readdirSync(host).toSorted()).toEqual(['in', 'out']);
        expect(readdirSync(join(host, 'in'))).toEqual(['a']);
        rmSync(host, { recursive: true });
      },
    ),
    { numRuns: 250 },
  );
});

const PROGRAM = `
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#define CHECK(what) if (!(what)) { printf("line %d: errno %d\\n", __LINE__, errno); return 1; }
int main(int argc, char **argv) {
  char text[64] = {0};
  struct stat st;
  CHECK(argc == 2 && strcmp(argv[1], "two words") == 0)
  CHECK(strcmp(getenv("MINE"), "value") == 0 && getenv("PATH") == NULL)
  FILE *in = fopen("/job/in/deep/a.txt", "r");
  CHECK(in && fread(text, 1, 63, in) == 5 && strcmp(text, "input") == 0)
  CHECK(fseek(in, -2, SEEK_END) == 0 && fgetc(in) == 'u' && ftell(in) == 4 && fclose(in) == 0)
  CHECK(mkdir("/job/out/d", 0700) == 0 && mkdir("/job/out/d", 0700) == -1 && errno == EEXIST)
  FILE *out = fopen("/job/out/d/b", "w+");
  CHECK(out && fprintf(out, "%d", 42) == 2 && fflush(out) == 0)
  CHECK(fseek(out, 0, SEEK_SET) == 0 && fgetc(out) == '4' && fclose(out) == 0)
  out = fopen("/job/out/d/b", "a");
  CHECK(out && fputs("!", out) >= 0 && fclose(out) == 0)
  CHECK(stat("/job/out/d/b", &st) == 0 && st.st_size == 3 && S_ISREG(st.st_mode))
  CHECK(truncate("/job/out/d/b", 2) == 0 && stat("/job/out/d/b", &st) == 0 && st.st_size == 2)
  CHECK(rename("/job/out/d/b", "/job/out/c") == 0 && access("/job/out/d/b", F_OK) == -1 && errno == ENOENT)
  CHECK(rmdir("/job/out/d") == 0 && rmdir("/job/out/c") == -1 && errno == ENOTDIR)
  CHECK(fopen("/job/in/deep/a.txt", "w") == NULL && errno == EROFS)
  CHECK(fopen("/etc/passwd", "r") == NULL && fopen("/job/out/../../etc/passwd", "r") == NULL)
  CHECK(symlink("/etc/passwd", "/job/out/link") == -1 && link("/job/in/deep/a.txt", "/job/out/link") == -1)
  DIR *folder = opendir("/job/out");
  CHECK(folder)
  for (struct dirent *entry; (entry = readdir(folder));) printf("%s ", entry->d_name);
  CHECK(closedir(folder) == 0)
  CHECK(time(NULL) == 0 && sleep(100) == 0 && time(NULL) == 100)
  CHECK(fgetc(stdin) == EOF)
  puts("done");
  return 0;
}
`;

it(
  'the C library of WASI finds all that it asks for',
  { timeout: 120_000 },
  async (context: TestContext) => {
    const source = join(root, 'program.c');
    writeFileSync(source, PROGRAM);
    const built = await buildJob(source).catch((error: unknown) => {
      if (error instanceof BuildError && error.code === 'toolchain-missing')
        missing(context, 'clang', 'there is no clang for wasm32');
      throw error;
    });
    await using runner = wasmRunner({ harts: 1 });
    const { end, stdout, stderr, files } = await tryRun(runner, {
      spec: { kind: 'wasm', entry: { cmd: ['program', 'two words'], env: { MINE: 'value' } } },
      inputs: { 'deep/a.txt': 'input' },
      module: built.module,
    });
    expect([stdout, stderr, end.fault]).toEqual(['. .. c done\n', '', undefined]);
    expect(files).toEqual({ c: '42' });
  },
);
