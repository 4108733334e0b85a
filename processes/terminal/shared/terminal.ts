/** The terminal process (runtime-modules.md §10.1): what it does with each message. */
import type { Address } from '../../../wit/types.ts';
import { Aliases, type AliasResult } from './aliases.ts';
import { splitCommand } from './command-line.ts';
import { type Guest, isObject, jsonOf, shown, textOf } from './guest.ts';
import { runScript } from './run-script.ts';

/** One request as the terminal sees it. */
export interface Incoming {
  readonly source: Address;
  readonly body: Uint8Array;
  readonly expectsResponse: boolean;
}

export class Terminal {
  readonly #guest: Guest;
  readonly #aliases: Aliases;

  constructor(guest: Guest) {
    this.#guest = guest;
    const state = guest.state();
    this.#aliases = Aliases.restore(state === undefined ? undefined : jsonOf(state));
  }

  /** @returns the body of a response, if one is due */
  onRequest(request: Incoming): string | undefined {
    const { our } = this.#guest;
    const { source } = request;
    if (source.node === our.node && source.process === our.process) {
      this.#command(textOf(request.body));
      return undefined;
    }
    if (source.node === our.node && source.process.endsWith(':terminal:sys')) {
      return this.#edit(request);
    }
    this.#guest.print(2, `ignoring a request from ${source.node}@${source.process}`);
    return undefined;
  }

  /** Answers nobody waits for: what scripts were asked, told to whoever sits here. */
  onResponse(body: Uint8Array): void {
    this.#guest.print(0, shown(body));
  }

  #command(line: string): void {
    const command = splitCommand(line);
    if (command === undefined) return;
    const { head, rest } = command;
    const script = this.#aliases.resolve(head);
    const reason =
      script === undefined
        ? `'${head}' not found, either as an alias or process ID`
        : runScript(this.#guest, script, rest);
    if (reason !== undefined) this.#guest.print(0, `error calling script: ${reason}`);
  }

  #edit(request: Incoming): string | undefined {
    const body = jsonOf(request.body);
    const edit = isObject(body) ? body['EditAlias'] : undefined;
    if (!isObject(edit) || typeof edit['alias'] !== 'string') return undefined;
    const process = edit['process'] ?? null;
    if (process !== null && typeof process !== 'string') return undefined;
    const { alias } = edit;
    const result = this.#aliases.edit(alias, process);
    // Kept before it is announced: what the user has seen set survives a power failure.
    if (result === 'AliasSet' || result === 'AliasRemoved') {
      this.#guest.setState(new TextEncoder().encode(JSON.stringify(this.#aliases.save())));
    }
    this.#guest.print(0, ANNOUNCED[result](alias, process ?? ''));
    return request.expectsResponse ? JSON.stringify({ EditAlias: result }) : undefined;
  }
}

const ANNOUNCED: Record<AliasResult, (alias: string, process: string) => string> = {
  AliasSet: (alias, process) => `alias ${alias} set for ${process}`,
  AliasRemoved: (alias) => `alias ${alias} removed`,
  AliasNotFound: (alias) => `alias ${alias} not found`,
  InvalidProcessId: () => 'Invalid process ID.',
};
