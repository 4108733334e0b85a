/**
 * UTF-8, SHA-256 and keccak256 for QuickJS guests, whose engine has none of them: interpreted, a byte costs 300 to 500 instructions in the first,
 * 2,000 in the second and 37,000 in the last, here 25, 70 and 60. The guest is built with an import, `hyperloom:guest/native`, that no host has. It is taken out of the finished
 * component again: a core module beside the engine's, on the engine's memory, does its work (utf8-wat.ts, sha256-wat.ts, keccak-wat.ts), and the component
 * asks for nothing that others do not.
 *
 * What componentize-qjs 0.4.5 makes is an outer component, which has the imports, around the one with the engine. Both lose the import
 * (and what counts imports counts one less); the inner one's two `canon lower` of it become aliases of the core module's functions.
 */
import {
  componentWith,
  joined,
  leb,
  named,
  Reader,
  SECTION,
  type ComponentSection,
  sectionOf,
  sectionsOf,
  shapeError,
} from './component-edit.ts';
import { KECCAK_FUNCTIONS } from './keccak-wat.ts';
import { SHA256_FUNCTIONS } from './sha256-wat.ts';
import { UTF8_FUNCTIONS } from './utf8-wat.ts';
import { parseText } from './wasm-tools.ts';

export const NATIVE_INTERFACE = 'hyperloom:guest/native@1.0.0';
/** `decode-utf8` of what is no UTF-8 is none. */
export const NATIVE_WIT = `package hyperloom:guest@1.0.0;
interface native {
  decode-utf8: func(bytes: list<u8>) -> option<string>;
  encode-utf8: func(text: string) -> list<u8>;
  sha256: func(bytes: list<u8>) -> list<u8>;
  keccak256: func(bytes: list<u8>) -> list<u8>;
}
`;

const FUNCTION_COUNT = 4;

/** Its functions are as the canonical ABI lowers those of the interface: bytes, their number, and where the result goes. */
const MODULE = `(module
  (import "env" "memory" (memory 0))
  (import "env" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
  ${UTF8_FUNCTIONS}
  ${SHA256_FUNCTIONS}
  ${KECCAK_FUNCTIONS})`;

/** Replaces the import by the module. @throws BuildError for a component of another shape */
export async function withNative(component: Uint8Array): Promise<Uint8Array> {
  const module = await parseText(MODULE, 'quickjs-native.ts');
  const outer = new Edit();
  let replaced = 0;
  const sections = sectionsOf(component).flatMap((section): readonly ComponentSection[] => {
    if (section.id !== SECTION.component) return outer.section(section);
    const inner = new Edit(module);
    const body = sectionsOf(section.body).flatMap((each) => inner.section(each));
    if (inner.replaced === 0) return [section];
    replaced += inner.replaced;
    return [{ id: section.id, body: componentWith(section.body, body) }];
  });
  if (replaced !== FUNCTION_COUNT)
    throw shapeError(`it lowers ${replaced} of ${FUNCTION_COUNT} native functions`);
  return componentWith(component, sections);
}

/** Sorts of the component level, as they are encoded. */
const SORT = { core: 0, func: 1, instance: 5 } as const;

/** One component's sections, one after another. */
class Edit {
  /** Lowered functions that were replaced so far. */
  replaced = 0;
  /** Undefined for the outer component, which lowers nothing. */
  readonly #module: Uint8Array | undefined;
  /** So far, in the component as it was. */
  #instances = 0;
  #functions = 0;
  #coreInstances = 0;
  #coreModules = 0;
  /** The import's index; indices above it are one less. */
  #import: number | undefined;
  /** By the index of the function as it was: which of ours it is. */
  readonly #ours = new Map<number, string>();
  /** Core instances before the two that are put in, and modules before the one; those that follow are so many more. */
  #coreInstancesBefore: number | undefined;
  #coreModulesBefore = 0;

  constructor(module?: Uint8Array) {
    this.#module = module;
  }

