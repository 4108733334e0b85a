/**
 * QuickJS's runtime exports a component function called `init` of its own, which collides with the `init` of our world. So we build
 * against a world whose export is called `inix` and repair the finished component: the runtime's `init` is no longer exported (the
 * engine accepts no export but ours, findings F1) and `inix` becomes `init` (dependencies.md §1).
 */
import { BuildError } from './build-error.ts';

/** The export the world copy asks for; as long as `init`, because only its letters are rewritten. */
export const PLACEHOLDER_EXPORT = 'inix';

const HEADER_BYTES = 8;
const SECTION_ALIAS = 6;
const SECTION_CUSTOM = 0;
const SECTION_EXPORT = 11;
const SORT_FUNC = 1;

interface Section {
  readonly id: number;
  /** Where its id stands. */
  readonly start: number;
  readonly body: number;
  readonly end: number;
}

/** Removes the runtime's `init` export and renames the placeholder. Returns new bytes. */
export function repairExports(component: Uint8Array): Uint8Array {
  const sections = readSections(component);
  const removed = sections.findIndex((s) => exportName(component, s) === 'init');
  const placeholder = sections.findIndex((s) => exportName(component, s) === PLACEHOLDER_EXPORT);
  if (removed < 0 || placeholder < removed) throw shapeError('its exports are not where they were');
  for (const between of sections.slice(removed + 1)) {
    // An export makes an index of its own. Removing one shifts what comes after, so nothing after it may name a function.
    if (![SECTION_ALIAS, SECTION_CUSTOM, SECTION_EXPORT].includes(between.id)) {
      throw shapeError(`section ${between.id} follows its exports`);
    }
  }
  const target = sections[placeholder];
  const gone = sections[removed];
  if (target === undefined || gone === undefined) throw shapeError('no exports');
  const renamed = component.slice();
  const name = target.body + 3;
  renamed.set(new TextEncoder().encode('init'), name);
  const index = name + PLACEHOLDER_EXPORT.length + 1;
  if (renamed[index - 1] !== SORT_FUNC || (renamed[index] ?? 0) >= 0x80 || renamed[index] === 0) {
    throw shapeError('its export is not a plain function');
  }
  renamed[index] = (renamed[index] ?? 0) - 1;
  const out = new Uint8Array(renamed.length - (gone.end - gone.start));
  out.set(renamed.subarray(0, gone.start));
  out.set(renamed.subarray(gone.end), gone.start);
  return out;
}

/** The name of a section that holds exactly one export with a plain name. */
function exportName(bytes: Uint8Array, section: Section): string | undefined {
  if (section.id !== SECTION_EXPORT) return undefined;
  const [count, kind, length] = bytes.subarray(section.body, section.body + 3);
  if (count !== 1 || kind !== 0 || length === undefined || length >= 0x80) return undefined;
  return new TextDecoder().decode(bytes.subarray(section.body + 3, section.body + 3 + length));
}

function readSections(bytes: Uint8Array): Section[] {
  const sections: Section[] = [];
  let at = HEADER_BYTES;
  while (at < bytes.length) {
    const start = at;
    const id = bytes[at++] ?? 0;
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined || shift > 28) throw shapeError('truncated section');
      size += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    if (at + size > bytes.length) throw shapeError('truncated section');
    sections.push({ id, start, body: at, end: at + size });
    at += size;
  }
  return sections;
}

function shapeError(what: string): BuildError {
  return new BuildError(
    'componentize',
    `the QuickJS component has an unknown shape (${what}): this version of componentize-qjs is not supported`,
  );
}
