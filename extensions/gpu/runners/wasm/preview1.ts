/** WASI preview 1 for one job. Each function gets the guest's memory, then its arguments, and returns an errno. */
import type { ValueFunction } from '../../../../kernel/hart/standard/values.ts';
import { STREAM } from '../../../../wit/jobs/log-records.ts';
import {
  FileError,
  TRANSFER_BYTES_MAX,
  type Open,
  type OpenFile,
  type OpenFolder,
} from './files.ts';
import { dirent, ERRNO, FILE_TYPE, filestat, folderNames } from './preview1-layout.ts';
import { concat, GuestMemory } from './preview1-memory.ts';
import { LOG_WRITE_BYTES_MAX, RANDOM_BYTES_MAX, type JobSystem } from './system.ts';

type Result = number | Promise<number>;
type Call = (guest: GuestMemory, ...args: number[]) => Result;

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
/** `fd_flags` and `oflags` that mean something here. */
const APPEND = 1;
const OFLAGS = { create: 1, directory: 2, exclusive: 4, truncate: 8 };
/** The right to write to a file. */
const RIGHT_WRITE = 1 << 6;
const ALL_RIGHTS = (1n << 30n) - 1n;
const SUBSCRIPTION_BYTES = 48;
const EVENT_BYTES = 32;
const SUBSCRIPTIONS_MAX = 1024;

interface Descriptor {
  readonly open: Open;
  /** Where the next read or write is. */
  at: number;
  append: boolean;
  /** Of a folder that the guest starts with. */
  readonly name?: string;
}

const encoder = new TextEncoder();

/** The functions of preview 1 over what a job may reach. */
export function preview1(system: JobSystem): (name: string) => ValueFunction | undefined {
  const functions = functionsOf(system, new Descriptors(system));
  return (name) => {
    const call = Object.hasOwn(functions, name) ? functions[name] : undefined;
    // Rights, sockets and times of files: there are none.
    if (call === undefined) return () => ERRNO.unsupported;
    return ([memory, ...args]) => {
      try {
        // Proof of the type: the linker gives the memory first. Numbers of 64 bits that are none of JavaScript's are refused below.
        return call(new GuestMemory(memory as WebAssembly.Memory), ...args.map(Number));
      } catch (error) {
        if (error instanceof FileError) return ERRNO[error.code];
        return system.hostFault(error);
      }
    };
  };
}

class Descriptors {
  readonly #open = new Map<number, Descriptor>();
  readonly #system: JobSystem;
  #next = STDERR + 1;

  constructor(system: JobSystem) {
    this.#system = system;
    for (const { name, folder } of system.files.roots)
      this.#open.set(this.#next++, { open: folder, at: 0, append: false, name });
  }

  get(fd: number): Descriptor {
    const found = this.#open.get(fd);
    if (found === undefined) throw new FileError('bad-descriptor');
    return found;
  }

  file(fd: number): Descriptor & { readonly open: Extract<Open, { kind: 'file' }> } {
    const found = this.get(fd);
    if (found.open.kind !== 'file') throw new FileError('is-directory');
    // Proof of the type: the line above.
    return found as Descriptor & { readonly open: Extract<Open, { kind: 'file' }> };
  }

  folder(fd: number): OpenFolder {
    const { open } = this.get(fd);
    if (open.kind !== 'folder') throw new FileError('not-directory');
    return open;
  }

