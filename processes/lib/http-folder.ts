/**
 * A folder of a drive as static content: `http.files(folder('ui'))` serves `pkg/ui` with its index at `/`.
 * `import … from 'hyperware/http-folder'`. The manifest must request `vfs:distro:sys`.
 */
import { contentType } from './content-types.ts';
import { encodePath, encodePathFully, normalPath } from './http-paths.ts';
import type { HttpHeaders } from './http-reply.ts';
import type { BindOptions, StaticFile, StaticFiles } from './http-server.ts';
import type { Process } from './process.ts';
import { drive as driveOf } from './vfs.ts';

export interface FolderOptions extends BindOptions {
  /** Of this package. Default `pkg`, what the package came with. */
  readonly drive?: string;
  /** Where the folder begins, such as `/help`. Default `/`. */
  readonly at?: string;
  /** The file that a folder itself shows. Default `index.html`. */
  readonly index?: string;
  /**
   * Of each answer, such as `strictHeaders`. The module keeps no headers, so files with some are read and answered by this process,
   * each time; without, they are with the module once and for all.
   */
  readonly headers?: HttpHeaders;
}

/** Every file in a folder of one of this package's drives, and below it. */
export function folder(path: string, options: FolderOptions = {}): StaticFiles {
  return (process) => files(process, path, options);
}

async function* files(
  process: Process<unknown>,
  path: string,
  options: FolderOptions,
): AsyncGenerator<StaticFile, void> {
  const { drive = 'pkg', at = '/', index = 'index.html', headers, ...rest } = options;
  const bind = Object.keys(rest).length === 0 ? undefined : rest;
  const source = await driveOf(process, drive);
  const root = normalPath(path).slice(1);
  const base = normalPath(at);
  for await (const entry of source.list(root, { recursive: true })) {
    if (entry.kind !== 'File') continue;
    const inside = root === '' ? entry.path : entry.path.slice(root.length + 1);
    const type = contentType(inside);
    const read = (): Promise<Uint8Array> => source.read(entry.path);
    for (const where of pathsOf(inside, index)) {
      yield { path: base + where, type, read, headers, options: bind };
    }
  }
}

/** The paths a file is found at: as browsers write its name, as scripts escape it, and its folder's, if it is the index. */
function pathsOf(inside: string, index: string): ReadonlySet<string> {
  const paths = new Set([`/${encodePath(inside)}`, `/${encodePathFully(inside)}`]);
  if (inside === index || inside.endsWith(`/${index}`)) {
    const above = inside.slice(0, -index.length);
    paths.add(`/${encodePath(above)}`);
    paths.add(`/${encodePathFully(above)}`);
  }
  return paths;
}