  section(section: ComponentSection): ComponentSection[] {
    const { id } = section;
    if (id === SECTION.coreModule) this.#coreModules += 1;
    const read = this.#readers[id];
    if (read === undefined) return [section];
    const reader = new Reader(section.body);
    const made: ComponentSection[] = [];
    let entries: Uint8Array[] = [];
    const close = (): void => {
      if (entries.length > 0) made.push(sectionOf(id, entries));
      entries = [];
    };
    for (let left = reader.u32(); left > 0; left -= 1) {
      const entry = read(reader);
      if (entry instanceof Uint8Array) entries.push(entry);
      else {
        close();
        made.push(...entry);
      }
    }
    close();
    return made;
  }

  /** By section: an entry as it is to be, or what stands in its place. */
  readonly #readers: Readonly<
    Record<number, (reader: Reader) => Uint8Array | readonly ComponentSection[]>
  > = {
    [SECTION.import]: (reader) => this.#imported(reader),
    [SECTION.alias]: (reader) => this.#alias(reader),
    [SECTION.canon]: (reader) => this.#canon(reader),
    [SECTION.coreInstance]: (reader) => this.#coreInstance(reader),
    [SECTION.instance]: (reader) => this.#instance(reader),
    [SECTION.export]: (reader) => this.#exported(reader),
  };

