/** WASI 0.2 for one job: files, streams and arguments of its own, and for the rest what every guest gets (sockets refuse, no terminals). */
import type { HostInterfaces } from '../../../../kernel/hart/link.ts';
import {
  err,
  ok,
  unversioned,
  type WasiFunction,
  type WasiResult,
} from '../../../../kernel/hart/wasi/interface.ts';
import { createWasi } from '../../../../kernel/hart/wasi/wasi.ts';
import {
  FileError,
  TRANSFER_BYTES_MAX,
  type FileErrorCode,
  type Open,
  type OpenFile,
  type OpenFolder,
} from './files.ts';
import { FileOutput, Input, streamFunctions } from './preview2-streams.ts';
import type { JobSystem } from './system.ts';

type Functions = Readonly<Record<string, WasiFunction>>;

/** The interfaces of a component that is a job; functions by import name and WIT name. */
export function preview2(system: JobSystem, signal: AbortSignal): HostInterfaces {
  const own: Readonly<Record<string, Functions>> = {
    ...streamFunctions(system),
    ...fileFunctions(system),
    'wasi:cli/environment': {
      'get-environment': () => system.env,
      'get-arguments': () => system.args,
      'initial-cwd': () => undefined,
    },
    'wasi:cli/exit': {
      exit: (status: { readonly tag: 'ok' | 'err' }) => system.exit(status.tag === 'ok' ? 0 : 1),
      'exit-with-code': (code: number) => system.exit(code),
    },
  };
  const rest = createWasi({
    clock: {
      wallNowMs: () => Number(system.clock.read() / 1_000_000n),
      monotonicNowNs: () => system.clock.read(),
    },
    randomBytes: (count) => system.random.bytes(count),
    signal,
  });
  return (importName, functionName) => {
    const name = unversioned(importName) ?? '';
    const functions = Object.hasOwn(own, name) ? own[name] : rest.lookup(importName)?.functions;
    if (functions === undefined || !Object.hasOwn(functions, functionName)) return undefined;
    const call = functions[functionName]!;
    return (args) => {
      try {
        return call(...args);
      } catch (error) {
        return system.hostFault(error);
      }
    };
  };
}

/** The resource `descriptor`. */
class Descriptor implements Disposable {
  readonly open: Open;
  readonly #system: JobSystem;

  constructor(system: JobSystem, open: Open) {
    this.#system = system;
    this.open = open;
  }

  get file(): OpenFile {
    if (this.open.kind !== 'file') throw new FileError('is-directory');
    return this.open;
  }

  get folder(): OpenFolder {
    if (this.open.kind !== 'folder') throw new FileError('not-directory');
    return this.open;
  }

  [Symbol.dispose](): void {
    this.#system.files.close(this.open);
  }
}

interface EntryName {
  readonly type: string;
  readonly name: string;
}

/** The resource `directory-entry-stream`. */
class Entries {
  readonly #names: readonly EntryName[];
  #next = 0;

  constructor(names: readonly EntryName[]) {
    this.#names = names;
  }

  read(): EntryName | undefined {
    return this.#names[this.#next++];
  }
}

const TYPE = { file: 'regular-file', folder: 'directory' } as const;

