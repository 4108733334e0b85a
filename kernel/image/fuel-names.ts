/** The `name` section after functions have moved, so that trap reports show the guest's own function names. */
import { ImageError } from '../engine.ts';
import type { ByteReader } from './fuel-bytes.ts';
import { ByteWriter } from './fuel-bytes.ts';
import { type ModuleShape, movedFunction } from './fuel-shape.ts';

const MODULE_NAME = 0;
const FUNCTION_NAMES = 1;

/**
 * The section's body, or undefined when the guest's cannot be read (a custom section never makes a module invalid).
 * Local, label and other names are dropped: no report shows them.
 * @param added  names of the functions we add, by their new index
 */
export function rewriteNames(
  section: ByteReader,
  shape: ModuleShape,
  added: ReadonlyMap<number, string>,
): ByteWriter | undefined {
  const limit = (section.end - section.pos) * 3 + (1 << 16);
  const out = new ByteWriter(section.end - section.pos + 4096, limit);
  out.name('name');
  try {
    while (section.pos < section.end) {
      const id = section.byte();
      const part = section.slice(section.u32());
      if (id === MODULE_NAME) {
        out.byte(id);
        out.u32(part.end - part.pos);
        out.copy(part.bytes, part.pos, part.end);
      } else if (id === FUNCTION_NAMES) {
        const names = new ByteWriter(part.end - part.pos + 4096, limit);
        rewriteFunctionNames(part, names, shape, added);
        out.section(id, names);
      }
    }
  } catch (error) {
    if (error instanceof ImageError) return undefined;
    throw error;
  }
  return out;
}

function rewriteFunctionNames(
  part: ByteReader,
  out: ByteWriter,
  shape: ModuleShape,
  added: ReadonlyMap<number, string>,
): void {
  const count = part.u32();
  const pending = [...added].toSorted((a, b) => a[0] - b[0]);
  out.u32(count + pending.length);
  let next = 0;
  const addBefore = (index: number): void => {
    for (; next < pending.length; next++) {
      const [at, name] = pending[next] as [number, string];
      if (at >= index) return;
      out.u32(at);
      out.name(name);
    }
  };
  for (let n = 0; n < count; n++) {
    const index = movedFunction(shape, part.u32(), part.pos);
    addBefore(index);
    out.u32(index);
    const name = part.name();
    out.u32(name.length);
    out.append(name);
  }
  addBefore(Infinity);
}
