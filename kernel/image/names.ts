/**
 * Which names a component may use. Names end up in code that tools generate and in reports that people read, so they are checked
 * before anything else sees the component. Source: findings.md F1.
 */
import { ImageError } from '../engine.ts';

/** Every name of 1,324 real ones fits; quotes, backslashes, control characters, braces and commas do not. */
const SAFE_NAME = /^[A-Za-z0-9 _#$()./:=>@|[\]-]*$/;
const KEBAB = /^([a-z][a-z0-9]*|[A-Z][A-Z0-9]*)(-([a-z0-9]+|[A-Z0-9]+))*$/;
/** Characters of an offending name that a message repeats. */
const SHOWN_CHARACTERS = 60;

/** Whether a name may appear in a component that this node runs. */
export function isSafeName(name: string): boolean {
  // Not only text matters: an object keyed by names must not be able to lose its prototype.
  return SAFE_NAME.test(name) && name !== '__proto__';
}

/** Whether a name is one a WIT file could give to a function, a type or a field, such as `process-id`. */
export function isKebabName(name: string): boolean {
  return KEBAB.test(name);
}

/**
 * @param what  where the name stands, such as `core import module`
 * @throws ImageError 'unsafe-name'
 */
export function expectSafeName(name: string, what: string): void {
  if (isSafeName(name)) return;
  throw new ImageError(
    'unsafe-name',
    `unsafe name ${quoteName(name)} as ${what}: a component may only use letters, digits, spaces and _#$()./:=>@|[]- in names`,
  );
}

/** A name for use in a message: shortened, in quotes, printable ASCII only. */
export function quoteName(name: string): string {
  const shown = name.length > SHOWN_CHARACTERS ? `${name.slice(0, SHOWN_CHARACTERS)}...` : name;
  return JSON.stringify(shown).replace(
    /[^ -~]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
