/** Folders of a run that another user is to read and write. They lie below one that only the extension may enter. */
import { chmod, chown } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Run } from './runner.ts';

/**
 * Makes inputs readable, and outputs the writer's: a user's id where this is root, `anybody` where it is not known how the engine numbers users, and
 * nothing where the program runs as we do.
 */
export async function shareFolders(
  run: Pick<Run, 'inputs' | 'outputs' | 'spec'>,
  writer: number | 'anybody' | undefined,
): Promise<void> {
  const folders = new Set([run.inputs]);
  for (const { path, exec } of run.spec.inputs) {
    await chmod(join(run.inputs, path), exec === true ? 0o755 : 0o644);
    for (let parent = dirname(path); parent !== '.'; parent = dirname(parent))
      folders.add(join(run.inputs, parent));
  }
  for (const folder of folders) await chmod(folder, 0o755);
  if (typeof writer === 'number') await chown(run.outputs, writer, writer);
  // Bubblewrap enters it before it has become the writer.
  await chmod(run.outputs, writer === 'anybody' ? 0o777 : 0o711);
}
