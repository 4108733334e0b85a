/**
 * A folder of a drive as static content: `http.files(folder('ui'))` serves `pkg/ui` with its index at `/`.
 * `import … from 'hyperware/http-folder'`. The manifest must request `vfs:distro:sys`.
 */
import { contentType, HTML } from './content-types.ts';
import { encodePath, encodePathFully, normalPath, prefixOf } from './http-paths.ts';
import { escapeHtml, type HttpHeaders } from './http-reply.ts';
import type { BindOptions, StaticFile, StaticFiles } from './http-routes.ts';
import type { Process } from './process.ts';
import { bytesOf, textOf } from './utf8.ts';
import { drive as driveOf } from './vfs.ts';

export interface FolderOptions extends BindOptions {
  /** Of this package. Default `pkg`, what the package came with. */
  readonly drive?: string;
  /** Where the folder begins, such as `/help`. Default `/`. */
  readonly at?: string;
  /** The file that a folder itself shows. Default `index.html`. */
  readonly index?: string;
  /**
   * Of pages, such as `strictHeaders`. The module keeps no headers, so pages with some are read and answered by this process, each
   * time; everything else is with the module once and for all.
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
    const page = type === HTML;
    const above = `${prefixOf(process.our.process)}${base}/${encodePath(folderOf(inside))}`;
    const read = async (): Promise<Uint8Array> => {
      const bytes = await source.read(entry.path);
      return isIndex(inside, index) && page ? withBase(bytes, above) : bytes;
    };
    for (const where of pathsOf(inside, index)) {
      const path = base + where;
      yield { path, type, read, headers: page ? headers : undefined, options: bind };
    }
  }
}

/** With a slash at its end; the root is empty. */
function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/') + 1);
}

function isIndex(path: string, index: string): boolean {
  return path === folderOf(path) + index;
}

/**
 * A page that is found at `/p:k:q` and at `/p:k:q/` alike says which of them its references start from, unless it does so by itself:
 * the module shows a process no difference between the two, so that none could be sent on to the other.
 */
function withBase(page: Uint8Array, folder: string): Uint8Array {
  const text = textOf(page);
  if (/<base[\s>]/i.test(text)) return page;
  const head = /<head(\s[^>]*)?>/i.exec(text);
  if (head === null) return page;
  const end = head.index + head[0].length;
  return bytesOf(`${text.slice(0, end)}<base href="${escapeHtml(folder)}">${text.slice(end)}`);
}

/** The paths a file is found at: as browsers write its name, as scripts escape it, and its folder's, if it is the index. */
function pathsOf(inside: string, index: string): ReadonlySet<string> {
  const paths = new Set([`/${encodePath(inside)}`, `/${encodePathFully(inside)}`]);
  if (isIndex(inside, index)) {
    paths.add(`/${encodePath(folderOf(inside))}`);
    paths.add(`/${encodePathFully(folderOf(inside))}`);
  }
  return paths;
}
