/**
 * Where fuel is charged in a function body and how much, and which loops can keep the counter in a local. Told of a body's
 * instructions in order (by fuel-scanner.ts), it writes edits and segments. Source: finding F4.
 *
 * Inside loops the counter is in a local, written back to its global before calls and on the way out. Keeping it in the global
 * everywhere was tried (time with fuel / without): copy 1.20 instead of 1.03, sum 1.69 instead of 1.25, interpreter 3.5 instead of 1.43;
 * a local in loops without calls only leaves the interpreter at 3.5. Outside loops a local gains nothing.
 */
import { malformed } from './fuel-bytes.ts';
import {
  BULK,
  CALL,
  CHARGE,
  EditList,
  ENTER,
  EXIT,
  EXIT_IF,
  LEAVE,
  RELOAD,
  SPILL,
} from './fuel-edits.ts';
import {
  type Frame,
  Frames,
  IN_BLOCK,
  IN_ELSE,
  IN_FUNCTION,
  IN_IF,
  IN_LOOP,
} from './fuel-frames.ts';
import { Segments } from './fuel-segments.ts';

/** Fuel units of straight-line code after which the next segment starts with a check. */
const STRAIGHT_LINE_MAX = 2048;
/** Functions without loops and calls up to this cost are paid for by their direct callers. */
export const LEAF_COST_MAX = 48;

/** A leaf is paid for by the caller, in the weight of the call; a metered function pays for itself; an indirect callee is unknown. */
export type Callee = 'leaf' | 'metered' | 'unknown';

/** One function's analysis; reused from function to function. `at` is where an instruction starts, `next` where it ends. */
export class Regions {
  readonly edits = new EditList();
  readonly segments = new Segments();
  loops = 0;
  /** Whether anything can call, and the cost of all code, once. */
  calls = false;
  cost = 0;
  /** Whether the body goes on: its last `end` has not come. */
  open = false;
  readonly #frames = new Frames();
  #openLoops = 0;
  /** Inside a loop: the counter is in its global, because a call came since it was last needed. */
  #inGlobal = false;
  #live = true;
  /** Fuel units since the last check, on the longest way here. */
  #path = 0;

  /** Begins a body whose first instruction is at `at`, of a function that gives `results` values. */
  begin(at: number, results: number): void {
    this.edits.count = this.loops = this.cost = 0;
    this.segments.reset();
    this.calls = false;
    this.open = true;
    this.#frames.top = -1;
    this.#openLoops = 0;
    this.#inGlobal = false;
    this.#live = true;
    this.#path = 0;
    this.#push(IN_FUNCTION, results);
    this.#startSegment(at, false, true);
  }

