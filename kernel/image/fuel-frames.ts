/** The open blocks, loops and conditionals of a function body: the control stack of the first pass. */

/** Kinds of frames. */
export const IN_FUNCTION = 0;
export const IN_BLOCK = 1;
export const IN_LOOP = 2;
export const IN_IF = 3;
export const IN_ELSE = 4;

export interface Frame {
  kind: number;
  /** Values a branch to it carries. */
  arity: number;
  /** The segment around it. */
  segment: number;
  /** Loops open at its label. */
  loops: number;
  /** Opened in code that cannot run. */
  dead: boolean;
  targeted: boolean;
  /** Outermost frame that code inside branches to. */
  outermost: number;
  /** Longest unchecked path to its end, and to its `if`. */
  path: number;
  pathAtIf: number;
}

/** The stack. Frames are kept when popped, and used again. */
export class Frames {
  readonly #frames: Frame[] = [];
  /** Index of the innermost, -1 when the function has ended. */
  top = -1;

  at(index: number): Frame {
    return this.#frames[index] as Frame;
  }

  get innermost(): Frame {
    return this.#frames[this.top] as Frame;
  }

  push(kind: number, arity: number): Frame {
    const frame = (this.#frames[++this.top] ??= newFrame());
    frame.kind = kind;
    frame.arity = arity;
    frame.targeted = false;
    frame.outermost = this.top;
    frame.path = 0;
    return frame;
  }
}

function newFrame(): Frame {
  return {
    kind: IN_FUNCTION,
    arity: 0,
    segment: 0,
    loops: 0,
    dead: false,
    targeted: false,
    outermost: 0,
    path: 0,
    pathAtIf: 0,
  };
}