  #imported(reader: Reader): Uint8Array | readonly ComponentSection[] {
    const start = reader.at;
    reader.byte();
    const name = reader.name();
    if (reader.byte() !== SORT.instance)
      throw shapeError(`it imports ${name}, which is no instance`);
    reader.u32();
    const index = this.#instances++;
    if (name !== NATIVE_INTERFACE) return reader.since(start);
    this.#import = index;
    return [];
  }

  #alias(reader: Reader): Uint8Array | readonly ComponentSection[] {
    const sort = sortOf(reader);
    const target = reader.byte();
    if (target === 2) {
      const outer = [...leb(reader.u32()), ...leb(reader.u32())];
      return Uint8Array.from([...sort, target, ...outer]);
    }
    const from = reader.u32();
    const name = reader.name();
    if (target === 1)
      return Uint8Array.from([...sort, target, ...leb(this.#core(from)), ...named(name)]);
    if (sort[0] === SORT.instance) this.#instances += 1;
    if (sort[0] === SORT.func) {
      const index = this.#functions++;
      if (from === this.#import) {
        this.#ours.set(index, name);
        return [];
      }
    }
    return Uint8Array.from([...sort, target, ...leb(this.#moved(from)), ...named(name)]);
  }

  #canon(reader: Reader): Uint8Array | readonly ComponentSection[] {
    const start = reader.at;
    const kind = reader.byte();
    if (kind !== 0 && kind !== 1) {
      if (kind > 4) throw shapeError(`it has a canonical function of kind ${kind}`);
      reader.u32();
      return reader.since(start);
    }
    reader.byte();
    const index = reader.u32();
    const optionsAt = reader.at;
    const { memory, realloc } = optionsOf(reader);
    if (kind === 0) {
      reader.u32();
      this.#functions += 1;
      return reader.since(start);
    }
    const ours = this.#ours.get(index);
    if (ours === undefined)
      return joined([
        Uint8Array.from([1, 0, ...leb(this.#movedFunction(index))]),
        reader.since(optionsAt),
      ]);
    if (this.#module === undefined || memory === undefined || realloc === undefined)
      throw shapeError('the native functions are lowered without memory');
    this.replaced += 1;
    return [...this.#put(memory, realloc), this.#coreAlias(ours)];
  }

  /** The module and its instance, before the first function of it. */
  #put(memory: number, realloc: number): readonly ComponentSection[] {
    if (this.#coreInstancesBefore !== undefined) return [];
    this.#coreInstancesBefore = this.#coreInstances;
    this.#coreModulesBefore = this.#coreModules;
    const environment = [
      ...[1, 2],
      ...[...named('memory'), 2, ...leb(memory)],
      ...[...named('realloc'), 0, ...leb(realloc)],
    ];
    const instance = [
      ...[0, ...leb(this.#coreModules), 1],
      ...[...named('env'), 0x12, ...leb(this.#coreInstances)],
    ];
    return [
      { id: SECTION.coreModule, body: this.#module! },
      sectionOf(SECTION.coreInstance, [Uint8Array.from(environment), Uint8Array.from(instance)]),
    ];
  }

  #coreAlias(name: string): ComponentSection {
    const instance = this.#coreInstancesBefore! + 1;
    const entry = [SORT.core, 0, 1, ...leb(instance), ...named(name)];
    return sectionOf(SECTION.alias, [Uint8Array.from(entry)]);
  }

  #coreInstance(reader: Reader): Uint8Array {
    const start = reader.at;
    this.#coreInstances += 1;
    if (reader.byte() === 1) {
      for (let left = reader.u32(); left > 0; left -= 1) {
        reader.name();
        reader.byte();
        reader.u32();
      }
      return reader.since(start);
    }
    const module = reader.u32();
    const moved =
      this.#coreInstancesBefore !== undefined && module >= this.#coreModulesBefore
        ? module + 1
        : module;
    const count = reader.u32();
    const bytes = [0, ...leb(moved), ...leb(count)];
    for (let left = count; left > 0; left -= 1)
      bytes.push(...named(reader.name()), reader.byte(), ...leb(this.#core(reader.u32())));
    return Uint8Array.from(bytes);
  }

  #instance(reader: Reader): Uint8Array {
    this.#instances += 1;
    const kind = reader.byte();
    const component = kind === 0 ? leb(reader.u32()) : [];
    const parts: number[][] = [];
    for (let left = reader.u32(); left > 0; left -= 1) {
      const prefix = kind === 0 ? [] : [reader.byte()];
      const name = reader.name();
      const sort = sortOf(reader);
      const index = reader.u32();
      if (name === NATIVE_INTERFACE) continue;
      parts.push([...prefix, ...named(name), ...sort, ...leb(this.#movedSort(sort, index))]);
    }
    return Uint8Array.from([kind, ...component, ...leb(parts.length), ...parts.flat()]);
  }

  #exported(reader: Reader): Uint8Array {
    const prefix = reader.byte();
    const name = reader.name();
    const sort = sortOf(reader);
    const index = reader.u32();
    const typed = reader.byte();
    if (typed !== 0) throw shapeError(`its export ${name} has a type`);
    if (sort[0] === SORT.func) this.#functions += 1;
    const moved = leb(this.#movedSort(sort, index));
    return Uint8Array.from([prefix, ...named(name), ...sort, ...moved, typed]);
  }

  #movedSort(sort: readonly number[], index: number): number {
    if (sort[0] === SORT.instance) return this.#moved(index);
    return sort[0] === SORT.func ? this.#movedFunction(index) : index;
  }

  #moved(instance: number): number {
    return this.#import !== undefined && instance > this.#import ? instance - 1 : instance;
  }

  #movedFunction(index: number): number {
    return index - [...this.#ours.keys()].filter((gone) => gone < index).length;
  }

  #core(instance: number): number {
    const before = this.#coreInstancesBefore;
    return before !== undefined && instance >= before ? instance + 2 : instance;
  }
}

/** A sort's bytes: one, or two for one of the core. */
function sortOf(reader: Reader): number[] {
  const sort = reader.byte();
  return sort === SORT.core ? [sort, reader.byte()] : [sort];
}

function optionsOf(reader: Reader): { memory: number | undefined; realloc: number | undefined } {
  const found: { memory: number | undefined; realloc: number | undefined } = {
    memory: undefined,
    realloc: undefined,
  };
  for (let left = reader.u32(); left > 0; left -= 1) {
    const option = reader.byte();
    if (option <= 2) continue;
    if (option > 5) throw shapeError(`it has a canonical option ${option}`);
    const index = reader.u32();
    if (option === 3) found.memory = index;
    if (option === 4) found.realloc = index;
  }
  return found;
}
