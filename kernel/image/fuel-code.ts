/** Second pass over a function body: copies it, with the edits that `Regions` found. */
import { ImageError } from '../engine.ts';
import { ByteReader, type ByteWriter, malformed, unsupported } from './fuel-bytes.ts';
import type { Helpers } from './fuel-helpers.ts';
import { refusedType } from './fuel-opcodes.ts';
import {
  BULK,
  CALL,
  CHARGE,
  EDIT_STRIDE,
  ENTER,
  EXIT,
  EXIT_IF,
  GLOBAL_INDEX,
  LEAF_COST_MAX,
  LEAVE,
  REF_FUNC,
  RELOAD,
  Regions,
  SPILL,
} from './fuel-regions.ts';
import { EXTERNREF, FUNCREF, type ModuleShape, movedFunction, movedGlobal } from './fuel-shape.ts';

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
  readonly #regions: Regions;
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
    this.#regions = new Regions(shape, this.#leafCost);
  }

  /**
   * Decides whether function `index` is so small that its direct callers pay for it: no loop, no call, hardly any code, and reached in no
   * other way. Asked for each function before the first is rewritten; a callee asked later counts as a call.
   */
  findLeaf(body: ByteReader, index: number): void {
    if (body.end - body.pos > LEAF_BYTES_MAX || this.#shape.escaping.has(index)) return;
    this.#analyse(new ByteReader(body.bytes, body.pos, body.end), index);
    const { calls, loops, cost } = this.#regions;
    if (!calls && loops === 0 && cost <= LEAF_COST_MAX) this.#leafCost[index] = cost;
  }

  /** Writes the body of function `index`, without its length, to `out`. */
  rewrite(body: ByteReader, index: number, out: ByteWriter): void {
    const start = body.pos;
    const { locals, declarationsEnd, groups } = this.#analyse(body, index);
    const regions = this.#regions;
    const leaf = !regions.calls && regions.loops === 0 && regions.cost <= LEAF_COST_MAX;
    if (leaf) regions.checked[0] = 0;
    if ((this.#leafCost[index] as number) >= 0) regions.amount.fill(0, 0, regions.segments);
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
      const valueType = body.byte();
      if (
        (valueType < 0x7b || valueType > 0x7f) &&
        valueType !== FUNCREF &&
        valueType !== EXTERNREF
      ) {
        throw unsupported(refusedType(valueType), body.pos - 1);
      }
    }
    const declarationsEnd = body.pos;
    this.#regions.analyse(body, this.#shape.typeResults[type] as number, locals);
    return { locals, declarationsEnd, groups };
  }

  #emit(bytes: Uint8Array, from: number, to: number, out: ByteWriter): void {
    const { edits, editCount } = this.#regions;
    const reader = new ByteReader(bytes, from, to);
    for (let n = 0; n < editCount; n++) {
      const base = n * EDIT_STRIDE;
      const at = edits[base] as number;
      const argument = edits[base + 2] as number;
      const kind = edits[base + 1] as number;
      if (
        kind === CHARGE &&
        this.#regions.amount[argument] === 0 &&
        this.#regions.checked[argument] === 0
      ) {
        continue;
      }
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
    const regions = this.#regions;
    const inLocal = regions.inLoop[segment] === 1;
    const checked = regions.checked[segment] === 1;
    out.byte(inLocal ? 0x20 : 0x23);
    out.u32(inLocal ? this.#counter : this.#indices.fuel);
    out.byte(0x41);
    // A check that charges nothing could be passed for ever.
    out.s32(Math.max(1, regions.amount[segment] as number));
    out.byte(0x6b);
    if (!checked) {
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

function grown(array: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2);
  larger.set(array);
  return larger;
}

const limit = (what: string): ImageError =>
  new ImageError('limit', `core module: ${what} leaves no room for fuel`);
