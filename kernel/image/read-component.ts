/** Reads a component's binary form into its syntax tree. Source: the component model's binary format; findings.md F1, F10. */
import { ImageError } from '../engine.ts';
import type { Component, Definition } from './component.ts';
import { COMPONENT_BYTES_MAX, CORE_MODULES_MAX, DEFINITIONS_MAX, NESTING_MAX } from './limits.ts';
import { readCoreModule } from './read-core-module.ts';
import {
  readAlias,
  readCanon,
  readCoreInstance,
  readExport,
  readImport,
  readInstance,
} from './read-definitions.ts';
import { readCoreType, readType } from './read-types.ts';
import { ByteReader } from './reader.ts';

const MAGIC = [0x00, 0x61, 0x73, 0x6d];
const COMPONENT_VERSION = [0x0d, 0x00, 0x01, 0x00];
const MODULE_VERSION = [0x01, 0x00, 0x00, 0x00];

/** What one file has used of its limits, over all nested components. */
export interface Budget {
  definitions: number;
  modules: number;
}

/**
 * Reads a whole component. The tree refers to `bytes`, which must not change afterwards.
 * @throws ImageError 'not-a-component', 'malformed', 'limit' or 'unsupported-feature', and nothing else.
 */
export function readComponent(bytes: Uint8Array): Component {
  if (!MAGIC.every((byte, i) => bytes[i] === byte)) {
    throw new ImageError(
      'not-a-component',
      'this is no WebAssembly file: its magic number is missing',
    );
  }
  const version = bytes.subarray(4, 8);
  if (!COMPONENT_VERSION.every((byte, i) => version[i] === byte)) {
    const isModule = MODULE_VERSION.every((byte, i) => version[i] === byte);
    throw new ImageError(
      'not-a-component',
      isModule
        ? 'this is a core WebAssembly module, not a component: build it with a component toolchain'
        : 'this WebAssembly file is neither a component nor a module of a version this node knows',
    );
  }
  if (bytes.length > COMPONENT_BYTES_MAX) {
    throw new ImageError(
      'limit',
      `component too big: ${bytes.length} bytes, at most ${COMPONENT_BYTES_MAX} are allowed`,
    );
  }
  return readFrom(new ByteReader(bytes), 0, { definitions: 0, modules: 0 });
}

function readFrom(r: ByteReader, depth: number, budget: Budget): Component {
  if (depth > NESTING_MAX) {
    throw new ImageError(
      'limit',
      `component too big: nested deeper than ${NESTING_MAX} components`,
    );
  }
  const offset = r.offset;
  const head = r.take(8);
  if (![...MAGIC, ...COMPONENT_VERSION].every((byte, i) => head[i] === byte)) {
    r.fail('no nested component of a known version', offset);
  }
  const definitions: Definition[] = [];
  while (!r.done) {
    const at = r.offset;
    const id = r.u8();
    const section = r.sub(r.u32());
    readSection({ section, id, at, depth, budget, definitions });
    section.expectEnd(`section ${id}`);
  }
  return { definitions, offset };
}

function readSection(from: {
  readonly section: ByteReader;
  readonly id: number;
  readonly at: number;
  readonly depth: number;
  readonly budget: Budget;
  readonly definitions: Definition[];
}): void {
  const { section: r, id, budget, definitions } = from;
  if (id === 0) {
    // Custom: its name must be one, its content is nobody's business.
    r.name();
    r.skip(r.remaining);
    return;
  }
  if (id === 1) {
    spend(budget, 1);
    if (++budget.modules > CORE_MODULES_MAX) {
      throw new ImageError('limit', `component too big: over ${CORE_MODULES_MAX} core modules`);
    }
    const offset = r.offset;
    const module = readCoreModule(r);
    definitions.push({
      kind: 'core-module',
      bytes: r.bytes.subarray(offset, r.end),
      module,
      offset,
    });
    return;
  }
  if (id === 4) {
    spend(budget, 1);
    definitions.push({ kind: 'component', component: readFrom(r, from.depth + 1, budget) });
    return;
  }
  const read = readerOf(r, id, from.at, budget);
  const count = r.count('definitions');
  spend(budget, count);
  for (let i = 0; i < count; i++) definitions.push(read());
}

function readerOf(r: ByteReader, id: number, at: number, budget: Budget): () => Definition {
  const declared = (count: number): void => spend(budget, count);
  switch (id) {
    case 2:
      return () => readCoreInstance(r);
    case 3:
      return () => readCoreType(r, declared, 0);
    case 5:
      return () => readInstance(r);
    case 6:
      return () => readAlias(r);
    case 7:
      return () => ({ kind: 'type', type: readType(r, declared, 0) });
    case 8:
      return () => readCanon(r);
    case 9:
      throw unsupported('a start function of the component');
    case 10:
      return () => readImport(r);
    case 11:
      return () => readExport(r);
    case 12:
      throw unsupported('values (component-level value definitions)');
    default:
      return r.fail(`section ${id} is unknown`, at);
  }
}

function spend(budget: Budget, count: number): void {
  budget.definitions += count;
  if (budget.definitions > DEFINITIONS_MAX) {
    throw new ImageError('limit', `component too big: over ${DEFINITIONS_MAX} definitions`);
  }
}

function unsupported(feature: string): ImageError {
  return new ImageError('unsupported-feature', `this node does not support ${feature}`);
}
