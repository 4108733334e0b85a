/** A vfs in a fresh folder, for the tests beside it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { moduleId } from '../../wit/address.ts';
import type { Capability } from '../../wit/types.ts';
import type { VfsAction } from '../../wit/vfs-api.ts';
import type { Accounts } from '../shared/accounts.ts';
import type { FileHashes } from '../shared/file-hashes.ts';
import type { FileStreams } from '../shared/file-streams.ts';
import { Bench, OUR_NODE, TestPort, type Asked, type Reply } from '../shared/testing.ts';
import { vfs, type VfsWork } from './index.ts';

/** Of the package that owns `/p:q/...`, of another one, and the kernel. */
export const OWNER = 'app:p:q';
export const SIBLING = 'other:p:q';
export const STRANGER = 'x:y:z';
export const KERNEL_ID = 'kernel:distro:sys';

/** An action as it is on the wire. */
export type WireAction = VfsAction['kind'] | Readonly<Record<string, unknown>>;

export class VfsBench extends Bench<VfsWork> implements AsyncDisposable {
  readonly home: string;
  readonly hashes: FileHashes;
  readonly streams: FileStreams;

  private constructor(home: string, accounts: Accounts | undefined) {
    const port = new TestPort('vfs');
    const module = vfs({ root: join(home, 'vfs') })({ port, accounts });
    super(module, port);
    this.home = home;
    this.hashes = module.hashes;
    this.streams = module.streams;
  }

  /** With the drive `/p:q/d` made by `OWNER`. */
  static async make(accounts?: Accounts, home?: string): Promise<VfsBench> {
    const bench = new VfsBench(home ?? (await mkdtemp(join(tmpdir(), 'vfs-'))), accounts);
    await bench.do('/p:q/d', 'CreateDrive');
    return bench;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.module[Symbol.asyncDispose]();
    await rm(this.home, { recursive: true, force: true });
  }

  /** Where a vfs path is on this machine. */
  disk(path: string): string {
    return join(this.home, 'vfs', path);
  }

  send(path: string, action: WireAction, rest: Partial<Asked> = {}): Promise<Reply | undefined> {
    return this.ask({ from: OWNER, body: { path, action }, ...rest });
  }

  /** The response body. */
  async do(path: string, action: WireAction, rest: Partial<Asked> = {}): Promise<unknown> {
    return (await this.send(path, action, rest))?.body;
  }

  /** The blob as text, or the body when there is none. */
  async read(
    path: string,
    action: WireAction = 'Read',
    rest: Partial<Asked> = {},
  ): Promise<unknown> {
    const reply = await this.send(path, action, rest);
    return reply?.blob === undefined ? reply?.body : new TextDecoder().decode(reply.blob.bytes);
  }

  write(path: string, content: string | Uint8Array): Promise<unknown> {
    return this.do(path, 'Write', { blob: content });
  }
}

export function capability(params: string): Capability {
  return { issuer: { node: OUR_NODE, process: moduleId('vfs') }, params };
}
export const READ_D = capability('{"kind": "read", "drive": "/p:q/d"}');
export const WRITE_D = capability('{"kind": "write", "drive": "/p:q/d"}');
export const ROOT = capability('{"root":true}');

export const err = (error: unknown): unknown => ({ Err: error });
export const io = (text: string): unknown => err({ IOError: text });
export const NOT_FOUND = io('No such file or directory (os error 2)');
export const EXISTS = io('File exists (os error 17)');
export const IS_DIR = io('Is a directory (os error 21)');
export const NOT_DIR = io('Not a directory (os error 20)');
export const DENIED = io('Permission denied (os error 13)');
export const INVALID = io('Invalid argument (os error 22)');
export const TOO_LARGE = io('File too large (os error 27)');
