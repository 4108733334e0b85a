/** What a definition refers to, looked up in the index spaces of its component while it is planned. */
import { ImageError } from '../engine.ts';
import type { CanonOptions, CoreSort, Definition, NamedItem, Sort } from './component.ts';
import type { CoreRef, PlanOptions } from './plan.ts';
import type { Item, Scope } from './plan-scope.ts';
import { importedInstance } from './plan-types.ts';

export function planOptions(options: CanonOptions, scope: Scope): PlanOptions {
  const ref = (sort: CoreSort, index: number | undefined): CoreRef | undefined =>
    index === undefined ? undefined : scope.coreRef(sort, index);
  return {
    encoding: options.encoding,
    memory: ref('core-memory', options.memory),
    realloc: ref('core-func', options.realloc),
    postReturn: ref('core-func', options.postReturn),
    component: scope.component,
  };
}

export function coreItem(item: NamedItem<CoreSort>, scope: Scope): CoreRef {
  return scope.coreRef(item.sort, item.index);
}

export function alias(
  sort: Sort,
  target: Extract<Definition, { kind: 'alias' }>['target'],
  scope: Scope,
): Item {
  switch (target.kind) {
    case 'outer':
      return scope.outer(target.count).get(sort, target.index);
    case 'export': {
      const item = scope.get('instance', target.instance).exports.get(target.name);
      if (item === undefined || item.sort !== sort)
        throw new ImageError(
          'malformed',
          `an alias names ${sort} "${target.name}" of an instance that exports none`,
        );
      return item;
    }
    case 'core-export': {
      const { instance } = scope.get('core-instance', target.instance);
      const ref: CoreRef | undefined =
        typeof instance === 'number'
          ? { kind: 'export', instance, name: target.name }
          : instance.get(target.name);
      if (ref === undefined)
        throw new ImageError(
          'malformed',
          `an alias names "${target.name}" of a core instance that exports none`,
        );
      return coreItemOf(sort, ref);
    }
  }
}

function coreItemOf(sort: Sort, ref: CoreRef): Item {
  switch (sort) {
    case 'core-func':
    case 'core-table':
    case 'core-memory':
    case 'core-global':
      return { sort, ref };
    default:
      throw new ImageError('malformed', `an alias of a core export cannot be a ${sort}`);
  }
}

export function argument(name: string, sort: Sort, args: ReadonlyMap<string, Item>): Item {
  const item = args.get(name);
  if (item === undefined || item.sort !== sort)
    throw new ImageError(
      'malformed',
      `a nested component imports ${sort} "${name}", which is not provided`,
    );
  return item;
}

export function hostImport(
  name: string,
  type: Extract<Definition, { kind: 'import' }>['type'],
  scope: Scope,
): Item {
  if (type.sort !== 'instance')
    throw new ImageError(
      'unsupported-import',
      `the component imports ${type.sort} "${name}"; only interfaces are provided`,
    );
  return { sort: 'instance', exports: importedInstance(name, type.type, scope) };
}
