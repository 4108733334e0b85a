/** A core module as its sections: their ids, their order, where each one is. */
import { ByteReader, malformed, unsupported } from './fuel-bytes.ts';
import { WANTS_MEMORY_GROW, WANTS_TABLE_GROW } from './fuel-helpers.ts';
import { readCount } from './fuel-sections.ts';

export const TYPE = 1;
export const IMPORT = 2;
export const FUNCTION = 3;
export const TABLE = 4;
export const MEMORY = 5;
export const GLOBAL = 6;
export const EXPORT = 7;
export const START = 8;
export const ELEMENT = 9;
export const CODE = 10;
export const DATA = 11;
export const DATA_COUNT = 12;
const BEFORE_CODE = [TYPE, IMPORT, FUNCTION, TABLE, MEMORY, GLOBAL, EXPORT, START, ELEMENT];
export const SECTION_ORDER = [...BEFORE_CODE, DATA_COUNT, CODE, DATA];

/** The sections of a module by id, each a reader of its body; and the name section. */
export interface Sections {
  readonly known: ReadonlyMap<number, ByteReader>;
  readonly names: ByteReader | undefined;
}

/** @throws ImageError 'malformed', 'unsupported-feature' for sections a node does not run */
export function readSections(module: Uint8Array): Sections {
  const reader = new ByteReader(module);
  const header = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
  if (header.some((byte) => reader.byte() !== byte)) throw malformed('no module header', 0);
  const known = new Map<number, ByteReader>();
  let names: ByteReader | undefined;
  let rank = -1;
  while (reader.pos < reader.end) {
    const at = reader.pos;
    const id = reader.byte();
    const section = reader.slice(reader.u32());
    if (id === 0) {
      const name = new TextDecoder().decode(section.name());
      if (name === 'name') names = section;
      continue;
    }
    if (id === 13) throw unsupported('exceptions (tag section)', at);
    const next = SECTION_ORDER.indexOf(id);
    if (next < 0) throw unsupported(`section ${id}`, at);
    if (next <= rank) throw malformed(`section ${id} out of order`, at);
    rank = next;
    known.set(id, section);
  }
  return { known, names };
}

/** What growth the code seems to ask for: two bytes in a row that spell it. Data can look the same. */
export function guessWants(module: Uint8Array, sections: Sections): number {
  const code = sections.known.get(CODE);
  if (!code) return 0;
  const bytes = Buffer.from(module.buffer, module.byteOffset + code.pos, code.end - code.pos);
  const hasMemory = sections.known.has(MEMORY) || sections.known.has(IMPORT);
  const memory = hasMemory && bytes.includes(Buffer.from([0x40, 0x00]));
  const table = bytes.includes(Buffer.from([0xfc, 0x0f]));
  return (memory ? WANTS_MEMORY_GROW : 0) | (table ? WANTS_TABLE_GROW : 0);
}

/** Readers of the bodies of `defined` functions. @throws ImageError 'malformed' when there are more or fewer */
export function readBodies(section: ByteReader, defined: number): ByteReader[] {
  const count = readCount(section);
  if (count !== defined) throw malformed('as many functions as bodies expected', section.pos);
  const bodies: ByteReader[] = [];
  for (let n = count; n > 0; n--) bodies.push(section.slice(section.u32()));
  return bodies;
}
