/** The types of WASI preview 1, which core modules import by themselves: what a program's imports are compared with. */
import type { CoreType } from '../abi/types.ts';

/** The import module of preview 1. */
export const PREVIEW1 = 'wasi_snapshot_preview1';

const TYPES = { i: 'i32', I: 'i64' } as const satisfies Record<string, CoreType>;

/** By name: the parameters, `i` for i32 and `I` for i64. All but `proc_exit` return an errno. */
const PARAMS: Readonly<Record<string, string>> = {
  args_get: 'ii',
  args_sizes_get: 'ii',
  environ_get: 'ii',
  environ_sizes_get: 'ii',
  clock_res_get: 'ii',
  clock_time_get: 'iIi',
  fd_advise: 'iIIi',
  fd_allocate: 'iII',
  fd_close: 'i',
  fd_datasync: 'i',
  fd_fdstat_get: 'ii',
  fd_fdstat_set_flags: 'ii',
  fd_fdstat_set_rights: 'iII',
  fd_filestat_get: 'ii',
  fd_filestat_set_size: 'iI',
  fd_filestat_set_times: 'iIIi',
  fd_pread: 'iiiIi',
  fd_prestat_get: 'ii',
  fd_prestat_dir_name: 'iii',
  fd_pwrite: 'iiiIi',
  fd_read: 'iiii',
  fd_readdir: 'iiiIi',
  fd_renumber: 'ii',
  fd_seek: 'iIii',
  fd_sync: 'i',
  fd_tell: 'ii',
  fd_write: 'iiii',
  path_create_directory: 'iii',
  path_filestat_get: 'iiiii',
  path_filestat_set_times: 'iiiiIIi',
  path_link: 'iiiiiii',
  path_open: 'iiiiiIIii',
  path_readlink: 'iiiiii',
  path_remove_directory: 'iii',
  path_rename: 'iiiiii',
  path_symlink: 'iiiii',
  path_unlink_file: 'iii',
  poll_oneoff: 'iiii',
  proc_exit: 'i',
  proc_raise: 'i',
  sched_yield: '',
  random_get: 'ii',
  sock_accept: 'iii',
  sock_recv: 'iiiiii',
  sock_send: 'iiiii',
  sock_shutdown: 'ii',
};

export interface Preview1Type {
  readonly params: readonly CoreType[];
  readonly results: readonly CoreType[];
}

/** The type of a function of preview 1; undefined if there is none of that name. */
export function preview1Type(name: string): Preview1Type | undefined {
  if (!Object.hasOwn(PARAMS, name)) return undefined;
  const params = Array.from(PARAMS[name]!).map((letter) => (letter === 'I' ? TYPES.I : TYPES.i));
  return { params, results: name === 'proc_exit' ? [] : ['i32'] };
}