  /** As POSIX: the lowest that is free. */
  add(open: Open, append: boolean): number {
    let fd = STDERR + 1;
    while (this.#open.has(fd)) fd += 1;
    this.#open.set(fd, { open, at: 0, append });
    return fd;
  }

  close(fd: number): void {
    const found = this.get(fd);
    this.#open.delete(fd);
    this.#system.files.close(found.open);
  }

  move(from: number, to: number): void {
    const moved = this.get(from);
    const replaced = this.get(to);
    if (from === to) return;
    this.#open.delete(from);
    this.#open.set(to, moved);
    this.#system.files.close(replaced.open);
  }
}

function functionsOf(system: JobSystem, descriptors: Descriptors): Readonly<Record<string, Call>> {
  const { files, clock } = system;
  return {
    ...texts('args', () => system.args),
    ...texts('environ', () => system.env.map(([name, value]) => `${name}=${value}`)),
    clock_res_get: (guest, _clock, result) => done(() => guest.setU64(result, 1_000_000n)),
    clock_time_get: (guest, _clock, _precision, result) =>
      done(() => guest.setU64(result, clock.read())),
    sched_yield: () => ERRNO.success,
    proc_exit: (_guest, code) => system.exit(code | 0),
    proc_raise: (_guest, signal) => system.exit(128 + signal),
    random_get: (guest, pointer, length) => {
      if (length >>> 0 > RANDOM_BYTES_MAX) throw new FileError('invalid');
      return done(() => system.random.next(guest.bytes(pointer, length)));
    },
    poll_oneoff: (guest, subscriptions, events, count, result) =>
      poll(system, guest, { subscriptions: subscriptions, events: events, count: count }, result),

    fd_advise: (_guest, fd) => done(() => descriptors.file(fd)),
    fd_allocate: (_guest, fd, offset, length) =>
      done(() => {
        const { open } = descriptors.file(fd);
        const end = size(offset) + size(length);
        if (end > open.entry.size) files.setSize(open, end);
      }),
    fd_close: (_guest, fd) => {
      // A program that closes its outputs at the end means no harm, and they stay what they are.
      if (fd <= STDERR && fd >= STDIN) return ERRNO.success;
      return done(() => descriptors.close(fd));
    },
    fd_datasync: () => ERRNO.success,
    fd_sync: () => ERRNO.success,
    fd_renumber: (_guest, from, to) => done(() => descriptors.move(from, to)),
    fd_fdstat_get: (guest, fd, result) => {
      const stat = guest.bytes(result, 24).fill(0);
      const view = new DataView(stat.buffer, stat.byteOffset, stat.byteLength);
      const isStream = fd >= STDIN && fd <= STDERR;
      const found = isStream ? undefined : descriptors.get(fd);
      view.setUint8(0, found === undefined ? FILE_TYPE.character : FILE_TYPE[found.open.kind]);
      view.setUint16(2, found?.append === true ? APPEND : 0, true);
      view.setBigUint64(8, ALL_RIGHTS, true);
      view.setBigUint64(16, ALL_RIGHTS, true);
      return ERRNO.success;
    },
    fd_fdstat_set_flags: (_guest, fd, flags) =>
      done(() => (descriptors.get(fd).append = (flags & APPEND) !== 0)),
    fd_filestat_get: (guest, fd, result) =>
      done(() => {
        const isStream = fd >= STDIN && fd <= STDERR;
        const open = isStream ? undefined : descriptors.get(fd).open;
        const length = open?.kind === 'file' ? open.entry.size : 0;
        filestat(guest.bytes(result, 64), open?.kind ?? 'character', length);
      }),
    fd_filestat_set_size: (_guest, fd, length) =>
      done(() => files.setSize(descriptors.file(fd).open, size(length))),
    fd_filestat_set_times: (_guest, fd) => done(() => descriptors.get(fd)),
    fd_prestat_get: (guest, fd, result) =>
      done(() => {
        const { name } = descriptors.get(fd);
        if (name === undefined) throw new FileError('bad-descriptor');
        guest.setU32(result, 0);
        guest.setU32(result + 4, encoder.encode(name).length);
      }),
    fd_prestat_dir_name: (guest, fd, pointer, length) =>
      done(() => {
        const name = encoder.encode(descriptors.get(fd).name ?? '');
        guest.bytes(pointer, length).set(name.subarray(0, length >>> 0));
      }),
    fd_readdir: (guest, fd, pointer, length, cookie, used) =>
      done(() => {
        const out = guest.bytes(pointer, length);
        const names = folderNames(files.list(descriptors.folder(fd)));
        let at = 0;
        for (let index = size(cookie); index < names.length && at < out.length; index += 1) {
          const bytes = dirent(names[index]!, index + 1).subarray(0, out.length - at);
          out.set(bytes, at);
          at += bytes.length;
        }
        guest.setU32(used, at);
      }),
    fd_seek: (guest, fd, offset, whence, result) =>
      done(() => {
        const found = descriptors.file(fd);
        const from = [0, found.at, found.open.entry.size][whence];
        const to = from === undefined ? -1 : from + offset;
        if (to < 0 || !Number.isSafeInteger(to)) throw new FileError('invalid');
        found.at = to;
        guest.setU64(result, BigInt(to));
      }),
    fd_tell: (guest, fd, result) =>
      done(() => guest.setU64(result, BigInt(descriptors.file(fd).at))),
    fd_read: (guest, fd, iovecs, count, result) => {
      if (fd === STDIN) return done(() => guest.setU32(result, 0));
      const found = descriptors.file(fd);
      const got = readInto(
        system,
        found.open,
        guest.iovecs(iovecs, count, TRANSFER_BYTES_MAX),
        found.at,
      );
      found.at += got;
      return done(() => guest.setU32(result, got));
    },
    fd_pread: (guest, fd, iovecs, count, offset, result) => {
      const { open } = descriptors.file(fd);
      const parts = guest.iovecs(iovecs, count, TRANSFER_BYTES_MAX);
      return done(() => guest.setU32(result, readInto(system, open, parts, size(offset))));
    },
    fd_write: (guest, fd, iovecs, count, result) => {
      if (fd === STDOUT || fd === STDERR) {
        const parts = guest.iovecs(iovecs, count, LOG_WRITE_BYTES_MAX);
        const bytes = concat(parts);
        guest.setU32(result, bytes.length);
        const wait = system.log(fd === STDOUT ? STREAM.stdout : STREAM.stderr, bytes);
        return wait === undefined ? ERRNO.success : wait.then(() => ERRNO.success);
      }
      const found = descriptors.file(fd);
      if (found.append) found.at = found.open.entry.size;
      const parts = guest.iovecs(iovecs, count, TRANSFER_BYTES_MAX);
      const written = writeFrom(system, found.open, parts, found.at);
      found.at += written;
      return done(() => guest.setU32(result, written));
    },
    fd_pwrite: (guest, fd, iovecs, count, offset, result) => {
      const { open } = descriptors.file(fd);
      const parts = guest.iovecs(iovecs, count, TRANSFER_BYTES_MAX);
      return done(() => guest.setU32(result, writeFrom(system, open, parts, size(offset))));
    },

    path_create_directory: (guest, fd, path, length) =>
      done(() => files.createFolder(descriptors.folder(fd), guest.text(path, length))),
    path_remove_directory: (guest, fd, path, length) =>
      done(() => files.removeFolder(descriptors.folder(fd), guest.text(path, length))),
    path_unlink_file: (guest, fd, path, length) =>
      done(() => files.removeFile(descriptors.folder(fd), guest.text(path, length))),
    path_filestat_get: (guest, fd, _flags, path, length, result) =>
      done(() => {
        const found = files.stat(descriptors.folder(fd), guest.text(path, length));
        filestat(guest.bytes(result, 64), found.kind, found.size);
      }),
    path_filestat_set_times: (guest, fd, _flags, path, length) =>
      done(() => files.stat(descriptors.folder(fd), guest.text(path, length))),
    path_rename: (guest, fd, path, length, toFd, toPath, toLength) =>
      done(() =>
        files.rename(
          descriptors.folder(fd),
          guest.text(path, length),
          descriptors.folder(toFd),
          guest.text(toPath, toLength),
        ),
      ),
    // eslint-disable-next-line max-params -- the function's own
    path_open: (guest, fd, _lookup, path, length, flags, rights, _inheriting, fdFlags, result) =>
      done(() => {
        const asks = (bit: number): boolean => (flags & bit) !== 0;
        const opened = files.open(descriptors.folder(fd), guest.text(path, length), {
          create: asks(OFLAGS.create),
          directory: asks(OFLAGS.directory),
          exclusive: asks(OFLAGS.exclusive),
          truncate: asks(OFLAGS.truncate),
          write: !asks(OFLAGS.directory) && (rights & RIGHT_WRITE) !== 0,
        });
        guest.setU32(result, descriptors.add(opened, (fdFlags & APPEND) !== 0));
      }),
  };
}

/** `args_get` and `args_sizes_get`, or those of the environment: pointers to texts that end with a zero. */
function texts(name: 'args' | 'environ', list: () => readonly string[]): Record<string, Call> {
  const encoded = (): Uint8Array[] => list().map((text) => encoder.encode(`${text}\0`));
  return {
    [`${name}_sizes_get`]: (guest, count, bytes) =>
      done(() => {
        const all = encoded();
        guest.setU32(count, all.length);
        guest.setU32(
          bytes,
          all.reduce((sum, text) => sum + text.length, 0),
        );
      }),
    [`${name}_get`]: (guest, pointers, bytes) =>
      done(() => {
        let at = bytes;
        for (const [index, text] of encoded().entries()) {
          guest.setU32(pointers + 4 * index, at);
          guest.bytes(at, text.length).set(text);
          at += text.length;
        }
      }),
  };
}

/** All that can be waited for is there at once, but for instants of the clock: the first of them is. */
function poll(
  system: JobSystem,
  guest: GuestMemory,
  at: { readonly subscriptions: number; readonly events: number; readonly count: number },
  result: number,
): number {
  const { clock } = system;
  if (at.count <= 0 || at.count > SUBSCRIPTIONS_MAX) throw new FileError('invalid');
  const bytes = guest.bytes(at.subscriptions, at.count * SUBSCRIPTION_BYTES);
  const asked = Array.from({ length: at.count }, (_, index) => {
    const start = index * SUBSCRIPTION_BYTES;
    const view = new DataView(bytes.buffer, bytes.byteOffset + start, SUBSCRIPTION_BYTES);
    const kind = view.getUint8(8);
    const timeout = view.getBigUint64(24, true);
    const absolute = (view.getUint16(40, true) & 1) === 1;
    const ready = kind !== 0 ? 0n : absolute ? timeout : clock.nowNs + timeout;
    return { userdata: view.getBigUint64(0, true), kind, ready };
  });
  const first = asked.reduce(
    (least, { ready }) => (ready < least ? ready : least),
    asked[0]!.ready,
  );
  clock.waitUntil(first);
  const ready = asked.filter((one) => one.ready <= clock.nowNs);
  for (const [index, { userdata, kind }] of ready.entries()) {
    const event = guest.bytes(at.events + index * EVENT_BYTES, EVENT_BYTES).fill(0);
    const view = new DataView(event.buffer, event.byteOffset, EVENT_BYTES);
    view.setBigUint64(0, userdata, true);
    view.setUint8(10, kind);
  }
  guest.setU32(result, ready.length);
  return ERRNO.success;
}

function readInto(system: JobSystem, file: OpenFile, parts: Uint8Array[], offset: number): number {
  let got = 0;
  for (const part of parts) {
    const count = system.files.read(file, part, offset + got);
    got += count;
    if (count < part.length) break;
  }
  return got;
}

function writeFrom(system: JobSystem, file: OpenFile, parts: Uint8Array[], offset: number): number {
  let written = 0;
  for (const part of parts) written += system.files.write(file, part, offset + written);
  return written;
}

/** An offset or a length that a file can have. */
function size(value: number): number {
  if (value < 0 || !Number.isSafeInteger(value)) throw new FileError('invalid');
  return value;
}

function done(act: () => unknown): number {
  act();
  return ERRNO.success;
}