function fileFunctions(system: JobSystem): Readonly<Record<string, Functions>> {
  const { files } = system;
  const stat = ({
    kind,
    size,
  }: {
    readonly kind: 'file' | 'folder';
    readonly size: number;
  }): object => ({
    type: TYPE[kind],
    linkCount: 1n,
    size: BigInt(size),
  });
  const statOf = ({ open }: Descriptor): object =>
    stat({ kind: open.kind, size: open.kind === 'file' ? open.entry.size : 0 });
  /** Equal for equal places; programs compare it to see whether two descriptors are of one file. */
  const hash = (path: string): object => {
    let lower = 0xcbf2_9ce4_8422_2325n;
    for (const byte of new TextEncoder().encode(path))
      lower = ((lower ^ BigInt(byte)) * 0x100_0000_01b3n) & 0xffff_ffff_ffff_ffffn;
    return { lower, upper: BigInt(path.length) };
  };
  const refused = (): never => {
    throw new FileError('unsupported');
  };
  const methods: Functions = {
    'read-via-stream': ({ file }: Descriptor, offset: bigint) =>
      new Input(system, files.share(file), offsetOf(offset)),
    'write-via-stream': ({ file }: Descriptor, offset: bigint) =>
      new FileOutput(system, files.share(writable(file)), offsetOf(offset)),
    'append-via-stream': ({ file }: Descriptor) =>
      new FileOutput(system, files.share(writable(file)), undefined),
    advise: () => undefined,
    'sync-data': () => undefined,
    sync: () => undefined,
    'get-flags': ({ open }: Descriptor) => ({
      read: true,
      write: open.kind === 'file' && open.writable,
      mutateDirectory: open.kind === 'folder' && open.tree.writable,
    }),
    'get-type': ({ open }: Descriptor) => TYPE[open.kind],
    'set-size': ({ file }: Descriptor, size: bigint) => files.setSize(file, offsetOf(size)),
    'set-times': () => undefined,
    read: ({ file }: Descriptor, length: bigint, offset: bigint) => {
      const bytes = new Uint8Array(Math.min(Number(length), TRANSFER_BYTES_MAX));
      const got = files.read(file, bytes, offsetOf(offset));
      return [bytes.subarray(0, got), offsetOf(offset) + got >= file.entry.size];
    },
    write: ({ file }: Descriptor, bytes: Uint8Array, offset: bigint) =>
      BigInt(files.write(file, bytes, offsetOf(offset))),
    'read-directory': ({ folder }: Descriptor) =>
      new Entries(files.list(folder).map(({ name, kind }) => ({ name, type: TYPE[kind] }))),
    'create-directory-at': ({ folder }: Descriptor, path: string) =>
      files.createFolder(folder, path),
    stat: statOf,
    'stat-at': ({ folder }: Descriptor, _flags: unknown, path: string) =>
      stat(files.stat(folder, path)),
    'set-times-at': ({ folder }: Descriptor, _flags: unknown, path: string) =>
      void files.stat(folder, path),
    'link-at': refused,
    'open-at': (
      { folder }: Descriptor,
      _flags: unknown,
      path: string,
      open: OpenAt,
      flags: OpenAt,
    ) => new Descriptor(system, files.open(folder, path, { ...open, write: flags.write })),
    'readlink-at': refused,
    'remove-directory-at': ({ folder }: Descriptor, path: string) =>
      files.removeFolder(folder, path),
    'rename-at': ({ folder }: Descriptor, path: string, to: Descriptor, newPath: string) =>
      files.rename(folder, path, to.folder, newPath),
    'symlink-at': refused,
    'unlink-file-at': ({ folder }: Descriptor, path: string) => files.removeFile(folder, path),
    'metadata-hash': ({ open }: Descriptor) => hash(placeOf(open)),
    'metadata-hash-at': ({ folder }: Descriptor, _flags: unknown, path: string) => {
      files.stat(folder, path);
      return hash(`${placeOf(folder)}/${path}`);
    },
  };
  return {
    'wasi:filesystem/types': {
      ...Object.fromEntries(
        Object.entries(methods).map(([name, call]) => [
          `[method]descriptor.${name}`,
          asResult(call),
        ]),
      ),
      '[method]descriptor.is-same-object': (one: Descriptor, other: Descriptor) =>
        placeOf(one.open) === placeOf(other.open),
      '[method]directory-entry-stream.read-directory-entry': (entries: Entries) =>
        ok(entries.read()),
      'filesystem-error-code': () => undefined,
    },
    'wasi:filesystem/preopens': {
      'get-directories': () =>
        files.roots.map(({ name, folder }) => [new Descriptor(system, folder), name]),
    },
  };
}

interface OpenAt {
  readonly create?: boolean;
  readonly directory?: boolean;
  readonly exclusive?: boolean;
  readonly truncate?: boolean;
  readonly write?: boolean;
}

/** Where it is, the same on every host. */
function placeOf({ tree, path }: Open): string {
  return `${tree.writable ? '/job/out' : '/job/in'}/${path}`;
}

function writable(file: OpenFile): OpenFile {
  if (!file.writable) throw new FileError('bad-descriptor');
  return file;
}

function offsetOf(value: bigint): number {
  const offset = Number(value);
  if (!Number.isSafeInteger(offset)) throw new FileError('invalid');
  return offset;
}

/** A method whose result is `result<…, error-code>`. */
function asResult(call: WasiFunction): WasiFunction {
  return (...args: unknown[]): WasiResult<unknown, FileErrorCode> => {
    try {
      return ok(call(...args));
    } catch (error) {
      if (error instanceof FileError) return err(error.code);
      throw error;
    }
  };
}
