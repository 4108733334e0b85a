/**
 * The commands typed before (runtime-modules.md §9.4): one a line in `<home>/.terminal_history`, appended as they come, no empty
 * lines and no immediate repeats. The file is cut back to what is kept in memory when it is opened.
 */
import { appendFile, readFile, rename, writeFile } from 'node:fs/promises';
import { HISTORY_LINES_MAX } from './limits.ts';

export class History {
  /** Oldest first. */
  readonly #lines: string[];
  readonly #path: string | undefined;
  readonly #failed: (error: Error) => void;
  #writes: Promise<void> = Promise.resolve();

  private constructor(lines: string[], path: string | undefined, failed: (error: Error) => void) {
    this.#lines = lines;
    this.#path = path;
    this.#failed = failed;
  }

  /** @param failed called when the file cannot be read or written; the history then goes on in memory */
  static async open(path: string | undefined, failed: (error: Error) => void): Promise<History> {
    if (path === undefined) return new History([], undefined, failed);
    let text = '';
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') failed(error as Error);
    }
    const all = text.split('\n').filter((line) => line !== '');
    const lines = all.slice(-HISTORY_LINES_MAX);
    const history = new History(lines, path, failed);
    if (all.length > lines.length) history.#write(() => replace(path, lines));
    return history;
  }

  get lines(): readonly string[] {
    return this.#lines;
  }

  /** Remembers a line unless it is blank or the same as the one before. */
  add(line: string): void {
    if (line.trim() === '' || line === this.#lines.at(-1)) return;
    this.#lines.push(line);
    if (this.#lines.length > HISTORY_LINES_MAX) this.#lines.shift();
    const path = this.#path;
    if (path !== undefined) this.#write(() => appendFile(path, `${line}\n`, { mode: 0o600 }));
  }

  /** Case-sensitive substring search, newest first; a depth beyond the last match stays on the oldest one. */
  search(query: string, depth: number): string | undefined {
    let found: string | undefined;
    let left = depth;
    for (let at = this.#lines.length - 1; at >= 0; at -= 1) {
      const line = this.#lines[at] as string;
      if (!line.includes(query)) continue;
      found = line;
      if (left === 0) break;
      left -= 1;
    }
    return found;
  }

  /** Settles when everything added so far is in the file. */
  async close(): Promise<void> {
    await this.#writes;
  }

  #write(work: () => Promise<void>): void {
    this.#writes = this.#writes.then(work).catch(this.#failed);
  }
}

async function replace(path: string, lines: readonly string[]): Promise<void> {
  await writeFile(`${path}.new`, `${lines.join('\n')}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
}
