/** SQL with values: a template's values become parameters, never text (kit.md §10.9). Parameters as in runtime-modules.md §4. */
import { bytesOf } from './utf8.ts';

/** What a parameter may be. Numbers without a fraction are stored as integers, booleans as 1 and 0. */
export type SqlValue = string | number | bigint | boolean | Uint8Array | null | undefined;

/** A statement and its parameters, as JSON text. */
export interface SqlStatement {
  readonly text: string;
  readonly parameters: string;
}

/** A piece of SQL that stands in a template as it is. */
export class Raw {
  readonly text: string;
  readonly values: readonly SqlValue[];
  constructor(text: string, values: readonly SqlValue[] = []) {
    this.text = text;
    this.values = values;
  }
}

/** SQL text that the program itself made, such as the name of a column. Never pass on what somebody typed. */
export function raw(text: string): Raw {
  return new Raw(text);
}

/** Values between commas, for `in (${listOf(ids)})`. */
export function listOf(values: readonly SqlValue[]): Raw {
  return new Raw('', values);
}

/** Puts a template's pieces and values together. @throws TypeError for a value that no parameter can carry */
export function statement(
  pieces: readonly string[],
  values: readonly (SqlValue | Raw)[],
): SqlStatement {
  const parameters: string[] = [];
  let text = pieces[0] ?? '';
  // By index, not by entries: those cost a guest more than what is done with them.
  for (let index = 0; index < values.length; index++) {
    const value = values[index];
    if (!(value instanceof Raw)) text += place(value, parameters);
    else text += value.text + value.values.map((each) => place(each, parameters)).join(',');
    text += pieces[index + 1] ?? '';
  }
  // The module looks at the first word.
  return { text: text.trim(), parameters: `[${parameters.join(',')}]` };
}

/** The base64 of bytes, and back, by the engine's native functions (see engine/text.ts). */
interface Base64Bytes extends Uint8Array {
  toBase64(): string;
}
// Proof of the type: ES2026, present in both guest engines and in Node; a missing one fails the first test.
const Bytes = Uint8Array as unknown as { fromBase64(text: string): Uint8Array };

/** The bytes of a BLOB: rows carry them as base64. @throws SyntaxError for text that is none */
export function blobBytes(value: unknown): Uint8Array {
  return Bytes.fromBase64(String(value));
}

/** The module takes every text that could be base64 for bytes, `test` for three of them; so such a text goes as bytes, and back by SQL. */
const LOOKS_LIKE_BASE64 = /(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/y;
/** The plus takes away the column affinity that a cast would bring into comparisons. */
const TEXT_FROM_BYTES = '+cast(? as text)';

/** Adds a value to the parameters. @returns what stands for it in the text */
function place(value: SqlValue, parameters: string[]): string {
  if (typeof value === 'string') {
    if (looksLikeBase64(value)) {
      parameters.push(base64(bytesOf(value)));
      return TEXT_FROM_BYTES;
    }
    parameters.push(JSON.stringify(value.toWellFormed()));
    return '?';
  }
  if (value instanceof Uint8Array) {
    parameters.push(base64(value));
    return '?';
  }
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new TypeError(`${value} cannot be stored`);
  }
  if (typeof value === 'bigint' && BigInt.asIntN(64, value) !== value) {
    throw new TypeError(`${value} has more than 64 bits`);
  }
  parameters.push(value == null ? 'null' : String(value));
  return '?';
}

function looksLikeBase64(text: string): boolean {
  if (text.length % 4 !== 0) return false;
  // Sticky, because the guests' engine tries an anchored expression at every place of a long text.
  LOOKS_LIKE_BASE64.lastIndex = 0;
  return LOOKS_LIKE_BASE64.test(text);
}

function base64(bytes: Uint8Array): string {
  return `"${(bytes as Base64Bytes).toBase64()}"`;
}
