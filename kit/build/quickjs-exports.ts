/**
 * QuickJS's runtime exports a component function called `init` of its own, which collides with the `init` of our world. So we build
 * against a world whose export is called `inix` and repair the finished component: the runtime's `init` is no longer exported (the
 * engine accepts no export but ours, findings F1) and `inix` becomes `init` (dependencies.md §1).
 */
import {
  componentWith,
  type ComponentSection,
  SECTION,
  sectionsOf,
  shapeError,
} from './component-edit.ts';

/** The export the world copy asks for; as long as `init`, because only its letters are rewritten. */
export const PLACEHOLDER_EXPORT = 'inix';

const SORT_FUNC = 1;

/** Removes the runtime's `init` export and renames the placeholder. Returns new bytes. */
export function repairExports(component: Uint8Array): Uint8Array {
  const sections = sectionsOf(component);
  const removed = sections.findIndex((section) => exportName(section) === 'init');
  const placeholder = sections.findIndex((section) => exportName(section) === PLACEHOLDER_EXPORT);
  if (removed < 0 || placeholder < removed) throw shapeError('its exports are not where they were');
  for (const between of sections.slice(removed + 1)) {
    // An export makes an index of its own. Removing one shifts what comes after, so nothing after it may name a function.
    if (!AFTER_EXPORT.includes(between.id))
      throw shapeError(`section ${between.id} follows its exports`);
  }
  const renamed = sections[placeholder]!.body.slice();
  renamed.set(new TextEncoder().encode('init'), NAME_AT);
  const index = NAME_AT + PLACEHOLDER_EXPORT.length + 1;
  if (renamed[index - 1] !== SORT_FUNC || (renamed[index] ?? 0) >= 0x80 || renamed[index] === 0) {
    throw shapeError('its export is not a plain function');
  }
  renamed[index] = (renamed[index] ?? 0) - 1;
  const kept = sections.map((section, at) =>
    at === placeholder ? { ...section, body: renamed } : section,
  );
  return componentWith(component, kept.toSpliced(removed, 1));
}

const AFTER_EXPORT: readonly number[] = [SECTION.alias, SECTION.custom, SECTION.export];
/** After the count, the kind of the name, and its length. */
const NAME_AT = 3;

/** The name of a section that holds exactly one export with a plain name. */
function exportName({ id, body }: ComponentSection): string | undefined {
  if (id !== SECTION.export) return undefined;
  const [count, kind, length] = body;
  if (count !== 1 || kind !== 0 || length === undefined || length >= 0x80) return undefined;
  return new TextDecoder().decode(body.subarray(NAME_AT, NAME_AT + length));
}