  /** Charges one straight-line instruction, after which a check may fall due. */
  charge(next: number, weight: number): void {
    if (!this.#live) return;
    this.#add(weight);
    if (this.#path >= STRAIGHT_LINE_MAX) this.#startSegment(next, false, true);
  }

  block(arity: number): void {
    this.#push(IN_BLOCK, arity);
  }

  loop(at: number, next: number, arity: number): void {
    const frame = this.#push(IN_LOOP, arity);
    if (!this.#live) return;
    this.loops++;
    frame.loops = ++this.#openLoops;
    if (frame.loops === 1) this.edits.add(at, ENTER);
    else this.#reload(at);
    this.#startSegment(next, false, true);
  }

  ifArm(at: number, next: number, arity: number): void {
    this.#reload(at);
    if (this.#live) this.#add(1);
    this.#push(IN_IF, arity);
    if (this.#live) this.#startSegment(next, true, false);
  }

  elseArm(at: number, next: number): void {
    const frame = this.#frames.innermost;
    if (frame.kind !== IN_IF) throw malformed('else without if', at);
    this.#reload(at);
    this.segments.closeTo(frame.segment);
    if (this.#live) {
      frame.targeted = true;
      frame.path = Math.max(frame.path, this.#path);
    }
    frame.kind = IN_ELSE;
    this.#live = !frame.dead;
    this.#path = frame.pathAtIf;
    if (this.#live) this.#startSegment(next, true, false);
  }

  end(at: number, next: number): void {
    this.#reload(at);
    const top = this.#frames.top;
    const frame = this.#frames.at(top);
    this.segments.closeTo(frame.segment);
    this.#frames.top--;
    if (top === 0) {
      this.open = false;
      return;
    }
    const around = this.#frames.at(top - 1);
    if (frame.outermost < around.outermost) around.outermost = frame.outermost;
    if (frame.dead) {
      this.#live = false;
      return;
    }
    if (frame.kind === IN_LOOP) {
      this.#openLoops--;
      if (this.#openLoops === 0 && this.#live) this.edits.add(next, LEAVE);
    } else {
      let path = this.#live ? Math.max(frame.path, this.#path) : frame.path;
      if (frame.kind === IN_IF) path = Math.max(path, frame.pathAtIf);
      this.#path = path;
      this.#live ||= frame.targeted || frame.kind === IN_IF;
    }
    if (!this.#live) return;
    // What follows a long stretch gets its own charge, lest all of a long function be paid at its entry.
    const { amount, current } = this.segments;
    const long = (amount[current] as number) >= STRAIGHT_LINE_MAX;
    if (long || frame.outermost < top) this.#startSegment(next, !long, false);
  }

  /** A branch to the label `depth` frames out. */
  branch(at: number, next: number, depth: number, conditional: boolean): void {
    const target = this.#label(at, depth);
    if (!this.#live) return;
    this.#reload(at);
    this.#add(1);
    this.#target(target);
    const { arity, loops } = this.#frames.at(target);
    // A branch back to the loop it stands in leaves nothing.
    this.#leaves(at, loops, conditional && arity === 0 ? EXIT_IF : EXIT);
    if (conditional) this.#startSegment(next, true, false);
    else this.stop();
  }

  /** A `br_table`: how many labels it has, they and the default are read from `depths` when its turn comes. */
  branchTable(at: number, weight: number, depths: { u32(): number }): void {
    const live = this.#live;
    if (live) {
      this.#reload(at);
      this.#add(weight);
    }
    let loops = this.#openLoops;
    for (let n = depths.u32(); n >= 0; n--) {
      const target = this.#label(at, depths.u32());
      if (!live) continue;
      this.#target(target);
      loops = Math.min(loops, this.#frames.at(target).loops);
    }
    if (live) this.#leaves(at, loops, EXIT);
    this.stop();
  }

  returns(at: number): void {
    if (this.#live) {
      this.#add(1);
      if (!this.#inGlobal) this.#leaves(at, 0, EXIT);
      this.#frames.innermost.outermost = 0;
    }
    this.stop();
  }

  /** What follows cannot run. */
  stop(): void {
    this.#live = false;
    this.#inGlobal = false;
  }

  call(at: number, next: number, weight: number, callee: Callee): void {
    this.#noteCall(at, callee);
    this.charge(next, weight);
  }

  tailCall(at: number, weight: number, callee: Callee): void {
    if (!this.#inGlobal) this.#leaves(at, 0, EXIT);
    this.#noteCall(at, callee);
    if (!this.#live) return;
    this.#add(weight);
    this.#frames.innermost.outermost = 0;
    this.stop();
  }

  /** An instruction that a helper function of ours replaces; its charge is told separately. */
  bulk(at: number): void {
    this.#spill(at);
    this.edits.add(at, BULK);
  }

  #noteCall(at: number, callee: Callee): void {
    if (callee !== 'leaf') this.#spill(at);
    if (callee !== 'unknown') this.edits.add(at, CALL);
    // A small callee may charge without checking.
    else this.#path += LEAF_COST_MAX;
  }

  /** Before a call at `at`: the callee finds the counter in its global, and it stays there until it is needed. */
  #spill(at: number): void {
    if (!this.#live) return;
    this.calls = true;
    if (this.#openLoops > 0 && !this.#inGlobal) {
      this.edits.add(at, SPILL);
      this.#inGlobal = true;
    }
  }

  /** Before `at`, where the counter must be in its local: charges, and wherever paths meet. */
  #reload(at: number): void {
    if (!this.#inGlobal) return;
    this.#inGlobal = false;
    this.edits.add(at, RELOAD);
  }

  #add(weight: number): void {
    this.segments.charge(weight);
    this.cost += weight;
    this.#path += weight;
  }

  #startSegment(at: number, joinable: boolean, checked: boolean): void {
    const check = checked || this.#path >= STRAIGHT_LINE_MAX;
    const segment = this.segments.start(joinable, check, this.#openLoops > 0);
    if (check) this.#path = 0;
    this.#reload(at);
    this.edits.add(at, CHARGE, segment);
  }

  /** The frame that a branch at `at` to the label `depth` frames out goes to. */
  #label(at: number, depth: number): number {
    if (depth > this.#frames.top) throw malformed('no such label', at);
    return this.#frames.top - depth;
  }

  #target(target: number): void {
    const frame = this.#frames.at(target);
    if (frame.kind !== IN_LOOP) {
      frame.targeted = true;
      if (this.#path > frame.path) frame.path = this.#path;
    }
    const here = this.#frames.innermost;
    if (target < here.outermost) here.outermost = target;
  }

  /** Notes a branch at `at` that leaves all but the outermost `loops` loops: past the last the counter is in its global again. */
  #leaves(at: number, loops: number, kind: number): void {
    if (this.#live && loops === 0 && this.#openLoops > 0) this.edits.add(at, kind);
  }

  #push(kind: number, arity: number): Frame {
    const frame = this.#frames.push(kind, arity);
    frame.segment = this.segments.current;
    frame.loops = this.#openLoops;
    frame.dead = !this.#live;
    frame.pathAtIf = this.#path;
    return frame;
  }
}
