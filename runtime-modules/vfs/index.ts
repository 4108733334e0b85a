/**
 * `vfs:distro:sys`: drives of files, by capability (runtime-modules.md §2). Requests of one process take effect in order wherever that
 * can be seen (path-order.ts); equal paths
 * are used by one request at a time; nothing holds the kernel's thread.
 */
import type { Answer, KernelPort, ModuleRequest, RuntimeModule } from '../../kernel/module.ts';
import type { Address, PackageId, Result } from '../../wit/types.ts';
import {
  vfsRequest,
  vfsResponse,
  type VfsAction,
  type VfsError,
  type VfsRequest,
} from '../../wit/vfs-api.ts';
import { Accounts, type Book, OverQuota } from '../shared/accounts.ts';
import { bytesOf } from '../shared/bytes-of.ts';
import type { BackupParticipant } from '../shared/backup.ts';
import { DescriptorShare } from '../shared/descriptor-share.ts';
import { driveCapability } from '../shared/drive-capability.ts';
import type { FileHashes } from '../shared/file-hashes.ts';
import type { FileStreams } from '../shared/file-streams.ts';
import { ioErrorText } from '../shared/io-error.ts';
import { PackageGates } from '../shared/package-gates.ts';
import { UNLIMITED } from '../shared/quotas.ts';
import { decodeBody, refuse } from '../shared/refuse.ts';
import { holdsRoot, isKernel, needOf, refusalFor } from './access.ts';
import { packageFolder, VfsBackup } from './backup.ts';
import { Disk } from './disk.ts';
import { VfsHashes } from './hashes.ts';
import { BODY_BYTES_MAX, OPERATIONS_MAX } from './limits.ts';
import { PathOrder } from './path-order.ts';
import { driveOf, normalise, parsePath, type VfsPath } from './path.ts';
import { Semaphore } from '../shared/semaphore.ts';
import { VfsStreams } from './streams.ts';
import { ZipFailure } from './zip.ts';

export interface VfsNeeds {
  readonly port: KernelPort;
  /** What packages may use and do use, shared by all modules; default: without limit. */
  readonly accounts?: Accounts | undefined;
}

export interface VfsOptions {
  /** `<home>/vfs`; created when missing. */
  readonly root: string;
}

export type VfsWork =
  | {
      readonly kind: 'action';
      readonly action: VfsAction;
      readonly path: VfsPath;
      readonly other: VfsPath | undefined;
      readonly bytes: Uint8Array;
      readonly source: Address;
      readonly byKernel: boolean;
    }
  | {
      readonly kind: 'root-listing';
      readonly segments: readonly string[];
      readonly source: Address;
    }
  | { readonly kind: 'handle-limit'; readonly limit: number };

export const vfs =
  (options: VfsOptions) =>
  (needs: VfsNeeds): VfsModule =>
    new Vfs(needs, options);

export interface VfsModule extends RuntimeModule<VfsWork> {
  /** For backups of a running node. */
  readonly backup: BackupParticipant;
  /** For modules that commit to files. */
  readonly hashes: FileHashes;
  /** For modules that move the bytes of files. */
  readonly streams: FileStreams;
}

/** Actions that carry their data in the blob. */
const WITH_BLOB: readonly VfsAction['kind'][] = ['Write', 'WriteAll', 'Append', 'AddZip'];

class Vfs implements VfsModule {
  readonly name = 'vfs';
  readonly public = false;
  readonly backup: BackupParticipant;
  readonly hashes: VfsHashes;
  readonly streams: VfsStreams;
  readonly #port: KernelPort;
  readonly #disk: Promise<Disk>;
  readonly #operations = new Semaphore(OPERATIONS_MAX);
  readonly #book: Book;
  readonly #gates = new PackageGates();
  readonly #order = new PathOrder();
  readonly #share: DescriptorShare;

  constructor({ port, accounts }: VfsNeeds, options: VfsOptions) {
    this.#port = port;
    this.#share = new DescriptorShare(port);
    const { root } = options;
    this.#book = (accounts ?? new Accounts(UNLIMITED)).book((pkg) =>
      bytesOf(packageFolder(root, pkg)),
    );
    this.backup = new VfsBackup(root, this.#gates);
    this.#disk = Disk.open(root, this.#book, () => this.#share.hit());
    const parts = {
      our: port.our.node,
      disk: this.#disk,
      within: <T>(of: PackageId, work: () => Promise<T>): Promise<T> =>
        this.#gates.pass([of], () => this.#operations.run(work)),
    };
    this.hashes = new VfsHashes(parts);
    this.streams = new VfsStreams(parts);
    // Whoever asks first hears of a failure; nobody asking is no reason to end the node.
    this.#disk.catch((error: unknown) => port.print(0, `vfs: ${root}: ${String(error)}`));
  }

  decode(request: ModuleRequest): Result<VfsWork, Answer | undefined> {
    if (!request.local) {
      this.#port.print(1, `vfs: ignored a request from node ${request.source.node}`);
      return { ok: false, error: undefined };
    }
    const limit = this.#share.limitIn(request);
    if (limit !== undefined) return { ok: true, value: { kind: 'handle-limit', limit } };
    const body = decodeBody(vfsRequest, request.body, BODY_BYTES_MAX);
    return body.ok ? this.#decide(request, body.value) : refusal({ kind: 'MalformedRequest' });
  }

  /** Requests of one process overlap as far as their paths allow; `handle` sees to their order. */
  orderKey(): undefined {
    return undefined;
  }

