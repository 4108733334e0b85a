/**
 * Names for scripts (runtime-modules.md §10.1, §10.2). The defaults are there after every start; what the user adds is kept in the
 * process's state as JSON (theirs writes a form it cannot read back, so user aliases are lost: checklist M244).
 */
import { isObject } from './guest.ts';
import { isProcessId } from './command-line.ts';

const DEFAULT_NAMES = [
  'add-node-provider',
  'add-rpcurl-provider',
  'alias',
  'cat',
  'clear-state',
  'echo',
  'get-providers',
  'help',
  'hi',
  'kill',
  'kfetch',
  'm',
  'net-diagnostics',
  'peer',
  'peers',
  'ps',
  'remove-provider',
  'top',
];

/** Answer to an `EditAlias` request. */
export type AliasResult = 'AliasSet' | 'AliasRemoved' | 'AliasNotFound' | 'InvalidProcessId';

export class Aliases {
  readonly #user: Map<string, string>;
  /** Defaults removed since the start; they are back at the next (M243). */
  readonly #removed = new Set<string>();

  constructor(user: ReadonlyMap<string, string> = new Map()) {
    this.#user = new Map(user);
  }

  /** From saved state; anything that is not that is dropped, entry by entry. */
  static restore(state: unknown): Aliases {
    const saved = isObject(state) && isObject(state['aliases']) ? state['aliases'] : {};
    const good = Object.entries(saved).filter(
      (entry): entry is [string, string] => typeof entry[1] === 'string' && isProcessId(entry[1]),
    );
    return new Aliases(new Map(good));
  }

  /** What `restore` reads. */
  save(): { readonly version: 1; readonly aliases: Readonly<Record<string, string>> } {
    return { version: 1, aliases: Object.fromEntries(this.#user) };
  }

  /** The process a word stands for; a full process id stands for itself. */
  resolve(word: string): string | undefined {
    const named = this.#user.get(word);
    if (named !== undefined) return named;
    if (DEFAULT_NAMES.includes(word) && !this.#removed.has(word)) return `${word}:terminal:sys`;
    return isProcessId(word) ? word : undefined;
  }

  /** Sets an alias, or removes it when `process` is null. */
  edit(name: string, process: string | null): AliasResult {
    if (process !== null) {
      if (!isProcessId(process)) return 'InvalidProcessId';
      this.#user.set(name, process);
      return 'AliasSet';
    }
    if (this.#user.delete(name)) return 'AliasRemoved';
    if (!DEFAULT_NAMES.includes(name) || this.#removed.has(name)) return 'AliasNotFound';
    this.#removed.add(name);
    return 'AliasRemoved';
  }
}
