/** Steps over the constant expressions that initialise globals and tables. */
import type { CoreFeature } from './component.ts';
import { CONSTANT_INSTRUCTIONS_MAX } from './limits.ts';
import { readHeapType } from './read-core-types.ts';
import type { ByteReader } from './reader.ts';

/** Instructions of the extended constant expressions: i32 and i64 add, sub, mul. */
const ARITHMETIC = new Set([0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e]);

/** Consumes one constant expression and its `end`. What newer proposals add goes to `features`. */
export function skipConstant(r: ByteReader, features: Set<CoreFeature>): void {
  for (let i = 0; i < CONSTANT_INSTRUCTIONS_MAX; i++) {
    const at = r.offset;
    const opcode = r.u8();
    if (opcode === 0x0b) return;
    if (ARITHMETIC.has(opcode)) continue;
    switch (opcode) {
      case 0x41:
        r.s32();
        break;
      case 0x42:
        r.s64();
        break;
      case 0x43:
        r.skip(4);
        break;
      case 0x44:
        r.skip(8);
        break;
      case 0x23:
      case 0xd2:
        r.u32();
        break;
      case 0xd0:
        readHeapType(r, features);
        break;
      case 0xfb:
        features.add('gc');
        skipGcConstant(r, at);
        break;
      case 0xfd:
        if (r.u32() !== 12) r.fail('instruction that is not constant', at);
        r.skip(16);
        break;
      default:
        r.fail(`instruction 0x${opcode.toString(16)} that is not constant`, at);
    }
  }
  r.fail(`constant expression of over ${CONSTANT_INSTRUCTIONS_MAX} instructions`);
}

function skipGcConstant(r: ByteReader, at: number): void {
  const opcode = r.u32();
  switch (opcode) {
    case 0: // struct.new
    case 1: // struct.new_default
    case 6: // array.new
    case 7: // array.new_default
      r.u32();
      return;
    case 8: // array.new_fixed
      r.u32();
      r.u32();
      return;
    case 26: // any.convert_extern
    case 27: // extern.convert_any
    case 28: // ref.i31
      return;
    default:
      r.fail(`instruction 0xfb ${opcode} that is not constant`, at);
  }
}
