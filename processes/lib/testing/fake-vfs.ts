/** `vfs:distro:sys` in memory, for tests of processes: one flat map of files, one set of folders. It speaks through wit/vfs-api.ts. */
import { createHash } from 'node:crypto';
import { packageOf, VFS } from '../../../wit/address.ts';
import { vfsRequest, vfsResponse, type VfsAction, type VfsResponse } from '../../../wit/vfs-api.ts';
import type { Host } from '../host.ts';
import { sameCapability } from '../caps.ts';
import type { Peer } from './memory-host.ts';

const READS: readonly VfsAction['kind'][] = [
  'Read',
  'ReadDir',
  'ReadToEnd',
  'ReadExact',
  'ReadToString',
  'Seek',
  'Metadata',
  'Len',
  'Hash',
];

interface Outcome {
  readonly response: VfsResponse;
  readonly blob?: Uint8Array | undefined;
}

const OK: Outcome = { response: { kind: 'Ok' } };

class Failed extends Error {}
const missing = (): Failed => new Failed('No such file or directory (os error 2)');

export class FakeVfs {
  /** By path, such as `a:b/drive/file`. */
  readonly files = new Map<string, Uint8Array>();
  readonly folders = new Set<string>();
  /** Every action, with its path. */
  readonly log: string[] = [];
  /** Fails the next action of that kind with an operating system's text. */
  readonly failing = new Map<VfsAction['kind'], string>();
  readonly #cursors = new Map<string, number>();

  readonly peer: Peer = (sent, host) => {
    const decoded = vfsRequest.decode(sent.request.body);
    if (!decoded.ok) return refused('MalformedRequest');
    const { action } = decoded.value;
    const path = decoded.value.path.split('/').filter(Boolean).join('/');
    this.log.push(`${action.kind} ${path}`);
    const denied = this.#denied(host, action, path);
    if (denied !== undefined) return refused(denied);
    try {
      const failure = this.failing.get(action.kind);
      if (failure !== undefined) throw new Failed(failure);
      const { response, blob } = this.#perform(host, action, path, sent.blob?.bytes);
      const body = vfsResponse.encode(response);
      return blob === undefined ? body : { body, blob };
    } catch (error) {
      if (!(error instanceof Failed)) throw error;
      return vfsResponse.encode({ kind: 'Err', value: { kind: 'IOError', value: error.message } });
    }
  };

  /** A file, and the folders above it, put there by the test. */
  put(path: string, content: string): void {
    const parts = path.split('/');
    for (let depth = 1; depth < parts.length; depth++) {
      this.folders.add(parts.slice(0, depth).join('/'));
    }
    this.files.set(path, new TextEncoder().encode(content));
  }

  text(path: string): string | undefined {
    const bytes = this.files.get(path);
    return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
  }

