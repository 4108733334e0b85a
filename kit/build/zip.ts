/** The package zip: reproducible bytes for equal content (packages.md §3). */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ZipFile } from 'yazl';

/** Every entry's time. Local, because the zip's time fields have no zone and yazl fills them from local time. */
const ENTRY_TIME = new Date(2023, 5, 19, 0, 0, 0);
const FILE_MODE = 0o100755;
const FOLDER_MODE = 0o40755;

/** A zip and the lower-case hex SHA-256 of its bytes: the package's version hash. */
export interface PackageZip {
  readonly bytes: Buffer;
  readonly hash: string;
}

/** Zips the contents of `folder`: sorted by path, every directory with an entry before its files, Deflate, mode 0755. */
export async function zipFolder(folder: string): Promise<PackageZip> {
  const zip = new ZipFile();
  for (const entry of await listSorted(folder, '')) {
    if (entry.endsWith('/')) {
      zip.addEmptyDirectory(entry, {
        mtime: ENTRY_TIME,
        mode: FOLDER_MODE,
        forceDosTimestamp: true,
      });
    } else {
      zip.addBuffer(await readFile(join(folder, entry)), entry, {
        mtime: ENTRY_TIME,
        mode: FILE_MODE,
        forceDosTimestamp: true,
        compress: true,
      });
    }
  }
  zip.end();
  const chunks: Buffer[] = [];
  for await (const chunk of zip.outputStream) chunks.push(Buffer.from(chunk));
  const bytes = Buffer.concat(chunks);
  return { bytes, hash: createHash('sha256').update(bytes).digest('hex') };
}

/** Paths below `folder`, directories with a trailing slash, in code-unit order. Links are not followed: a package has none. */
async function listSorted(folder: string, prefix: string): Promise<string[]> {
  const entries = await readdir(join(folder, prefix), { withFileTypes: true });
  const paths = await Promise.all(
    entries.map(async (entry) => {
      const path = prefix + entry.name;
      if (entry.isDirectory()) return [`${path}/`, ...(await listSorted(folder, `${path}/`))];
      return entry.isFile() && !entry.name.endsWith('.tmp') ? [path] : [];
    }),
  );
  return paths.flat().toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}
