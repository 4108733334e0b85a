/**
 * What a wasm job in AssemblyScript reaches (not TypeScript: compiled by asc, see kit/build/job.ts): the files of `/job/in`, which it reads,
 * those of `/job/out`, which it writes, its arguments, and two outputs. Over WASI preview 1. Whatever fails ends the job with a line of text.
 */

// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "fd_write")
declare function fd_write(fd: i32, iovecs: usize, count: i32, written: usize): i32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "fd_read")
declare function fd_read(fd: i32, iovecs: usize, count: i32, got: usize): i32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "fd_close")
declare function fd_close(fd: i32): i32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "fd_filestat_get")
declare function fd_filestat_get(fd: i32, stat: usize): i32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "path_open")
declare function path_open(folder: i32, lookup: i32, path: usize, length: i32, flags: i32, rights: i64, inherited: i64, fdFlags: i32, fd: usize): i32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "args_sizes_get")
declare function args_sizes_get(count: usize, bytes: usize): i32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "args_get")
declare function args_get(pointers: usize, bytes: usize): i32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "random_get")
declare function random_get(at: usize, length: i32): i32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "clock_time_get")
declare function clock_time_get(clock: i32, precision: i64, at: usize): i32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "proc_exit")
declare function proc_exit(code: i32): void;

/** The folders that every job starts with. */
const INPUTS = 3;
const OUTPUTS = 4;
/** To read, to seek and to ask for the size. */
const RIGHT_READ: i64 = (1 << 1) | (1 << 2) | (1 << 21);
const RIGHT_WRITE: i64 = 1 << 6;
const CREATE_TRUNCATE = 1 | 8;
const WRITE_BYTES_MAX = 65536;

/** Scratch for results and iovecs. */
const cell = memory.data(64);

/** The whole of a file below `/job/in`. */
export function input(path: string): Uint8Array {
  const fd = open(INPUTS, path, 0, RIGHT_READ);
  if (fd_filestat_get(fd, cell) != 0) fail("no size of " + path);
  const bytes = new Uint8Array(<i32>load<u64>(cell, 32));
  let done = 0;
  while (done < bytes.length) {
    store<u32>(cell, <u32>(bytes.dataStart + done));
    store<u32>(cell, bytes.length - done, 4);
    if (fd_read(fd, cell, 1, cell + 8) != 0) fail("can't read " + path);
    const got = load<u32>(cell, 8);
    if (got == 0) fail(path + " ended early");
    done += got;
  }
  fd_close(fd);
  return bytes;
}

/** A file below `/job/out` with these bytes. */
export function output(path: string, bytes: Uint8Array): void {
  const fd = open(OUTPUTS, path, CREATE_TRUNCATE, RIGHT_WRITE);
  writeAll(fd, bytes.dataStart, bytes.length);
  fd_close(fd);
}

/** The same with text. */
export function outputText(path: string, text: string): void {
  output(path, Uint8Array.wrap(String.UTF8.encode(text)));
}

/** The arguments of the job: `entry.cmd` of its spec. */
export function args(): string[] {
  args_sizes_get(cell, cell + 4);
  const count = load<u32>(cell);
  const bytes = load<u32>(cell, 4);
  const pointers = heap.alloc(count * 4 + bytes);
  args_get(pointers, pointers + count * 4);
  const list: string[] = [];
  for (let i: u32 = 0; i < count; i++) {
    list.push(String.UTF8.decodeUnsafe(load<u32>(pointers + i * 4), bytes, true));
  }
  heap.free(pointers);
  return list;
}

/** A line on stdout. */
export function print(text: string): void {
  line(1, text);
}

/** Random bytes: the same in every attempt at the same spec. */
export function random(count: i32): Uint8Array {
  const bytes = new Uint8Array(count);
  if (random_get(bytes.dataStart, count) != 0) fail("no random bytes");
  return bytes;
}

/** Milliseconds of the job's clock, which starts at 0 and goes on by one each time it is read. */
export function now(): i64 {
  clock_time_get(1, 0, cell);
  return load<i64>(cell) / 1000000;
}

/** Ends the job with exit code 1 and a line on stderr. */
export function fail(text: string): void {
  line(2, text);
  proc_exit(1);
}

/** Where an adapter that makes a component of the job takes its memory from; growing it behind the allocator's back would break that. */
export function cabi_realloc(old: usize, oldSize: usize, align: usize, size: usize): usize {
  return old == 0 ? heap.alloc(size) : heap.realloc(old, size);
}

/** What `assert` and the runtime call. */
export function failed(message: string | null, file: string | null, lineNumber: u32, column: u32): void {
  const place = file ? " at " + file + ":" + lineNumber.toString() + ":" + column.toString() : "";
  fail((message ? message : "abort") + place);
}

function open(folder: i32, path: string, flags: i32, rights: i64): i32 {
  const name = String.UTF8.encode(path);
  const errno = path_open(folder, 0, changetype<usize>(name), name.byteLength, flags, rights, 0, 0, cell);
  if (errno != 0) fail("can't open " + path + ": WASI error " + errno.toString());
  return load<u32>(cell);
}

function line(fd: i32, text: string): void {
  const bytes = String.UTF8.encode(text + "\n");
  writeAll(fd, changetype<usize>(bytes), bytes.byteLength);
}

function writeAll(fd: i32, at: usize, length: i32): void {
  let done = 0;
  while (done < length) {
    store<u32>(cell, <u32>(at + done));
    store<u32>(cell, min(length - done, WRITE_BYTES_MAX), 4);
    if (fd_write(fd, cell, 1, cell + 8) != 0) proc_exit(1);
    done += load<u32>(cell, 8);
  }
}
