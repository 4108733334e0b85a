/** The immediates of instructions: what of them must be looked at, and the rest skipped. */
import { type ByteReader, malformed, unsupported } from './fuel-bytes.ts';
import {
  BYTES_16,
  LANE,
  MEMARG,
  MEMARG_LANE,
  refusedType,
  SIMD_LAST,
  simdLayout,
} from './fuel-opcodes.ts';
import { type ModuleShape, readValueType } from './fuel-shape.ts';

/** Skips the alignment and offset of a memory access. */
export function skipMemarg(reader: ByteReader): void {
  // From 0x40 on the alignment's bits announce a memory index.
  if (reader.u32() >= 0x40) throw unsupported('multiple memories', reader.pos);
  reader.u32();
}

/** Skips what follows the FD prefix at `at`; returns the SIMD instruction's code. */
export function readVector(reader: ByteReader, at: number): number {
  const code = reader.u32();
  if (code > SIMD_LAST) throw unsupported(`SIMD opcode ${code}`, at);
  switch (simdLayout(code)) {
    case MEMARG:
      skipMemarg(reader);
      break;
    case MEMARG_LANE:
      skipMemarg(reader);
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
  return code;
}

/** Skips what follows the FC prefix at `at`; returns the instruction's code: below 8 a saturating truncation, then bulk operations. */
export function readMiscellaneous(reader: ByteReader, at: number): number {
  const code = reader.u32();
  if (code > 17) throw unsupported(`opcode 0xfc ${code}`, at);
  if (code >= 8) reader.u32();
  if (code === 8 || code === 10 || code === 12 || code === 14) reader.u32();
  return code;
}

/** Values a branch carries to a block of the type that follows: its results, for loops its parameters. */
export function readBlockArity(reader: ByteReader, shape: ModuleShape, isLoop: boolean): number {
  const byte = reader.bytes[reader.pos] as number;
  if (byte === 0x40) {
    reader.byte();
    return 0;
  }
  if (byte < 0x40 || byte >= 0x80) {
    const type = reader.u32();
    const counts = isLoop ? shape.typeParams : shape.typeResults;
    const count = counts[type];
    if (count === undefined) throw malformed(`no type ${type}`, reader.pos);
    return count;
  }
  if (byte < 0x63) throw unsupported(refusedType(byte), reader.pos);
  readValueType(reader);
  return isLoop ? 0 : 1;
}
