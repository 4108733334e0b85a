/** `defineScript`: a process that a terminal line starts (kit.md §8.2): one request in, its body being the arguments; one result out. */
import type { Address } from '../../wit/types.ts';
import { describe } from './engine/console.ts';
import { defineProcess, type Process, type ProcessModule } from './process.ts';

export interface ScriptDefinition {
  /** One line, shown when the arguments are wrong. */
  readonly usage: string;
  /** Returns what to show; text as it is, anything else as JSON. Throw `WrongUsage` to show the usage line. */
  readonly run: (args: ScriptArguments, process: Process<undefined>) => unknown;
}

export interface ScriptArguments {
  /** As typed. */
  readonly text: string;
  /** Split at spaces; quotes hold words together, a backslash keeps the next character. */
  readonly words: readonly string[];
  readonly source: Address;
}

/** The arguments make no sense. */
export class WrongUsage extends Error {
  override readonly name = 'WrongUsage';
}

type NoMethods = Readonly<Record<string, never>>;

/** A script; export it as the module's default. It ends with its result: a response if one is expected, else a printed line. */
export function defineScript(script: ScriptDefinition): ProcessModule<NoMethods, undefined> {
  return defineProcess<NoMethods, undefined>({
    concurrency: 'serial',
    onMessage: async (context, process) => {
      const line = context.text;
      let result: string;
      try {
        const args = { text: line, words: splitWords(line), source: context.source };
        result = shown(await script.run(args, process));
      } catch (error) {
        result =
          error instanceof WrongUsage
            ? `${error.message === '' ? '' : `${error.message}\n`}usage: ${script.usage}`
            : error instanceof Error
              ? error.message
              : String(error);
      }
      if (context.expectsResponse) context.reply(result);
      else if (result !== '') process.print(result);
      process.exit();
    },
  });
}

function shown(value: unknown): string {
  return value === undefined ? '' : describe(value);
}

/** Words of a command line. @throws WrongUsage for a quote that is not closed */
export function splitWords(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  for (let i = 0; i < line.length; i++) {
    const character = line.charAt(i);
    if (character === '\\' && quote !== "'" && i + 1 < line.length)
      word = (word ?? '') + line.charAt(++i);
    else if (quote !== undefined) {
      if (character === quote) quote = undefined;
      else word = (word ?? '') + character;
    } else if (character === '"' || character === "'") {
      quote = character;
      word ??= '';
    } else if (/\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? '') + character;
  }
  if (quote !== undefined) throw new WrongUsage(`a ${quote} is not closed`);
  if (word !== undefined) words.push(word);
  return words;
}
