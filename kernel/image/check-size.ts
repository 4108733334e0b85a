/**
 * What a process of this component would hold from its first instant, and what no part of it may use. A nested component counts as
 * often as it is instantiated, so that nesting cannot multiply past a limit. Source: findings.md F6, F10, F11.
 */
import { ImageError } from '../engine.ts';
import type { Component, CoreFeature, CoreModule, Definition, Sort } from './component.ts';
import {
  CORE_INSTANCES_MAX,
  DEFINITIONS_MAX,
  MEMORY_PAGES_MAX,
  TABLES_MAX,
  TABLE_ENTRIES_MAX,
} from './limits.ts';

/** How messages name what is refused. */
const FEATURE_NAMES: Readonly<Record<CoreFeature, string>> = {
  tags: 'exception handling (the tag section)',
  'multi-memory': 'multi-memory (a module with several memories)',
  memory64: 'memory64 (a memory with 64-bit addresses)',
  table64: 'memory64 (a table with 64-bit indices)',
  'shared-memory': 'shared memory (threads)',
  'custom-page-sizes': 'custom page sizes of memories',
  gc: 'garbage-collected types (GC)',
  'exception-references': 'exception handling (exnref)',
};

interface Cost {
  instances: number;
  pages: number;
  tables: number;
  entries: number;
  /** Definitions walked when it is linked. */
  work: number;
}

interface Spaces {
  readonly modules: CoreModule[];
  readonly components: Cost[];
  readonly parent: Spaces | undefined;
  readonly memoryPagesMax: number;
}

/**
 * Indices were checked before.
 * @throws ImageError 'limit' or 'unsupported-feature'
 */
export function checkSize(component: Component, memoryPagesMax: number = MEMORY_PAGES_MAX): void {
  measure(component, { modules: [], components: [], parent: undefined, memoryPagesMax });
}

function measure(component: Component, spaces: Spaces): Cost {
  const cost: Cost = { instances: 0, pages: 0, tables: 0, entries: 0, work: 0 };
  for (const definition of component.definitions) {
    cost.work += 1;
    refuseFirstClass(definition);
    if (definition.kind === 'core-module') {
      checkFeatures(definition.module);
      spaces.modules.push(definition.module);
    } else if (definition.kind === 'component') {
      const inner = { ...spaces, modules: [], components: [], parent: spaces };
      spaces.components.push(measure(definition.component, inner));
    } else if (definition.kind === 'alias' && definition.target.kind === 'outer') {
      const { count, index } = definition.target;
      const outer = outward(spaces, count);
      if (definition.sort === 'core-module') spaces.modules.push(found(outer.modules[index]));
      if (definition.sort === 'component') spaces.components.push(found(outer.components[index]));
    } else if (definition.kind === 'core-instance' && definition.from.kind === 'instantiate') {
      addModule(cost, found(spaces.modules[definition.from.module]));
    } else if (definition.kind === 'instance' && definition.from.kind === 'instantiate') {
      add(cost, found(spaces.components[definition.from.component]));
    }
    // At once, not at the end: a sum that doubles at every level would not stay a number.
    checkCost(cost, spaces.memoryPagesMax);
  }
  return cost;
}

function outward(spaces: Spaces, count: number): Spaces {
  let outer: Spaces | undefined = spaces;
  for (let i = 0; i < count && outer !== undefined; i++) outer = outer.parent;
  return found(outer);
}

/** An index that was checked can only miss when an item of that sort was made in a way refused here. */
function found<T>(item: T | undefined): T {
  if (item !== undefined) return item;
  throw new ImageError(
    'malformed',
    'malformed component: an index leads to no module or component',
  );
}

function addModule(cost: Cost, module: CoreModule): void {
  cost.instances += 1;
  for (const memory of module.memories) cost.pages += memory.minimum;
  for (const table of module.tables) cost.entries += table.limits.minimum;
  cost.tables += module.tables.length;
}

function add(cost: Cost, part: Cost): void {
  cost.instances += part.instances;
  cost.pages += part.pages;
  cost.tables += part.tables;
  cost.entries += part.entries;
  cost.work += part.work;
}

function checkCost(cost: Cost, memoryPagesMax: number): void {
  if (cost.instances > CORE_INSTANCES_MAX) {
    refuse(`over ${CORE_INSTANCES_MAX} core instances`);
  }
  if (cost.pages > memoryPagesMax) {
    refuse(
      `its memories start at ${cost.pages / 16} MiB together, at most ${memoryPagesMax / 16} MiB are allowed`,
    );
  }
  if (cost.tables > TABLES_MAX) refuse(`over ${TABLES_MAX} tables`);
  if (cost.entries > TABLE_ENTRIES_MAX) {
    refuse(
      `its tables start with ${cost.entries} entries together, at most ${TABLE_ENTRIES_MAX} are allowed`,
    );
  }
  if (cost.work > DEFINITIONS_MAX) {
    refuse(
      `over ${DEFINITIONS_MAX} definitions, nested components counted as often as they are used`,
    );
  }
}

function refuse(why: string): never {
  throw new ImageError('limit', `component too big: ${why}`);
}

function checkFeatures(module: CoreModule): void {
  const [feature] = module.features;
  if (feature === undefined) return;
  throw new ImageError(
    'unsupported-feature',
    `this node does not support ${FEATURE_NAMES[feature]}: build the component without it`,
  );
}

/** Modules and components as things to pass around: no builder makes them, and they would hide what is instantiated. */
function refuseFirstClass(definition: Definition): void {
  for (const sort of sortsPassed(definition)) {
    if (sort !== 'core-module' && sort !== 'component') continue;
    throw new ImageError(
      'unsupported-feature',
      `this node does not support ${sort === 'component' ? 'components' : 'core modules'} as imports, exports or arguments`,
    );
  }
}

function sortsPassed(definition: Definition): readonly Sort[] {
  switch (definition.kind) {
    case 'import':
      return [definition.type.sort];
    case 'export':
      return [definition.sort];
    case 'alias':
      return definition.target.kind === 'outer' ? [] : [definition.sort];
    case 'instance':
      return (
        definition.from.kind === 'exports' ? definition.from.exports : definition.from.args
      ).map((item) => item.sort);
    case 'core-instance':
      return definition.from.kind === 'exports'
        ? definition.from.exports.map((item) => item.sort)
        : [];
    default:
      return [];
  }
}
