/**
 * The scripts of one package from one snapshot. Making a QuickJS component costs half a second and more of CPU, nearly all of it for
 * the engine and not for the script, and a terminal has a dozen of them. So all are put into one component that picks one of them by
 * a name it finds in a byte array, and the others are copies with another name written into that array.
 */
import { createHash } from 'node:crypto';
import { bundleEntry, preludeOf } from './bundle-script.ts';
import { componentizeQuickJs } from './quickjs.ts';
import { PLACEHOLDER_EXPORT } from './quickjs-exports.ts';

export interface NamedScript {
  readonly name: string;
  /** Absolute path of its entry file. */
  readonly file: string;
}

export interface ScriptsBuild {
  /** By name. */
  readonly components: ReadonlyMap<string, Uint8Array>;
  readonly inputs: readonly string[];
}

const MAGIC_BYTES = 24;
/** Names are padded to this with spaces. */
const NAME_BYTES = 64;
const SPACE = 0x20;

/**
 * @returns undefined when the array cannot be found once in the component, so that they must be built one by one
 * @throws BuildError as a single build does
 */
export async function buildScriptsTogether(
  scripts: readonly NamedScript[],
): Promise<ScriptsBuild | undefined> {
  const [first] = scripts;
  if (first === undefined || scripts.some(({ name }) => name.length > NAME_BYTES)) return undefined;
  // Fixed by the names, so that equal sources make equal components; without zero bytes, which a snapshot leaves out.
  const magic = magicOf(scripts.map(({ name }) => name));
  const { code, inputs } = await bundleEntry(entryOf(scripts, magic), first.file);
  const base = await componentizeQuickJs(
    code,
    `the scripts ${scripts.map((s) => s.name).join(', ')}`,
  );
  const found = Buffer.from(base.buffer, base.byteOffset, base.length);
  const at = found.indexOf(magic);
  if (at < 0 || found.indexOf(magic, at + 1) >= 0) return undefined;
  const components = new Map<string, Uint8Array>();
  for (const { name } of scripts) {
    const component = base.slice();
    component.fill(SPACE, at + MAGIC_BYTES, at + MAGIC_BYTES + NAME_BYTES);
    component.set(new TextEncoder().encode(name), at + MAGIC_BYTES);
    components.set(name, component);
  }
  return { components, inputs };
}

function entryOf(scripts: readonly NamedScript[], magic: Uint8Array): string {
  const imports = scripts.map(
    ({ file }, index) => `import * as guest${index} from ${JSON.stringify(file)};`,
  );
  const guests = scripts.map(({ name }, index) => `${JSON.stringify(name)}: boot(guest${index})`);
  const marker = [...magic, ...new Uint8Array(NAME_BYTES).fill(SPACE)];
  return [
    `import { boot } from ${JSON.stringify(preludeOf('quickjs'))};`,
    ...imports,
    `const marker = new Uint8Array([${marker.join(',')}]);`,
    `const guests = { ${guests.join(', ')} };`,
    `export const ${PLACEHOLDER_EXPORT} = (our) =>`,
    `  guests[String.fromCharCode(...marker.subarray(${MAGIC_BYTES})).trim()](our);`,
  ].join('\n');
}

function magicOf(names: readonly string[]): Buffer {
  const digest = createHash('sha256').update(`scripts of ${names.join()}`).digest();
  return digest.subarray(0, MAGIC_BYTES).map((byte) => byte | 1) as Buffer;
}
