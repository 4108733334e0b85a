/** Second pass over a function body: copies it, with the edits that the first (fuel-scanner.ts) found. */
import { ImageError } from '../engine.ts';
import { ByteReader, type ByteWriter, malformed, unsupported } from './fuel-bytes.ts';
import {
  BULK,
  CALL,
  CHARGE,
  EDIT_STRIDE,
  ENTER,
  EXIT,
  EXIT_IF,
  GLOBAL_INDEX,
  grown,
  LEAVE,
  REF_FUNC,
  RELOAD,
  SPILL,
} from './fuel-edits.ts';
import type { Helpers } from './fuel-helpers.ts';
import { LEAF_COST_MAX, Regions } from './fuel-regions.ts';
import { BodyScanner } from './fuel-scanner.ts';
import { type ModuleShape, movedFunction, movedGlobal, readValueType } from './fuel-shape.ts';

/** Locals and parameters a function may have in V8; ours adds one. */
const LOCALS_MAX = 50_000;
/** Bytes of one function body in V8. */
const BODY_BYTES_MAX = 7_654_321;
/** Longer bodies are not looked at when tiny functions are sought. */
const LEAF_BYTES_MAX = 96;

/** Where the counter and the way out are, after the rewrite. */
export interface FuelIndices {
  readonly fuel: number;
  readonly yieldFunction: number;
}

export class CodeRewriter {
  readonly #shape: ModuleShape;
  readonly #helpers: Helpers;
  readonly #indices: FuelIndices;
  /** Per function: what direct callers pay for it, or -1 when it pays for itself. */
  readonly #leafCost: Int32Array;
  readonly #regions = new Regions();
  readonly #scanner: BodyScanner;
  /** Offsets of our checks in the body written last: branches hardly ever taken. */
  checks: Int32Array = new Int32Array(256);
  checkCount = 0;
  #start = 0;
  #counter = 0;

  constructor(shape: ModuleShape, helpers: Helpers, indices: FuelIndices) {
    this.#shape = shape;
    this.#helpers = helpers;
    this.#indices = indices;
    this.#leafCost = new Int32Array(shape.functionTypes.length).fill(-1);
    this.#scanner = new BodyScanner(shape, this.#leafCost, this.#regions);
  }

