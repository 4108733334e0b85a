/**
 * Which generation of the process contract a component was built for, by the name of the interface it imports.
 * Source: kernel.md §9, findings.md section 5.
 */
import { quoteName } from './names.ts';

/** A generation as its import names it. */
export interface Generation {
  readonly packageName: 'hyperware' | 'kinode';
  /** As imported, such as `1.0.0`. */
  readonly version: string;
  /** Which one it is, of those this node runs. */
  readonly generation:
    | 'hyperware:process@1'
    | 'kinode:process@1.0.0'
    | 'kinode:process@0.8.0'
    | 'kinode:process@0.7.0';
}

/** The package under its three names so far. */
const IMPORT_NAME = /^(hyperware|kinode|uqbar):process\/standard(?:@(.*))?$/s;
/** A release, not a candidate: later ones of the same major version resolve to the same bindings. */
const HYPERWARE_1 = /^1\.(0|[1-9]\d*)\.(0|[1-9]\d*)$/;
const KINODE: ReadonlyMap<string, Generation['generation']> = new Map([
  ['0.7.0', 'kinode:process@0.7.0'],
  ['0.8.0', 'kinode:process@0.8.0'],
  ['1.0.0', 'kinode:process@1.0.0'],
]);

/** For messages: what this node runs. */
const SUPPORTED = 'hyperware:process@1.x, kinode:process@1.0.0, 0.8.0 and 0.7.0';

/**
 * The generation an imported interface belongs to; 'unsupported' when it is the process contract of one we do not run; undefined
 * when it is some other interface.
 */
export function generationOf(importName: string): Generation | 'unsupported' | undefined {
  const match = IMPORT_NAME.exec(importName);
  if (match === null) return undefined;
  const version = match[2] ?? '';
  if (match[1] === 'hyperware' && HYPERWARE_1.test(version)) {
    return { packageName: 'hyperware', version, generation: 'hyperware:process@1' };
  }
  const generation = match[1] === 'kinode' ? KINODE.get(version) : undefined;
  if (generation === undefined) return 'unsupported';
  return { packageName: 'kinode', version, generation };
}

/**
 * What to say of a component of a generation that this node does not run, wherever it is refused (findings.md section 5).
 * @param importName  as imported, such as `hyperware:process/standard@2.0.0`
 */
export function unsupportedGeneration(importName: string): string {
  const name = /^[a-z0-9:@./-]{1,60}$/.test(importName)
    ? importName.replace('/standard', '')
    : quoteName(importName);
  return `built for ${name}, a WIT generation this node does not support; it runs ${SUPPORTED}`;
}
