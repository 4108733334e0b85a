/**
 * First pass over a function body: where fuel is charged and how much, which loops can keep the counter in a local, and where indices
 * are rewritten. Source: finding F4.
 *
 * A *segment* is a stretch of code with one charge at its start. Code belongs to the segment that is paid whenever that code runs:
 * after a conditional branch, in an arm, after a block that something jumped out of, a new segment starts. It joins the segment
 * around it (its charge moves there) while what is charged without running stays small, so the charge is never below what runs and
 * at most about twice it.
 *
 * Inside loops the counter is in a local, written back to its global before calls and on the way out. Keeping it in the global
 * everywhere was tried (time with fuel / without): copy 1.20 instead of 1.03, sum 1.69 instead of 1.25, interpreter 3.5 instead of 1.43;
 * a local in loops without calls only leaves the interpreter at 3.5. Outside loops a local gains nothing.
 */
import type { ByteReader } from './fuel-bytes.ts';
import { malformed, unsupported } from './fuel-bytes.ts';
import type { ModuleShape } from './fuel-shape.ts';
import { readReferenceType, readValueType } from './fuel-shape.ts';
import {
  BYTES_16,
  BYTES_4,
  BYTES_8,
  GLOBAL,
  INDEX,
  LANE,
  LAYOUT,
  LOCAL,
  MEMARG,
  MEMARG_LANE,
  PLAIN,
  refusedOpcode,
  refusedType,
  SIGNED,
  SIMD_LAST,
  simdLayout,
  simdWeight,
  SPECIAL,
  WEIGHT,
} from './fuel-opcodes.ts';

/** Fuel units of straight-line code after which the next segment starts with a check. */
export const STRAIGHT_LINE_MAX = 2048;
/**
 * Fuel units a segment may charge for code that might not run, beyond what surely runs. Tried (time with fuel / without, fib, sum,
 * interpreter of test/bench/fuel-kernels): 0 gives 2.00, 1.67, 1.37; 16 gives 1.80, 1.25, 1.43; 32 and 64 gain nothing and charge more.
 */
const JOIN_SLACK = 16;
/** Functions without loops and calls up to this cost are paid for by their direct callers. */
export const LEAF_COST_MAX = 48;

/** Edits, in order of position. */
export const CHARGE = 0;
export const CALL = 1;
export const GLOBAL_INDEX = 2;
export const REF_FUNC = 3;
export const ENTER = 4;
export const LEAVE = 5;
export const EXIT = 6;
export const EXIT_IF = 7;
export const BULK = 8;
export const SPILL = 9;
export const RELOAD = 10;
/** Integers per edit: position, kind, argument. */
export const EDIT_STRIDE = 3;

const IN_FUNCTION = 0;
const IN_BLOCK = 1;
const IN_LOOP = 2;
const IN_IF = 3;
const IN_ELSE = 4;

interface Frame {
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

/** One function's analysis. The arrays are reused from function to function. */
export class Regions {
  readonly #shape: ModuleShape;
  readonly #leafCost: Int32Array;
  edits = new Int32Array(EDIT_STRIDE * 4096);
  editCount = 0;
  /** Per segment: charge (0: joined another), whether it checks, whether the counter is in its local there. */
  amount = new Int32Array(1024);
  checked = new Uint8Array(1024);
  inLoop = new Uint8Array(1024);
  #link = new Int32Array(1024);
  #maybe = new Int32Array(1024);
  #joinable = new Uint8Array(1024);
  segments = 0;
  loops = 0;
  /** Whether anything can call or loop, and the cost of all code, once. */
  calls = false;
  cost = 0;
  #frames: Frame[] = [];
  #top = 0;
  #openLoops = 0;
  /** Inside a loop: the counter is in its global, because a call came since it was last needed. */
  #inGlobal = false;
  #segment = 0;
  #live = true;
  #path = 0;

  constructor(shape: ModuleShape, leafCost: Int32Array) {
    this.#shape = shape;
    this.#leafCost = leafCost;
  }

