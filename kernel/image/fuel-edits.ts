/** What the first pass over a function body tells the second: a list of edits, in order of position. */

/** Kinds of edits. Numbers, because a 12 MB module has a million of them. */
/** Charge the segment of index `argument`. */
export const CHARGE = 0;
/** A direct call, whose function index moves. */
export const CALL = 1;
export const GLOBAL_INDEX = 2;
export const REF_FUNC = 3;
/** The outermost loop begins: the counter goes to its local. */
export const ENTER = 4;
/** It ends, or is left by a branch (`EXIT`, `EXIT_IF` by a conditional one): the counter goes back to its global. */
export const LEAVE = 5;
export const EXIT = 6;
export const EXIT_IF = 7;
/** An instruction that a helper function of ours replaces. */
export const BULK = 8;
/** A call inside a loop: the counter goes to its global before, and is fetched when it is needed again. */
export const SPILL = 9;
export const RELOAD = 10;

/** Integers per edit: position, kind, argument. */
export const EDIT_STRIDE = 3;

/** The edits of one body. The array is reused from function to function. */
export class EditList {
  entries = new Int32Array(EDIT_STRIDE * 4096);
  count = 0;

  add(at: number, kind: number, argument = 0): void {
    const base = this.count * EDIT_STRIDE;
    if (base === this.entries.length) this.entries = grown(this.entries);
    this.entries[base] = at;
    this.entries[base + 1] = kind;
    this.entries[base + 2] = argument;
    this.count++;
  }
}

/** A copy of twice the size. */
export function grown<T extends Int32Array | Uint8Array>(array: T): T {
  const larger =
    array instanceof Int32Array
      ? new Int32Array(array.length * 2)
      : new Uint8Array(array.length * 2);
  larger.set(array);
  // The constructor was chosen by the class of `array`.
  return larger as T;
}
