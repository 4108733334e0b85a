/**
 * Fuel: rewrites a core module so that it counts what it executes and hands over control when its allowance is spent.
 * Source: architecture §2; findings F4, F6, F7, F11, F14.
 *
 * A rewritten module imports from `hl`:
 * - `fuel`, a mutable i32 shared by all modules of a process, which counts down;
 * - `yield`, () -> (), called when a check finds fuel below zero. It refills fuel, may suspend, and traps when the process is dead;
 * - `memory_grow`, (delta, current pages) -> i32 and `table_grow`, (delta entries) -> i32, only if the guest grows any: 0 refuses, and the
 *   guest sees -1. An allowed growth can still fail, so what was granted is to be read from the memory or table.
 *
 * They follow the guest's own imports, so only indices of defined functions and globals move. Everything else keeps its place.
 */
import { ByteReader, ByteWriter, malformed } from './fuel-bytes.ts';
import { CodeRewriter } from './fuel-code.ts';
import { Helpers, WANTS_MEMORY_GROW, WANTS_TABLE_GROW } from './fuel-helpers.ts';
import {
  CODE,
  DATA,
  DATA_COUNT,
  ELEMENT,
  EXPORT,
  FUNCTION,
  GLOBAL,
  guessWants,
  IMPORT,
  MEMORY,
  readBodies,
  readSections,
  SECTION_ORDER,
  type Sections,
  START,
  TABLE,
  TYPE,
} from './fuel-module.ts';
import { rewriteNames } from './fuel-names.ts';
import {
  escaped,
  FUEL_MODULE,
  readCount,
  readFunctions,
  readImports,
  readTypes,
  rewriteData,
  rewriteElements,
  rewriteExports,
  rewriteGlobals,
  rewriteMemories,
  rewriteTables,
} from './fuel-sections.ts';
import { emptyShape, type ModuleShape } from './fuel-shape.ts';
import { MEMORY_PAGES_MAX } from './limits.ts';

/** Changes whenever the output for some module does; part of cache keys. */
export const INSTRUMENTATION_VERSION = 'fuel-3';

/** Output bytes allowed per input byte, and beyond. */
const GROWTH_FACTOR_MAX = 3;
const GROWTH_BASE_BYTES = 65_536;

/**
 * The rewritten module. Pure and deterministic; the input is not kept. `memoryPagesMax` caps what its memory declares.
 * @throws ImageError 'unsupported-feature' naming it, 'malformed' with an offset, 'limit', 'unsupported-import'. A module that is invalid
 *   in ways a compiler finds (types, for example) gives one that is invalid too.
 */
export function instrument(
  module: Uint8Array,
  memoryPagesMax: number = MEMORY_PAGES_MAX,
): Uint8Array {
  const sections = readSections(module);
  let wants = guessWants(module, sections);
  for (;;) {
    const rewrite = new ModuleRewrite(module, sections, wants, memoryPagesMax);
    const output = rewrite.run();
    // How far functions move depends on what is imported, so a wrong guess (rare) costs a second pass.
    if (rewrite.wants === wants) return output;
    wants = rewrite.wants;
  }
}

class ModuleRewrite {
  /** The growth functions the code really needs, once run. */
  wants = 0;
  readonly #module: Uint8Array;
  readonly #sections: Sections;
  readonly #assumed: number;
  readonly #limit: number;
  readonly #shape: ModuleShape;
  /** Bodies of the output's sections. */
  readonly #out = new Map<number, ByteWriter>();
  readonly #addedTypes: number[][] = [];
  readonly #added = new Map<number, string>();

  // eslint-disable-next-line max-params -- what one pass is made of
  constructor(module: Uint8Array, sections: Sections, assumed: number, memoryPagesMax: number) {
    this.#module = module;
    this.#sections = sections;
    this.#assumed = assumed;
    this.#shape = emptyShape(memoryPagesMax);
    this.#limit = module.length * GROWTH_FACTOR_MAX + GROWTH_BASE_BYTES;
  }

  run(): Uint8Array {
    const shape = this.#shape;
    this.#read(TYPE, (section) => readTypes(section, shape));
    this.#read(IMPORT, (section) => readImports(section, shape));
    shape.globals = shape.importedGlobals;
    const defined = this.#read(FUNCTION, (section) => readFunctions(section, shape)) ?? 0;
    shape.shift = 1 + bitCount(this.#assumed);
    this.#rewrite(TABLE, rewriteTables);
    this.#rewrite(MEMORY, rewriteMemories);
    this.#rewrite(GLOBAL, rewriteGlobals);
    this.#rewrite(EXPORT, rewriteExports);
    this.#rewrite(START, (section, out) => out.u32(escaped(shape, section.u32(), section.pos)));
    this.#rewrite(ELEMENT, rewriteElements);
    this.#rewrite(DATA_COUNT, (section, out) => out.u32(section.u32()));
    const helpers = this.#imports();
    const hints = this.#code(defined, helpers);
    this.#rewrite(DATA, rewriteData);
    this.wants = helpers.wants;
    return this.#assemble(defined, helpers, hints);
  }

  #section(id: number): ByteReader | undefined {
    const section = this.#sections.known.get(id);
    return section && new ByteReader(section.bytes, section.pos, section.end);
  }

