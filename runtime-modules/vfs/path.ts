/** Paths of requests: lexical, so that nothing below depends on what is on disk (runtime-modules.md §2.3). */
import { parsePackageId } from '../../wit/address.ts';
import type { PackageId } from '../../wit/types.ts';

/** A path with package and drive, normalised: it cannot leave the vfs root. */
export interface VfsPath {
  /** As ReadDir reports it: `p:q/drive/rest`, no leading slash. Equal paths have equal texts. */
  readonly text: string;
  readonly segments: readonly string[];
  readonly package: PackageId;
  /** As capabilities name it: `/p:q/drive`. */
  readonly drive: string;
}

/**
 * The segments of a path: empty ones and `.` dropped, `..` resolved. Undefined when it climbs above the root, or has a NUL, which no
 * file system can hold.
 */
export function normalise(path: string): readonly string[] | undefined {
  if (path.includes('\0')) return undefined;
  const segments: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '' || segment === '.') continue;
    if (segment !== '..') segments.push(segment);
    else if (segments.pop() === undefined) return undefined;
  }
  return segments;
}

/** A whole path; undefined when it has no drive, or its first segment is not `x:y` (M16). */
export function parsePath(path: string): VfsPath | undefined {
  const segments = normalise(path);
  return segments === undefined ? undefined : pathOf(segments);
}

export function pathOf(segments: readonly string[]): VfsPath | undefined {
  const [first, drive] = segments;
  if (first === undefined || drive === undefined) return undefined;
  const pkg = parsePackageId(first);
  if (!pkg.ok) return undefined;
  return { text: segments.join('/'), segments, package: pkg.value, drive: `/${first}/${drive}` };
}

/** The drive itself, without what follows it. */
export function driveOf(path: VfsPath): VfsPath {
  const segments = path.segments.slice(0, 2);
  return { ...path, text: segments.join('/'), segments };
}
