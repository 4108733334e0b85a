/**
 * Which parameters a statement has, in the order of their numbers: what the engine's binding does not tell. Reads SQL as far as its
 * first semicolon. Pure.
 */

/** A slot's name with its sigil, such as `:id`; undefined for `?`, `?7`, and numbers that nothing uses. */
export type Slots = readonly (string | undefined)[];

/** Highest `?NNN` that the engine takes; it refuses the statement beyond. */
const NUMBER_MAX = 32_766;

/** In turn: string, quoted identifier, bracketed one, line comment, block comment, parameter, number or word, anything else. */
const TOKEN =
  /'(?:[^']|'')*'?|"(?:[^"]|"")*"?|`(?:[^`]|``)*`?|\[[^\]]*\]?|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|\?(\d*)|([:@#][\w$\u0080-\uffff]+|\$[\w$\u0080-\uffff]+(?:::[\w$\u0080-\uffff]*)*(?:\([^)\s]*\))?)|[\w$\u0080-\uffff]+|[\s\S]/g;

export function parameterSlots(sql: string): Slots {
  const slots: (string | undefined)[] = [];
  if (!/[?:@#$]/.test(sql)) return slots;
  for (const [token, number, name] of sql.matchAll(TOKEN)) {
    if (token === ';') break;
    if (name !== undefined) {
      if (!slots.includes(name)) slots.push(name);
    } else if (number === '') slots.push(undefined);
    else if (number !== undefined) {
      const wanted = Math.min(Number(number), NUMBER_MAX);
      while (slots.length < wanted) slots.push(undefined);
    }
  }
  return slots;
}
