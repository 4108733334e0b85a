/**
 * Outstanding requests by id. A process mostly has one, and a Map that goes from none to one and back throws its table away each time
 * (0.1 us): the first is kept beside it. Pure, like the registers that it is one of.
 */
import type { U64 } from '../wit/types.ts';
import type { Outstanding } from './registers.ts';

export class Contexts {
  #one: Outstanding | undefined = undefined;
  readonly #more = new Map<U64, Outstanding>();

  get(id: U64): Outstanding | undefined {
    if (this.#one !== undefined && this.#one.request.id === id) return this.#one;
    return this.#more.size === 0 ? undefined : this.#more.get(id);
  }

  has(id: U64): boolean {
    return this.get(id) !== undefined;
  }

  /** Enters it under the id of its request, in the place of another of that id. */
  add(entry: Outstanding): void {
    const { id } = entry.request;
    if (this.#one === undefined ? !this.#more.has(id) : this.#one.request.id === id)
      this.#one = entry;
    else this.#more.set(id, entry);
  }

  delete(id: U64): void {
    if (this.#one !== undefined && this.#one.request.id === id) this.#one = undefined;
    else this.#more.delete(id);
  }

  /** All of them, in no order. */
  values(): Outstanding[] {
    return this.#one === undefined ? [...this.#more.values()] : [this.#one, ...this.#more.values()];
  }

  clear(): void {
    this.#one = undefined;
    this.#more.clear();
  }
}