  /**
   * Analyses the instructions of one body.
   * @param reader  at the first instruction, ending where the body ends
   * @param results  how many values the function gives
   * @param locals  how many locals and parameters it has
   */
  analyse(reader: ByteReader, results: number, locals: number): void {
    this.editCount = this.segments = this.loops = this.cost = 0;
    this.calls = false;
    this.#top = -1;
    this.#openLoops = 0;
    this.#inGlobal = false;
    this.#live = true;
    this.#path = 0;
    this.#segment = -1;
    this.#push(IN_FUNCTION, results);
    this.#startSegment(reader.pos, false, true);
    while (this.#top >= 0) {
      const at = reader.pos;
      const opcode = reader.byte();
      switch (LAYOUT[opcode]) {
        case PLAIN:
          break;
        case MEMARG:
          this.#memarg(reader);
          break;
        case LOCAL:
          // The counter lives in a local past the guest's own: only this check keeps the guest away from it.
          if (reader.u32() >= locals) throw malformed('no such local', at);
          break;
        case GLOBAL:
          this.#edit(at, GLOBAL_INDEX, 0);
          reader.u32();
          break;
        case SIGNED:
          reader.skipSigned(opcode === 0x41 ? 5 : 10);
          break;
        case BYTES_4:
          reader.skip(4);
          break;
        case BYTES_8:
          reader.skip(8);
          break;
        case INDEX:
          reader.u32();
          break;
        case SPECIAL:
          this.#special(reader, at, opcode);
          continue;
        default:
          throw unsupported(refusedOpcode(opcode), at);
      }
      if (this.#live) this.#charge(reader.pos, WEIGHT[opcode] as number);
    }
    if (reader.pos !== reader.end) throw malformed('code after the end of a function', reader.pos);
  }

  #memarg(reader: ByteReader): void {
    if (reader.u32() >= 0x40) throw unsupported('multiple memories', reader.pos);
    reader.u32();
  }

  /** Adds the cost of one straight-line instruction that ends at `next`, where a check may fall due. */
  #charge(next: number, weight: number): void {
    this.#add(weight);
    if (this.#path >= STRAIGHT_LINE_MAX) this.#startSegment(next, false, true);
  }

  #add(weight: number): void {
    const segment = this.#segment;
    this.amount[segment] = (this.amount[segment] as number) + weight;
    this.cost += weight;
    this.#path += weight;
  }