  /**
   * Decides whether function `index` is so small that its direct callers pay for it: no loop, no call, hardly any code, and reached in no
   * other way. Asked for each function before the first is rewritten; a callee asked later counts as a call.
   */
  findLeaf(body: ByteReader, index: number): void {
    if (body.end - body.pos > LEAF_BYTES_MAX || this.#shape.escaping.has(index)) return;
    this.#analyse(new ByteReader(body.bytes, body.pos, body.end), index);
    if (this.#isLeaf()) this.#leafCost[index] = this.#regions.cost;
  }

  /** Writes the body of function `index`, without its length, to `out`. */
  rewrite(body: ByteReader, index: number, out: ByteWriter): void {
    const start = body.pos;
    const { locals, declarationsEnd, groups } = this.#analyse(body, index);
    const { segments } = this.#regions;
    const leaf = this.#isLeaf();
    if (leaf) segments.checked[0] = 0;
    if ((this.#leafCost[index] as number) >= 0) segments.amount.fill(0, 0, segments.count);
    this.#start = out.length;
    this.#counter = locals;
    this.checkCount = 0;
    if (leaf) out.copy(body.bytes, start, declarationsEnd);
    else {
      if (locals >= LOCALS_MAX) throw limit(`a function with ${locals} locals`);
      out.u32(groups + 1);
      const first = new ByteReader(body.bytes, start);
      first.u32();
      out.copy(body.bytes, first.pos, declarationsEnd);
      out.byte(1);
      out.byte(0x7f);
    }
    this.#emit(body.bytes, declarationsEnd, body.end, out);
    if (out.length - this.#start > BODY_BYTES_MAX) throw limit('a function too long');
  }

  /** Whether the function analysed last is small enough to be paid for by whoever calls it. */
  #isLeaf(): boolean {
    const { calls, loops, cost } = this.#regions;
    return !calls && loops === 0 && cost <= LEAF_COST_MAX;
  }

  #analyse(
    body: ByteReader,
    index: number,
  ): { locals: number; declarationsEnd: number; groups: number } {
    const type = this.#shape.functionTypes[index] as number;
    let locals = this.#shape.typeParams[type] as number;
    const groups = body.u32();
    for (let n = groups; n > 0; n--) {
      locals += body.u32();
      if (locals > LOCALS_MAX) throw malformed('too many locals', body.pos);
      readValueType(body);
    }
    const declarationsEnd = body.pos;
    this.#scanner.scan(body, this.#shape.typeResults[type] as number, locals);
    return { locals, declarationsEnd, groups };
  }

  #emit(bytes: Uint8Array, from: number, to: number, out: ByteWriter): void {
    const { edits, segments } = this.#regions;
    const { entries, count } = edits;
    const reader = new ByteReader(bytes, from, to);
    for (let n = 0; n < count; n++) {
      const base = n * EDIT_STRIDE;
      const at = entries[base] as number;
      const kind = entries[base + 1] as number;
      const argument = entries[base + 2] as number;
      const joined = segments.amount[argument] === 0 && segments.checked[argument] === 0;
      if (kind === CHARGE && joined) continue;
      if (at > reader.pos) {
        out.copy(bytes, reader.pos, at);
        reader.pos = at;
      }
      switch (kind) {
        case CHARGE:
          this.#charge(out, argument);
          break;
        case ENTER:
        case RELOAD:
          this.#load(out);
          break;
        case LEAVE:
        case EXIT:
        case SPILL:
          this.#store(out);
          break;
        case EXIT_IF:
          this.#exitIf(reader, out);
          break;
        default:
          this.#index(reader, out, kind);
      }
    }
    out.copy(bytes, reader.pos, to);
  }

  /** Rewrites the instruction at the reader, whose index moves or which a helper replaces. */
  #index(reader: ByteReader, out: ByteWriter, kind: number): void {
    const at = reader.pos;
    const opcode = reader.byte();
    if (kind === BULK) {
      out.byte(0x10);
      out.u32(this.#helper(reader, opcode));
      return;
    }
    out.byte(opcode);
    const index = reader.u32();
    if (kind === CALL || kind === REF_FUNC) out.u32(movedFunction(this.#shape, index, at));
    else if (kind === GLOBAL_INDEX) out.u32(movedGlobal(this.#shape, index, at));
  }

  #helper(reader: ByteReader, opcode: number): number {
    if (opcode === 0x40) {
      reader.byte();
      return this.#helpers.memoryGrow();
    }
    const code = reader.u32();
    const first = reader.u32();
    switch (code) {
      case 8:
        if (reader.u32() !== 0) throw unsupported('multiple memories', reader.pos);
        return this.#helpers.memoryInit(first);
      case 10:
        if (reader.u32() !== 0 || first !== 0) throw unsupported('multiple memories', reader.pos);
        return this.#helpers.memoryCopy();
      case 11:
        if (first !== 0) throw unsupported('multiple memories', reader.pos);
        return this.#helpers.memoryFill();
      case 12:
        return this.#helpers.tableInit(first, this.#table(reader.u32(), reader));
      case 14:
        return this.#helpers.tableCopy(
          this.#table(first, reader),
          this.#table(reader.u32(), reader),
        );
      case 15:
        return this.#helpers.tableGrow(this.#table(first, reader));
      default:
        return this.#helpers.tableFill(this.#table(first, reader));
    }
  }

  #table(index: number, reader: ByteReader): number {
    if (index >= this.#shape.tableTypes.length) throw malformed(`no table ${index}`, reader.pos);
    return index;
  }

  /** `br_if` out of all loops: the counter is written back on the way out only. */
  #exitIf(reader: ByteReader, out: ByteWriter): void {
    reader.byte();
    out.byte(0x04);
    out.byte(0x40);
    this.#store(out);
    out.byte(0x0c);
    out.u32(reader.u32() + 1);
    out.byte(0x0b);
  }

  /** local = global */
  #load(out: ByteWriter): void {
    out.byte(0x23);
    out.u32(this.#indices.fuel);
    out.byte(0x21);
    out.u32(this.#counter);
  }

  /** global = local */
  #store(out: ByteWriter): void {
    out.byte(0x20);
    out.u32(this.#counter);
    out.byte(0x24);
    out.u32(this.#indices.fuel);
  }

  #charge(out: ByteWriter, segment: number): void {
    const { amount, checked, inLoop } = this.#regions.segments;
    const inLocal = inLoop[segment] === 1;
    out.byte(inLocal ? 0x20 : 0x23);
    out.u32(inLocal ? this.#counter : this.#indices.fuel);
    out.byte(0x41);
    // A check that charges nothing could be passed for ever.
    out.s32(Math.max(1, amount[segment] as number));
    out.byte(0x6b);
    if (checked[segment] !== 1) {
      out.byte(inLocal ? 0x21 : 0x24);
      out.u32(inLocal ? this.#counter : this.#indices.fuel);
      return;
    }
    out.byte(0x22);
    out.u32(this.#counter);
    if (!inLocal) {
      out.byte(0x24);
      out.u32(this.#indices.fuel);
      out.byte(0x20);
      out.u32(this.#counter);
    }
    out.byte(0x41);
    out.byte(0x00);
    out.byte(0x48);
    if (this.checkCount === this.checks.length) this.checks = grown(this.checks);
    this.checks[this.checkCount++] = out.length - this.#start;
    out.byte(0x04);
    out.byte(0x40);
    if (inLocal) this.#store(out);
    out.byte(0x10);
    out.u32(this.#indices.yieldFunction);
    if (inLocal) this.#load(out);
    out.byte(0x0b);
  }
}

const limit = (what: string): ImageError =>
  new ImageError('limit', `core module: ${what} leaves no room for fuel`);
