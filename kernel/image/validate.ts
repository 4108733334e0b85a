/**
 * The gate every component passes before anything else sees it: nothing after it meets a hostile name, an index out of range, an
 * import nobody provides or a demand no process may make. Source: findings.md F1, F6, F10, F11; kernel.md §5.8, §9.
 *
 * One thing is looser than F1's "any export but `init`": a component may export further functions under plain names. They are
 * never called. (The QuickJS builder has to export `init` under a second name to get around a clash in its own code.)
 */
import { ImageError } from '../engine.ts';
import { checkIndices } from './check-indices.ts';
import { checkNames } from './check-names.ts';
import { checkSize } from './check-size.ts';
import type { Component, ExportDefinition, ImportDefinition } from './component.ts';
import { generationOf, unsupportedGeneration, type Generation } from './generation.ts';
import { isKebabName, quoteName } from './names.ts';
import { readComponent } from './read-component.ts';
import { lookup, Resolver, type Lookup } from './scopes.ts';
import { isRunInterface, isWasiInterface } from './wasi-interfaces.ts';

/** What the node may have to provide, once per import. */
export interface InstanceImport {
  /** As imported, with its version: `wasi:io/streams@0.2.3`. */
  readonly name: string;
  readonly provider:
    | 'standard'
    | 'wasi'
    /** It declares value types and nothing else, so there is nothing to provide. */
    | 'types';
}

/**
 * What a component is to be: a process of the node, or a program that runs once to its end (`wasi:cli/run`) and has nobody to send
 * messages to.
 */
export type World = 'process' | 'program';

export interface ValidateOptions {
  /** Default: process. */
  readonly world?: World;
  /** Pages of memory it may start with, all memories together; default: those of a process. */
  readonly memoryPagesMax?: number;
}

export interface ValidatedComponent {
  readonly component: Component;
  /** Undefined for a component that never talks to the kernel: it has `init` and at most WASI. */
  readonly standard: Generation | undefined;
  /** In order of appearance. */
  readonly imports: readonly InstanceImport[];
}

/**
 * Reads and checks a component. The result refers to `bytes`, which must not change afterwards.
 * @throws ImageError, and nothing else, whatever the bytes are.
 */
export function validateComponent(
  bytes: Uint8Array,
  { world = 'process', memoryPagesMax }: ValidateOptions = {},
): ValidatedComponent {
  const component = readComponent(bytes);
  checkNames(component);
  checkIndices(component);
  checkSize(component, memoryPagesMax);
  const scope = lookup(component);
  const imports: InstanceImport[] = [];
  let standard: Generation | undefined;
  for (const definition of component.definitions) {
    if (definition.kind !== 'import') continue;
    const provider = providerOf(definition, scope);
    if (typeof provider === 'object') {
      if (world === 'program') {
        throw new ImageError(
          'unsupported-import',
          `imports ${quoteName(definition.name)}; a program is no process of a node and has WASI only`,
        );
      }
      if (standard !== undefined) {
        throw new ImageError(
          'unsupported-import',
          'imports two generations of the process contract; a component has one',
        );
      }
      standard = provider;
    }
    imports.push({
      name: definition.name,
      provider: typeof provider === 'object' ? 'standard' : provider,
    });
  }
  if (world === 'process') checkExports(component, scope);
  else checkProgram(component);
  return { component, standard, imports };
}

function providerOf(definition: ImportDefinition, scope: Lookup): Generation | 'wasi' | 'types' {
  const { name, type } = definition;
  const generation = generationOf(name);
  if (generation === 'unsupported') {
    throw new ImageError('unsupported-generation', unsupportedGeneration(name));
  }
  if (type.sort !== 'instance') {
    throw new ImageError(
      'unsupported-import',
      `imports the ${type.sort} ${quoteName(name)}; this node provides interfaces only`,
    );
  }
  if (generation !== undefined) return generation;
  if (isWasiInterface(name)) return 'wasi';
  if (declaresTypesOnly(type.type, scope)) return 'types';
  throw new ImageError(
    'unsupported-import',
    `imports ${quoteName(name)}, which this node does not provide`,
  );
}

/** Whether an instance type has value types only; the reference's runtime asks for no instance then either. */
function declaresTypesOnly(index: number, scope: Lookup): boolean {
  const found = new Resolver().type(scope, index);
  return (
    found?.type.kind === 'instance' &&
    found.type.declarations.every(
      (declaration) =>
        declaration.kind !== 'export-declaration' ||
        (declaration.type.sort === 'type' && declaration.type.bound === 'eq'),
    )
  );
}

function checkExports(component: Component, scope: Lookup): void {
  let init: ExportDefinition | undefined;
  for (const definition of component.definitions) {
    if (definition.kind !== 'export') continue;
    if (definition.sort !== 'func' || !isKebabName(definition.name)) {
      throw new ImageError(
        'unsupported-export',
        `exports the ${definition.sort} ${quoteName(definition.name)}; a process exports the function init`,
      );
    }
    if (definition.name === 'init') init = definition;
  }
  if (init === undefined) {
    throw new ImageError(
      'unsupported-export',
      'does not export init: a process exports init: func(our: string)',
    );
  }
  if (!isInit(init, scope)) {
    throw new ImageError(
      'unsupported-export',
      'exports an init of another type: a process exports init: func(our: string)',
    );
  }
}

/** What else a program exports is never called; the type of `run` is compared when it is planned. */
function checkProgram(component: Component): void {
  const runs = component.definitions.some(
    (definition) =>
      definition.kind === 'export' &&
      definition.sort === 'instance' &&
      isRunInterface(definition.name),
  );
  if (runs) return;
  throw new ImageError(
    'unsupported-export',
    'does not export wasi:cli/run: a program is a command, built as such',
  );
}

function isInit(init: ExportDefinition, scope: Lookup): boolean {
  const resolver = new Resolver();
  const found = resolver.funcType(scope, init.index);
  if (found?.type.kind !== 'func') return false;
  const { params, result } = found.type;
  const [our] = params;
  if (params.length !== 1 || our === undefined || result !== undefined) return false;
  if (typeof our.type !== 'number') return our.type === 'string';
  const text = resolver.type(found.scope, our.type);
  return text?.type.kind === 'primitive' && text.type.primitive === 'string';
}
