/** A value that shows itself to nobody by accident: keys, passwords and tokens are never anything else (style guide §4.5). */
import { inspect } from 'node:util';

const REDACTED = '[secret]';

export class Secret<T> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  /** The value itself. Call it where the value is used, and keep the result nowhere. */
  reveal(): T {
    return this.#value;
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }
}
