/** Who may do what, from capabilities alone (runtime-modules.md §2.5). Pure. */
import type { ModuleRequest } from '../../kernel/module.ts';
import { KERNEL, packageOf } from '../../wit/address.ts';
import type { NodeId } from '../../wit/types.ts';
import type { VfsAction, VfsError } from '../../wit/vfs-api.ts';
import { driveCapability, rootCapability, type DriveAccess } from '../shared/drive-capability.ts';
import type { VfsPath } from './path.ts';

/** What an action needs; `pair`: write on both of two paths. */
export type Need = DriveAccess | 'create-drive' | 'pair';

const NEEDS: Readonly<Record<VfsAction['kind'], Need>> = {
  CreateDrive: 'create-drive',
  CreateDir: 'write',
  CreateDirAll: 'write',
  CreateFile: 'write',
  // Opening may create and closing disturbs others, so both need write; readers use the cursor actions directly (M23).
  OpenFile: 'write',
  CloseFile: 'write',
  Write: 'write',
  WriteAll: 'write',
  Append: 'write',
  SyncAll: 'write',
  Read: 'read',
  ReadDir: 'read',
  ReadToEnd: 'read',
  ReadExact: 'read',
  ReadToString: 'read',
  Seek: 'read',
  RemoveFile: 'write',
  RemoveDir: 'write',
  RemoveDirAll: 'write',
  Rename: 'pair',
  Metadata: 'read',
  AddZip: 'write',
  CopyFile: 'pair',
  Len: 'read',
  SetLen: 'write',
  Hash: 'read',
};

export const needOf = (action: VfsAction): Need => NEEDS[action.kind];

/** The asker, as far as access goes. */
export type Asker = Pick<ModuleRequest, 'source' | 'caller'>;

/** Our own kernel, which skips all checks but that of the root listing. */
export const isKernel = (asker: Asker, our: NodeId): boolean =>
  asker.source.node === our && asker.source.process === KERNEL;

export const holdsRoot = (asker: Asker, our: NodeId): boolean =>
  asker.caller.holds(rootCapability(our, 'vfs'));

/** The refusal, or undefined when the action is allowed. `other` is the second path of a pair. */
export function refusalFor(
  asker: Asker,
  our: NodeId,
  need: Need,
  path: VfsPath,
  other?: VfsPath,
): VfsError | undefined {
  if (isKernel(asker, our)) return undefined;
  const own = packageOf(asker.source.process);
  const allowed = (access: DriveAccess, on: VfsPath): boolean =>
    asker.caller.holds(driveCapability(our, access, on.drive)) || holdsRoot(asker, our);
  if (own === path.package && (other === undefined || own === other.package)) return undefined;
  switch (need) {
    case 'read':
      return allowed('read', path) ? undefined : { kind: 'NoReadCap' };
    case 'write':
      return allowed('write', path) ? undefined : { kind: 'NoWriteCap' };
    case 'create-drive':
      return holdsRoot(asker, our) ? undefined : { kind: 'NoWriteCap' };
    case 'pair':
      // One's own package counts only when both paths are in it (M29).
      return allowed('write', path) && (other === undefined || allowed('write', other))
        ? undefined
        : { kind: 'NoWriteCap' };
    default:
      return need satisfies never;
  }
}