  #denied(host: Host, action: VfsAction, path: string): 'NoReadCap' | 'NoWriteCap' | undefined {
    const our = host.our();
    if (path.startsWith(`${packageOf(our.process)}/`)) return undefined;
    const kind = READS.includes(action.kind) ? 'read' : 'write';
    const drive = `/${path.split('/').slice(0, 2).join('/')}`;
    const wanted = {
      issuer: { node: our.node, process: VFS },
      params: JSON.stringify({ kind, drive }),
    };
    if (host.ourCapabilities().some((held) => sameCapability(held, wanted))) return undefined;
    return kind === 'read' ? 'NoReadCap' : 'NoWriteCap';
  }

  #perform(host: Host, action: VfsAction, path: string, blob: Uint8Array | undefined): Outcome {
    const file = (): Uint8Array => {
      const bytes = this.files.get(path);
      if (bytes !== undefined) return bytes;
      throw this.folders.has(path) ? new Failed('Is a directory (os error 21)') : missing();
    };
    const inFolder = (): void => {
      if (!this.folders.has(path.slice(0, path.lastIndexOf('/')))) throw missing();
    };
    const cursor = this.#cursors.get(path) ?? 0;
    switch (action.kind) {
      case 'CreateDrive': {
        this.#makeFolders(path.split('/').slice(0, 2).join('/'));
        const issuer = { node: host.our().node, process: VFS };
        host.saveCapabilities(
          ['read', 'write'].map((kind) => ({
            issuer,
            params: `{"kind": "${kind}", "drive": "/${path}"}`,
          })),
        );
        return OK;
      }
      case 'CreateDirAll':
        this.#makeFolders(path);
        return OK;
      case 'CreateFile':
      case 'Write':
        inFolder();
        this.files.set(path, blob ?? new Uint8Array());
        return OK;
      case 'OpenFile':
        inFolder();
        if (action.value.create) this.files.set(path, this.files.get(path) ?? new Uint8Array());
        file();
        this.#cursors.delete(path);
        return OK;
      case 'CloseFile':
        this.#cursors.delete(path);
        return OK;
      case 'SyncAll':
        file();
        return OK;
      case 'WriteAll':
        return this.#writeAt(path, file(), cursor, blob);
      case 'Append':
        return this.#writeAt(path, file(), file().length, blob);
      case 'Read':
        return { response: { kind: 'Read' }, blob: file() };
      case 'ReadExact': {
        const end = cursor + Number(action.value.length);
        if (end > file().length) throw new Failed('early eof');
        this.#cursors.set(path, end);
        return { response: { kind: 'Read' }, blob: file().slice(cursor, end) };
      }
      case 'Seek': {
        if (action.value.kind !== 'Start') throw new Failed('Invalid argument (os error 22)');
        file();
        this.#cursors.set(path, Number(action.value.value));
        return { response: { kind: 'SeekFrom', value: { new_offset: action.value.value } } };
      }
      case 'Len':
        return { response: { kind: 'Len', value: file().length } };
      case 'SetLen': {
        const cut = new Uint8Array(Number(action.value));
        cut.set(file().subarray(0, cut.length));
        this.files.set(path, cut);
        return OK;
      }
      case 'Metadata': {
        const folder = this.folders.has(path);
        const len = folder ? 0 : file().length;
        const kind = folder ? 'Directory' : 'File';
        return { response: { kind: 'Metadata', value: { file_type: { kind }, len } } };
      }
      case 'Hash': {
        const value = new Uint8Array(createHash('sha256').update(file()).digest());
        return { response: { kind: 'Hash', value } };
      }
      case 'ReadDir':
        return { response: { kind: 'ReadDir', value: this.#children(path) } };
      case 'Rename':
      case 'CopyFile': {
        const to = action.value.new_path.split('/').filter(Boolean).join('/');
        this.files.set(to, file());
        if (action.kind === 'Rename') this.files.delete(path);
        return OK;
      }
      case 'RemoveFile':
        file();
        this.files.delete(path);
        return OK;
      case 'RemoveDir':
        if (this.#children(path).length > 0) throw new Failed('Directory not empty (os error 39)');
        this.folders.delete(path);
        return OK;
      case 'RemoveDirAll':
        for (const one of [...this.files.keys(), ...this.folders]) {
          if (one !== path && !one.startsWith(`${path}/`)) continue;
          this.files.delete(one);
          this.folders.delete(one);
        }
        return OK;
      default:
        throw new Failed(`${action.kind} is not part of the fake`);
    }
  }

  #writeAt(
    path: string,
    old: Uint8Array,
    at: number,
    blob: Uint8Array = new Uint8Array(),
  ): Outcome {
    const bytes = new Uint8Array(Math.max(old.length, at + blob.length));
    bytes.set(old);
    bytes.set(blob, at);
    this.files.set(path, bytes);
    this.#cursors.set(path, at + blob.length);
    return OK;
  }

  #children(path: string): { path: string; file_type: { kind: 'File' | 'Directory' } }[] {
    if (!this.folders.has(path)) throw missing();
    const inside = (one: string): boolean =>
      one.startsWith(`${path}/`) && !one.slice(path.length + 1).includes('/');
    const kinds = [
      [this.folders, 'Directory'],
      [this.files.keys(), 'File'],
    ] as const;
    return kinds.flatMap(([paths, kind]) =>
      [...paths].filter(inside).map((one) => ({ path: one, file_type: { kind } })),
    );
  }

  #makeFolders(path: string): void {
    const parts = path.split('/');
    for (let depth = 2; depth <= parts.length; depth++) {
      this.folders.add(parts.slice(0, depth).join('/'));
    }
  }
}

function refused(kind: 'MalformedRequest' | 'NoReadCap' | 'NoWriteCap'): Uint8Array {
  return vfsResponse.encode({ kind: 'Err', value: { kind } });
}