  #special(reader: ByteReader, at: number, opcode: number): void {
    switch (opcode) {
      case 0x02:
        this.#push(IN_BLOCK, this.#blockType(reader, false));
        return;
      case 0x03:
        this.#loop(reader, at);
        return;
      case 0x04: {
        const arity = this.#blockType(reader, false);
        this.#reload(at);
        if (this.#live) this.#add(1);
        this.#push(IN_IF, arity);
        if (this.#live) this.#startSegment(reader.pos, true, false);
        return;
      }
      case 0x05:
        this.#else(reader, at);
        return;
      case 0x0b:
        this.#end(reader, at);
        return;
      case 0x0c:
      case 0x0d:
        this.#branch(reader, at, opcode);
        return;
      case 0x0e:
        this.#branchTable(reader, at);
        return;
      case 0x00:
        this.#stop();
        return;
      case 0x0f:
        if (this.#live) {
          this.#add(1);
          if (!this.#inGlobal) this.#leaves(at, 0, EXIT);
          (this.#frames[this.#top] as Frame).outermost = 0;
        }
        this.#stop();
        return;
      case 0x10:
      case 0x11:
      case 0x12:
      case 0x13:
        this.#call(reader, at, opcode);
        return;
      case 0xfc:
        this.#miscellaneous(reader, at);
        return;
      case 0xfd:
        this.#vector(reader, at);
        return;
      default:
        this.#rare(reader, at, opcode);
    }
  }

  #rare(reader: ByteReader, at: number, opcode: number): void {
    switch (opcode) {
      case 0x1c:
        for (let n = reader.u32(); n > 0; n--) readValueType(reader);
        break;
      case 0x3f:
        if (reader.byte() !== 0) throw unsupported('multiple memories', at);
        break;
      case 0x40:
        if (reader.byte() !== 0) throw unsupported('multiple memories', at);
        if (this.#shape.memories === 0) throw malformed('no memory', at);
        this.#bulk(at);
        break;
      case 0xd0:
        readReferenceType(reader);
        break;
      default:
        this.#edit(at, REF_FUNC, 0);
        reader.u32();
    }
    if (this.#live) this.#charge(reader.pos, WEIGHT[opcode] as number);
  }

  #miscellaneous(reader: ByteReader, at: number): void {
    const code = reader.u32();
    if (code > 17) throw unsupported(`opcode 0xfc ${code}`, at);
    if (code >= 8) reader.u32();
    if (code === 8 || code === 10 || code === 12 || code === 14) reader.u32();
    if (code === 8 || (code >= 10 && code !== 13 && code !== 16)) this.#bulk(at);
    if (this.#live) this.#charge(reader.pos, code >= 8 ? 4 : 2);
  }

  #vector(reader: ByteReader, at: number): void {
    const code = reader.u32();
    if (code > SIMD_LAST) throw unsupported(`SIMD opcode ${code}`, at);
    switch (simdLayout(code)) {
      case MEMARG:
        this.#memarg(reader);
        break;
      case MEMARG_LANE:
        this.#memarg(reader);
        reader.byte();
        break;
      case LANE:
        reader.byte();
        break;
      case BYTES_16:
        reader.skip(16);
        break;
      default:
    }
    if (this.#live) this.#charge(reader.pos, simdWeight(code));
  }

  /** An instruction that a helper function of ours replaces: it calls, so the counter must be in its global. */
  #bulk(at: number): void {
    this.#markCall(at);
    this.#edit(at, BULK, 0);
  }

  /** A call at `at`: the callee finds the counter in its global, and it stays there until it is needed. */
  #markCall(at: number): void {
    if (!this.#live) return;
    this.calls = true;
    if (this.#openLoops > 0 && !this.#inGlobal) {
      this.#edit(at, SPILL, 0);
      this.#inGlobal = true;
    }
  }

  /** Before `at`, where the counter must be in its local: charges, and wherever paths meet. */
  #reload(at: number): void {
    if (!this.#inGlobal) return;
    this.#inGlobal = false;
    this.#edit(at, RELOAD, 0);
  }

  #stop(): void {
    this.#live = false;
    this.#inGlobal = false;
  }

  #call(reader: ByteReader, at: number, opcode: number): void {
    let weight = WEIGHT[opcode] as number;
    const index = reader.u32();
    if (opcode >= 0x12 && !this.#inGlobal) this.#leaves(at, 0, EXIT);
    if (opcode === 0x10 || opcode === 0x12) {
      if (index >= this.#shape.functionTypes.length) throw malformed(`no function ${index}`, at);
      const leafCost = this.#leafCost[index] as number;
      if (leafCost >= 0) weight += leafCost;
      else this.#markCall(at);
      this.#edit(at, CALL, 0);
    } else {
      if (index >= this.#shape.typeParams.length) throw malformed(`no type ${index}`, at);
      reader.u32();
      this.#markCall(at);
      // A small callee may charge without checking.
      this.#path += LEAF_COST_MAX;
    }
    if (!this.#live) return;
    if (opcode >= 0x12) {
      this.#add(weight);
      (this.#frames[this.#top] as Frame).outermost = 0;
      this.#stop();
    } else this.#charge(reader.pos, weight);
  }

  #loop(reader: ByteReader, at: number): void {
    const frame = this.#push(IN_LOOP, this.#blockType(reader, true));
    if (!this.#live) return;
    this.loops++;
    frame.loops = ++this.#openLoops;
    if (frame.loops === 1) this.#edit(at, ENTER, 0);
    else this.#reload(at);
    this.#startSegment(reader.pos, false, true);
  }

  #else(reader: ByteReader, at: number): void {
    const frame = this.#frames[this.#top] as Frame;
    if (frame.kind !== IN_IF) throw malformed('else without if', at);
    this.#reload(at);
    this.#closeTo(frame.segment);
    if (this.#live) {
      frame.targeted = true;
      frame.path = Math.max(frame.path, this.#path);
    }
    frame.kind = IN_ELSE;
    this.#live = !frame.dead;
    this.#path = frame.pathAtIf;
    if (this.#live) this.#startSegment(reader.pos, true, false);
  }

  #end(reader: ByteReader, at: number): void {
    this.#reload(at);
    const top = this.#top;
    const frame = this.#frames[top] as Frame;
    this.#closeTo(frame.segment);
    this.#top--;
    if (top === 0) return;
    const around = this.#frames[top - 1] as Frame;
    if (frame.outermost < around.outermost) around.outermost = frame.outermost;
    if (frame.dead) {
      this.#live = false;
      return;
    }
    if (frame.kind === IN_LOOP) {
      this.#openLoops--;
      if (this.#openLoops === 0 && this.#live) this.#edit(reader.pos, LEAVE, 0);
    } else {
      let path = this.#live ? Math.max(frame.path, this.#path) : frame.path;
      if (frame.kind === IN_IF) path = Math.max(path, frame.pathAtIf);
      this.#path = path;
      this.#live ||= frame.targeted || frame.kind === IN_IF;
    }
    if (!this.#live) return;
    // What follows a long stretch gets its own charge, lest all of a long function be paid at its entry.
    const long = (this.amount[this.#segment] as number) >= STRAIGHT_LINE_MAX;
    if (long || frame.outermost < top) this.#startSegment(reader.pos, !long, false);
  }

  #branch(reader: ByteReader, at: number, opcode: number): void {
    const target = this.#top - reader.u32();
    if (target < 0) throw malformed('no such label', at);
    if (!this.#live) return;
    this.#reload(at);
    this.#add(1);
    this.#target(target);
    const conditional = opcode === 0x0d;
    const plain = conditional && (this.#frames[target] as Frame).arity === 0;
    // A branch back to the loop it stands in leaves nothing.
    this.#leaves(at, (this.#frames[target] as Frame).loops, plain ? EXIT_IF : EXIT);
    if (conditional) this.#startSegment(reader.pos, true, false);
    else this.#stop();
  }

  #branchTable(reader: ByteReader, at: number): void {
    const live = this.#live;
    if (live) {
      this.#reload(at);
      this.#add(WEIGHT[0x0e] as number);
    }
    let loops = this.#openLoops;
    for (let n = reader.u32(); n >= 0; n--) {
      const target = this.#top - reader.u32();
      if (target < 0) throw malformed('no such label', at);
      if (!live) continue;
      this.#target(target);
      loops = Math.min(loops, (this.#frames[target] as Frame).loops);
    }
    if (live) this.#leaves(at, loops, EXIT);
    this.#stop();
  }

  #target(target: number): void {
    const frame = this.#frames[target] as Frame;
    if (frame.kind !== IN_LOOP) {
      frame.targeted = true;
      if (this.#path > frame.path) frame.path = this.#path;
    }
    const here = this.#frames[this.#top] as Frame;
    if (target < here.outermost) here.outermost = target;
  }

  /** Notes a branch at `at` that leaves all but the outermost `loops` loops: past the last the counter is in its global again. */
  #leaves(at: number, loops: number, kind: number): void {
    if (this.#live && loops === 0 && this.#openLoops > 0) this.#edit(at, kind, 0);
  }

  #push(kind: number, arity: number): Frame {
    const top = ++this.#top;
    const frame = (this.#frames[top] ??= {
      kind: 0,
      arity: 0,
      segment: 0,
      loops: 0,
      dead: false,
      targeted: false,
      outermost: 0,
      path: 0,
      pathAtIf: 0,
    });
    frame.kind = kind;
    frame.arity = arity;
    frame.segment = this.#segment;
    frame.loops = this.#openLoops;
    frame.dead = !this.#live;
    frame.targeted = false;
    frame.outermost = top;
    frame.path = 0;
    frame.pathAtIf = this.#path;
    return frame;
  }

  /** Values a branch carries to a block of the type that follows: its results, for loops its parameters. */
  #blockType(reader: ByteReader, isLoop: boolean): number {
    const byte = reader.bytes[reader.pos] as number;
    if (byte === 0x40) {
      reader.byte();
      return 0;
    }
    if (byte < 0x40 || byte >= 0x80) {
      const type = reader.u32();
      const counts = isLoop ? this.#shape.typeParams : this.#shape.typeResults;
      const count = counts[type];
      if (count === undefined) throw malformed(`no type ${type}`, reader.pos);
      return count;
    }
    if (byte < 0x63) throw unsupported(refusedType(byte), reader.pos);
    readValueType(reader);
    return isLoop ? 0 : 1;
  }

  #startSegment(at: number, joinable: boolean, checked: boolean): void {
    const check = checked || this.#path >= STRAIGHT_LINE_MAX;
    const segment = this.segments++;
    if (segment === this.amount.length) this.#growSegments();
    this.amount[segment] = 0;
    this.#maybe[segment] = 0;
    this.checked[segment] = check ? 1 : 0;
    this.#joinable[segment] = joinable && !check ? 1 : 0;
    this.#link[segment] = this.#segment;
    this.inLoop[segment] = this.#openLoops > 0 ? 1 : 0;
    this.#segment = segment;
    if (check) this.#path = 0;
    this.#reload(at);
    this.#edit(at, CHARGE, segment);
  }

  /** Closes the segments opened since `segment` was current; small ones join the one around them. */
  #closeTo(segment: number): void {
    let closing = this.#segment;
    while (closing !== segment) {
      const around = this.#link[closing] as number;
      if (this.#joinable[closing] === 1) {
        const total = this.amount[closing] as number;
        const surely = (this.amount[around] as number) - (this.#maybe[around] as number);
        const maybe = (this.#maybe[around] as number) + total;
        if (maybe <= JOIN_SLACK + surely) {
          this.#maybe[around] = maybe;
          this.amount[around] = (this.amount[around] as number) + total;
          this.amount[closing] = 0;
        }
      }
      closing = around;
    }
    this.#segment = segment;
  }

  #edit(at: number, kind: number, argument: number): void {
    const base = this.editCount * EDIT_STRIDE;
    if (base === this.edits.length) this.edits = grown(this.edits);
    this.edits[base] = at;
    this.edits[base + 1] = kind;
    this.edits[base + 2] = argument;
    this.editCount++;
  }

  #growSegments(): void {
    this.amount = grown(this.amount);
    this.checked = grown(this.checked);
    this.inLoop = grown(this.inLoop);
    this.#link = grown(this.#link);
    this.#maybe = grown(this.#maybe);
    this.#joinable = grown(this.#joinable);
  }
}

function grown<T extends Int32Array | Uint8Array>(array: T): T {
  const larger =
    array instanceof Int32Array
      ? new Int32Array(array.length * 2)
      : new Uint8Array(array.length * 2);
  larger.set(array);
  // The constructor was chosen by the class of `array`.
  return larger as T;
}
