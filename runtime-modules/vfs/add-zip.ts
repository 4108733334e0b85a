/** Unpacking an archive into a folder, member by member (runtime-modules.md §2.6). Parents are made as they are needed. */
import type { Book } from '../shared/accounts.ts';
import type { KeyedLock } from '../shared/keyed-lock.ts';
import type { OpenFiles } from './open-files.ts';
import { pathOf, type VfsPath } from './path.ts';
import type { Places } from './place.ts';
import { createDirAll } from './tree.ts';
import { replaceFile } from './write.ts';
import { membersOf, type Member } from './zip.ts';

export interface AddZipNeeds {
  readonly places: Places;
  readonly files: OpenFiles;
  readonly locks: KeyedLock;
  readonly book: Book;
}

/** Each member under the lock of its own path, so that others can read what is there already. @throws ZipFailure, I/O errors */
export async function addZip(
  needs: AddZipNeeds,
  base: VfsPath,
  archive: Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  const members = await membersOf(archive);
  await createDirAll(await needs.places.find(base.segments));
  for (const member of members) {
    signal.throwIfAborted();
    const path = pathOf([...base.segments, ...member.segments]);
    if (path !== undefined)
      await needs.locks.run([path.text], () => addMember(needs, path, member, signal));
  }
}

async function addMember(
  { places, files, book }: AddZipNeeds,
  path: VfsPath,
  member: Member,
  signal: AbortSignal,
): Promise<void> {
  if (member.isDirectory) return createDirAll(await places.find(path.segments));
  let place = await places.find(path.segments);
  if (place.missing > 1) {
    await createDirAll(await places.find(path.segments.slice(0, -1)));
    place = await places.findWritable(path.segments);
  }
  const replacement = { place, package: path.package, bytes: member.bytes };
  await replaceFile({ places, book }, replacement, (partial, mode) =>
    member.writeTo(partial, mode, signal),
  );
  files.replaced(path.text);
}
