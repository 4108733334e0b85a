/**
 * Requests of one process take effect in the order they came in wherever that can be seen: on one path, and between a folder and what
 * is below it. Requests on other paths overlap; one at a time, a process reading files had a third of the disk's speed.
 */

interface Turn {
  readonly paths: readonly string[];
  /** Made by the first that waits for it. */
  done: PromiseWithResolvers<void> | undefined;
  over: boolean;
}

export class PathOrder {
  readonly #turns = new Map<string, Set<Turn>>();

  /** Runs `work` after all earlier work of `owner` that its paths touch. Normalised paths without a slash at either end; `''`: all. */
  async run<T>(owner: string, paths: readonly string[], work: () => Promise<T>): Promise<T> {
    const turn: Turn = { paths, done: undefined, over: false };
    let turns = this.#turns.get(owner);
    if (turns === undefined) {
      turns = new Set();
      this.#turns.set(owner, turns);
    }
    const before: Turn[] = [];
    for (const each of turns) if (touch(each.paths, paths)) before.push(each);
    turns.add(turn);
    try {
      for (const each of before) {
        if (each.over) continue;
        each.done ??= Promise.withResolvers();
        await each.done.promise;
      }
      return await work();
    } finally {
      turns.delete(turn);
      if (turns.size === 0 && this.#turns.get(owner) === turns) this.#turns.delete(owner);
      turn.over = true;
      turn.done?.resolve();
    }
  }
}

function touch(some: readonly string[], others: readonly string[]): boolean {
  return some.some((one) => others.some((other) => holds(one, other) || holds(other, one)));
}

/** Whether a path is a folder's own or below it. */
function holds(folder: string, path: string): boolean {
  if (folder === '' || folder === path) return true;
  return path.startsWith(folder) && path[folder.length] === '/';
}