  #read<T>(id: number, read: (section: ByteReader) => T): T | undefined {
    const section = this.#section(id);
    if (!section) return undefined;
    const result = read(section);
    if (section.pos !== section.end) throw malformed(`section ${id} too long`, section.pos);
    return result;
  }

  #rewrite(
    id: number,
    rewrite: (section: ByteReader, out: ByteWriter, shape: ModuleShape) => void,
  ): void {
    this.#read(id, (section) => {
      const out = this.#writer(section.end - section.pos + 64);
      rewrite(section, out, this.#shape);
      this.#out.set(id, out);
    });
  }

  #writer(capacity: number): ByteWriter {
    return new ByteWriter(capacity, this.#limit);
  }

  /** The index of an added function type. */
  #type(params: readonly number[], results: readonly number[]): number {
    const type = [0x60, params.length, ...params, results.length, ...results];
    const known = this.#addedTypes.findIndex((added) => added.join() === type.join());
    return this.#shape.typeParams.length + (known >= 0 ? known : this.#addedTypes.push(type) - 1);
  }

  /** Adds our imports after the guest's. */
  #imports(): Helpers {
    const section = this.#section(IMPORT);
    const size = section ? section.end - section.pos : 0;
    const out = this.#writer(size + 128);
    const count = section ? section.u32() : 0;
    const first = this.#shape.importedFunctions;
    out.u32(count + 1 + this.#shape.shift);
    if (section) out.copy(section.bytes, section.pos, section.end);
    out.name(FUEL_MODULE);
    out.name('fuel');
    out.list([0x03, 0x7f, 0x01]);
    let next = first;
    const add = (name: string, params: number, results: number): number => {
      out.name(FUEL_MODULE);
      out.name(name);
      out.byte(0x00);
      out.u32(this.#type(Array<number>(params).fill(0x7f), Array<number>(results).fill(0x7f)));
      this.#added.set(next, `${FUEL_MODULE}.${name}`);
      return next++;
    };
    const yieldFunction = add('yield', 0, 0);
    const memoryGrow = this.#assumed & WANTS_MEMORY_GROW ? add('memory_grow', 2, 1) : 0;
    const tableGrow = this.#assumed & WANTS_TABLE_GROW ? add('table_grow', 1, 1) : 0;
    this.#out.set(IMPORT, out);
    const fuel = this.#shape.importedGlobals;
    return new Helpers(this.#shape, { fuel, yieldFunction, memoryGrow, tableGrow });
  }

  /** Rewrites all bodies; returns branch hints, because our checks hardly ever fire. Without them hash takes 2.16x instead of 1.01x. */
  #code(defined: number, helpers: Helpers): ByteWriter {
    const shape = this.#shape;
    const hints = this.#writer(4096);
    let hinted = 0;
    const count = this.#read(CODE, (section) => {
      const fuel = shape.importedGlobals;
      const code = new CodeRewriter(shape, helpers, {
        fuel,
        yieldFunction: shape.importedFunctions,
      });
      const bodies = readBodies(section, defined);
      bodies.forEach((body, n) =>
        code.findLeaf(new ByteReader(body.bytes, body.pos, body.end), shape.importedFunctions + n),
      );
      const out = this.#writer((section.end - section.pos) * 1.4 + 4096);
      const scratch = this.#writer(1 << 16);
      bodies.forEach((body, n) => {
        scratch.length = 0;
        code.rewrite(body, shape.importedFunctions + n, scratch);
        out.u32(scratch.length);
        out.copy(scratch.bytes, 0, scratch.length);
        if (code.checkCount === 0) return;
        hinted++;
        hints.u32(shape.importedFunctions + shape.shift + n);
        hints.u32(code.checkCount);
        for (let check = 0; check < code.checkCount; check++) {
          hints.u32(code.checks[check] as number);
          hints.byte(1);
          hints.byte(0);
        }
      });
      for (const helper of helpers.list) {
        out.u32(helper.body.length);
        out.append(helper.body);
      }
      const body = this.#writer(out.length + 8);
      body.u32(bodies.length + helpers.list.length);
      body.copy(out.bytes, 0, out.length);
      this.#out.set(CODE, body);
      return bodies.length;
    });
    if ((count ?? 0) !== defined) throw malformed('as many functions as bodies expected', 0);
    const section = this.#writer(hints.length + 64);
    section.name('metadata.code.branch_hint');
    section.u32(hinted);
    section.copy(hints.bytes, 0, hints.length);
    return section;
  }

  #assemble(defined: number, helpers: Helpers, hints: ByteWriter): Uint8Array {
    this.#functions(defined, helpers);
    this.#types();
    const out = this.#writer(this.#module.length * 1.4 + 4096);
    out.list([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);
    for (const id of SECTION_ORDER) {
      const section = this.#out.get(id);
      if (id === CODE && section) out.section(0, hints);
      if (section) out.section(id, section);
    }
    const names = this.#sections.names;
    if (names) {
      const copy = new ByteReader(names.bytes, names.pos, names.end);
      const rewritten = rewriteNames(copy, this.#shape, this.#added);
      if (rewritten) out.section(0, rewritten);
    }
    return out.finish();
  }

  #functions(defined: number, helpers: Helpers): void {
    if (defined === 0) return;
    const section = this.#section(FUNCTION) as ByteReader;
    section.u32();
    const out = this.#writer(section.end - section.pos + 256);
    out.u32(defined + helpers.list.length);
    out.copy(section.bytes, section.pos, section.end);
    helpers.list.forEach((helper, n) => {
      out.u32(this.#type(helper.params, helper.results));
      this.#added.set(
        this.#shape.functionTypes.length + this.#shape.shift + n,
        `${FUEL_MODULE}.${helper.name}`,
      );
    });
    this.#out.set(FUNCTION, out);
  }

  #types(): void {
    const section = this.#section(TYPE);
    const count = section ? readCount(section) : 0;
    const out = this.#writer((section ? section.end - section.pos : 0) + 256);
    out.u32(count + this.#addedTypes.length);
    if (section) out.copy(section.bytes, section.pos, section.end);
    for (const type of this.#addedTypes) out.list(type);
    this.#out.set(TYPE, out);
  }
}

const bitCount = (bits: number): number => (bits & 1) + ((bits >> 1) & 1);