  async handle(work: VfsWork, signal: AbortSignal): Promise<Answer | undefined> {
    try {
      if (work.kind === 'handle-limit') return await this.#perform(work, signal);
      return await this.#order.run(work.source.process, pathsOf(work), () =>
        this.#gated(work, signal).catch((error: unknown) => this.#retry(error, work, signal)),
      );
    } catch (error) {
      if (signal.aborted) return undefined;
      return failure(error, work);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const disk = await this.#disk.catch(() => undefined);
    await disk?.close();
    await this.hashes.close();
  }

  /** Waits while its package is held, outside the limit of operations: the others go on. */
  #gated(work: VfsWork, signal: AbortSignal): Promise<Answer | undefined> {
    return this.#gates.pass(packagesOf(work), () =>
      this.#operations.run(() => this.#perform(work, signal)),
    );
  }

  /** Once more after a refusal for want of room, if counting again shows that the owner made some. @throws what it was given */
  async #retry(error: unknown, work: VfsWork, signal: AbortSignal): Promise<Answer | undefined> {
    if (!(error instanceof OverQuota)) throw error;
    const of = error.package;
    const counted = await this.#gates.hold(of, () => this.#book.recount(of));
    if (!counted) throw error;
    return this.#gated(work, signal);
  }

  /** Path and authority; nothing here touches the disk. */
  #decide(request: ModuleRequest, { path: text, action }: VfsRequest): Result<VfsWork, Answer> {
    const our = this.#port.our.node;
    const { source } = request;
    const path = parsePath(text);
    if (path === undefined) {
      const segments = action.kind === 'ReadDir' ? normalise(text) : undefined;
      if (segments === undefined) return refusal({ kind: 'MalformedRequest' });
      // Root listings need root from everybody, own package and kernel included (M27, M32).
      if (!holdsRoot(request, our)) return refusal({ kind: 'NoReadCap' });
      return { ok: true, value: { kind: 'root-listing', segments, source } };
    }
    let other: VfsPath | undefined;
    if (action.kind === 'Rename' || action.kind === 'CopyFile') {
      other = parsePath(action.value.new_path);
      if (other === undefined) return refusal({ kind: 'MalformedRequest' });
    }
    const refused = refusalFor(request, our, needOf(action), path, other);
    if (refused !== undefined) return refusal(refused);
    if (WITH_BLOB.includes(action.kind) && request.blob === undefined)
      return refusal({ kind: 'NoBlob' });
    const byKernel = isKernel(request, our);
    if (action.kind === 'CreateDrive' && !byKernel && !request.caller.exists)
      return refusal({ kind: 'AddCapFailed' });
    const bytes = request.blob?.bytes ?? NO_BYTES;
    return { ok: true, value: { kind: 'action', action, path, other, bytes, source, byKernel } };
  }

  async #perform(work: VfsWork, signal: AbortSignal): Promise<Answer | undefined> {
    const disk = await this.#disk;
    if (signal.aborted) return undefined;
    if (work.kind === 'handle-limit') {
      disk.files.setLimit(work.limit);
      return undefined;
    }
    if (work.kind === 'root-listing') {
      const body = await disk.listRoot(work.segments, signal);
      return { body, send: 'always-to-source', echoMetadata: true };
    }
    this.#share.ask();
    if (work.action.kind === 'CreateDrive') return this.#createDrive(disk, work, signal);
    return disk.perform(work.action, work.path, work.other, work.bytes, signal);
  }

  /** The calling process, not its package, receives the right to share the drive (runtime-modules.md §2.5). */
  async #createDrive(
    disk: Disk,
    work: Extract<VfsWork, { kind: 'action' }>,
    signal: AbortSignal,
  ): Promise<Answer> {
    const drive = driveOf(work.path);
    const answer = await disk.perform(work.action, drive, undefined, NO_BYTES, signal);
    const { node } = this.#port.our;
    const granted = await this.#port.grant(work.source.process, [
      driveCapability(node, 'read', drive.drive),
      driveCapability(node, 'write', drive.drive),
    ]);
    return granted || work.byKernel ? answer : refusal({ kind: 'AddCapFailed' }).error;
  }
}

const NO_BYTES = new Uint8Array();

/** What the work may change or read, as `PathOrder` compares it. */
function pathsOf(work: Exclude<VfsWork, { kind: 'handle-limit' }>): readonly string[] {
  if (work.kind === 'root-listing') return [work.segments.join('/')];
  // Whatever follows the drive has no part in this.
  if (work.action.kind === 'CreateDrive') return [driveOf(work.path).text];
  return work.other === undefined ? [work.path.text] : [work.path.text, work.other.text];
}

/** Whose files the work may change or read. */
function packagesOf(work: VfsWork): readonly PackageId[] {
  if (work.kind !== 'action') return [];
  return work.other === undefined ? [work.path.package] : [work.path.package, work.other.package];
}

/** Errors reach whoever waits, also by rsvp, and nobody else (H18). */
function refusal(error: VfsError): { readonly ok: false; readonly error: Answer } {
  const body = vfsResponse.encode({ kind: 'Err', value: error });
  return { ok: false, error: refuse(body, 'if-wanted') };
}

/** The answer for something thrown. @throws it again when it is a bug */
function failure(error: unknown, work: VfsWork): Answer {
  if (error instanceof ZipFailure) {
    // The path as the guest knows it: where this node keeps its files is nobody's business.
    const path = work.kind === 'action' ? `/${work.path.text}` : '';
    return refusal(
      error.kind === 'unpack'
        ? { kind: 'UnzipError' }
        : { kind: 'ParseError', value: { error: error.message, path } },
    ).error;
  }
  const text = ioErrorText(error);
  if (text === undefined) throw error;
  return refusal({ kind: 'IOError', value: text }).error;
}
