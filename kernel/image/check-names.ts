/** Every name in a component is harmless, and unique where two of them would be confused. Source: findings.md F1. */
import { ImageError } from '../engine.ts';
import type {
  AliasDefinition,
  Component,
  CoreModule,
  Declaration,
  DefinedType,
  Definition,
} from './component.ts';
import { expectSafeName, isKebabName, quoteName } from './names.ts';

/** @throws ImageError 'unsafe-name', or 'malformed' for a name given twice and for a label that is no WIT name. */
export function checkNames(component: Component): void {
  const imports = new Set<string>();
  const exports = new Set<string>();
  for (const definition of component.definitions) {
    checkDefinition(definition);
    if (definition.kind === 'import') expectNew(definition.name, imports, 'component import');
    if (definition.kind === 'export') expectNew(definition.name, exports, 'component export');
  }
}

function checkDefinition(definition: Definition): void {
  switch (definition.kind) {
    case 'core-module':
      checkModule(definition.module);
      return;
    case 'component':
      checkNames(definition.component);
      return;
    case 'core-instance': {
      const { from } = definition;
      if (from.kind === 'instantiate') checkUnique(from.args, 'argument of a core instance');
      else checkUnique(from.exports, 'export of a core instance');
      return;
    }
    case 'instance': {
      const { from } = definition;
      if (from.kind === 'instantiate') checkUnique(from.args, 'argument of an instance');
      else checkUnique(from.exports, 'export of an instance');
      return;
    }
    case 'alias':
      checkAlias(definition);
      return;
    case 'type':
      checkType(definition.type);
      return;
    default:
      // Imports and exports are looked at together; the rest has no names.
      return;
  }
}

function checkModule(module: CoreModule): void {
  for (const { module: from, field } of module.imports) {
    expectSafeName(from, 'core import module');
    expectSafeName(field, 'core import field');
  }
  checkUnique(module.exports, 'core export');
}

function checkAlias(alias: AliasDefinition): void {
  if (alias.target.kind !== 'outer') expectSafeName(alias.target.name, 'alias of an export');
}

function checkType(type: DefinedType): void {
  switch (type.kind) {
    case 'record':
      return checkLabels(type.fields, 'field');
    case 'variant':
      return checkLabels(type.cases, 'case');
    case 'func':
      return checkLabels(type.params, 'parameter');
    case 'flags':
    case 'enum':
      return checkLabels(
        type.names.map((name) => ({ name })),
        type.kind,
      );
    case 'component':
    case 'instance':
      return checkDeclarations(type.declarations);
    default:
      return undefined;
  }
}

function checkDeclarations(declarations: readonly Declaration[]): void {
  const imports = new Set<string>();
  const exports = new Set<string>();
  for (const declaration of declarations) {
    if (declaration.kind === 'alias') checkAlias(declaration);
    else if (declaration.kind === 'type') checkType(declaration.type);
    else if (declaration.kind === 'import') expectNew(declaration.name, imports, 'declared import');
    else if (declaration.kind === 'export-declaration') {
      expectNew(declaration.name, exports, 'declared export');
    }
  }
}

function checkUnique(items: readonly { readonly name: string }[], what: string): void {
  const seen = new Set<string>();
  for (const { name } of items) expectNew(name, seen, what);
}

function expectNew(name: string, seen: Set<string>, what: string): void {
  expectSafeName(name, what);
  if (seen.has(name)) {
    throw new ImageError('malformed', `malformed component: ${what} ${quoteName(name)} twice`);
  }
  seen.add(name);
}

function checkLabels(items: readonly { readonly name: string }[], what: string): void {
  checkUnique(items, what);
  for (const { name } of items) {
    if (!isKebabName(name)) {
      throw new ImageError('malformed', `malformed component: ${quoteName(name)} names no ${what}`);
    }
  }
}
