/**
 * First pass over a function body: reads its instructions, refuses those a node does not run, tells `Regions` of control flow and
 * cost, and notes where indices are rewritten.
 */
import { type ByteReader, malformed, unsupported } from './fuel-bytes.ts';
import { GLOBAL_INDEX, REF_FUNC } from './fuel-edits.ts';
import {
  BYTES_4,
  BYTES_8,
  GLOBAL,
  INDEX,
  LAYOUT,
  LOCAL,
  MEMARG,
  PLAIN,
  refusedOpcode,
  SIGNED,
  simdWeight,
  SPECIAL,
  WEIGHT,
} from './fuel-opcodes.ts';
import { readBlockArity, readMiscellaneous, readVector, skipMemarg } from './fuel-operands.ts';
import type { Regions } from './fuel-regions.ts';
import { type ModuleShape, readReferenceType, readValueType } from './fuel-shape.ts';

export class BodyScanner {
  readonly #shape: ModuleShape;
  readonly #leafCost: Int32Array;
  readonly #regions: Regions;

  /** `leafCost`, per function: what direct callers pay for it, or -1 when it pays for itself. What is found goes to `regions`. */
  constructor(shape: ModuleShape, leafCost: Int32Array, regions: Regions) {
    this.#shape = shape;
    this.#leafCost = leafCost;
    this.#regions = regions;
  }

  /**
   * Scans the instructions of one body.
   * @param reader  at the first instruction, ending where the body ends
   * @param results  how many values the function gives
   * @param locals  how many locals and parameters it has
   */
  scan(reader: ByteReader, results: number, locals: number): void {
    const regions = this.#regions;
    regions.begin(reader.pos, results);
    while (regions.open) {
      const at = reader.pos;
      const opcode = reader.byte();
      switch (LAYOUT[opcode]) {
        case PLAIN:
          break;
        case MEMARG:
          skipMemarg(reader);
          break;
        case LOCAL:
          // The counter lives in a local past the guest's own: only this check keeps the guest away from it.
          if (reader.u32() >= locals) throw malformed('no such local', at);
          break;
        case GLOBAL:
          regions.edits.add(at, GLOBAL_INDEX);
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
      regions.charge(reader.pos, WEIGHT[opcode] as number);
    }
    if (reader.pos !== reader.end) throw malformed('code after the end of a function', reader.pos);
  }

  #special(reader: ByteReader, at: number, opcode: number): void {
    const regions = this.#regions;
    switch (opcode) {
      case 0x00:
        regions.stop();
        return;
      case 0x02:
        regions.block(readBlockArity(reader, this.#shape, false));
        return;
      case 0x03: {
        const arity = readBlockArity(reader, this.#shape, true);
        regions.loop(at, reader.pos, arity);
        return;
      }
      case 0x04: {
        const arity = readBlockArity(reader, this.#shape, false);
        regions.ifArm(at, reader.pos, arity);
        return;
      }
      case 0x05:
        regions.elseArm(at, reader.pos);
        return;
      case 0x0b:
        regions.end(at, reader.pos);
        return;
      case 0x0c:
      case 0x0d: {
        const depth = reader.u32();
        regions.branch(at, reader.pos, depth, opcode === 0x0d);
        return;
      }
      case 0x0e:
        regions.branchTable(at, WEIGHT[opcode] as number, reader);
        return;
      case 0x0f:
        regions.returns(at);
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
      case 0xfd: {
        const code = readVector(reader, at);
        regions.charge(reader.pos, simdWeight(code));
        return;
      }
      default:
        this.#rare(reader, at, opcode);
    }
  }

  #call(reader: ByteReader, at: number, opcode: number): void {
    const index = reader.u32();
    const direct = opcode === 0x10 || opcode === 0x12;
    const space = direct ? this.#shape.functionTypes : this.#shape.typeParams;
    if (index >= space.length) throw malformed(`no ${direct ? 'function' : 'type'} ${index}`, at);
    if (!direct) reader.u32();
    const leafCost = direct ? (this.#leafCost[index] as number) : -1;
    const weight = (WEIGHT[opcode] as number) + Math.max(0, leafCost);
    const callee = !direct ? 'unknown' : leafCost >= 0 ? 'leaf' : 'metered';
    if (opcode >= 0x12) this.#regions.tailCall(at, weight, callee);
    else this.#regions.call(at, reader.pos, weight, callee);
  }

  #miscellaneous(reader: ByteReader, at: number): void {
    const code = readMiscellaneous(reader, at);
    // All but dropping a segment and asking a table's size take as long as they are told.
    const bulk = code >= 8 && code !== 9 && code !== 13 && code !== 16;
    if (bulk) this.#regions.bulk(at);
    this.#regions.charge(reader.pos, code >= 8 ? 4 : 2);
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
        this.#regions.bulk(at);
        break;
      case 0xd0:
        readReferenceType(reader);
        break;
      default:
        this.#regions.edits.add(at, REF_FUNC);
        reader.u32();
    }
    this.#regions.charge(reader.pos, WEIGHT[opcode] as number);
  }
}
