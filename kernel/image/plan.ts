/**
 * A component resolved to a flat list of core instantiations (findings.md F13): what jco's generated JavaScript would do, as data.
 * Linking in the component model is static, so all of it - nested components, aliases, canonical options, resource types - is
 * worked out once per image; starting a process only walks `steps`.
 *
 * The component was validated before (validate.ts); anything odd left over is refused here, never guessed.
 */
import { ImageError } from '../engine.ts';
import { describeFunction } from '../hart/wasi/signatures.ts';
import type { CoreType, FuncType, ResourceType } from '../hart/abi/types.ts';
import type {
  Canon,
  Component,
  CoreModule,
  Definition,
  NamedItem,
  StringEncoding,
} from './component.ts';
import { COMPONENT_INSTANCES_MAX, CORE_INSTANCES_MAX } from './limits.ts';
import { Scope, type Item } from './plan-scope.ts';
import type { World } from './validate.ts';
import { isRunInterface } from './wasi-interfaces.ts';
import { alias, argument, coreItem, hostImport, planOptions } from './plan-items.ts';
import { resolveFuncType, resolveType } from './plan-types.ts';

/** Where a core item comes from. */
export type CoreRef =
  | { readonly kind: 'export'; readonly instance: number; readonly name: string }
  /** A function the host provides: an index in `LinkPlan.functions`. */
  | { readonly kind: 'host'; readonly index: number };

export interface PlanOptions {
  readonly encoding: StringEncoding;
  readonly memory: CoreRef | undefined;
  readonly realloc: CoreRef | undefined;
  readonly postReturn: CoreRef | undefined;
  /** The component instance it belongs to: handles are local to one. */
  readonly component: number;
}

/** A function a guest exports to the component level. */
export interface LiftedFunction {
  readonly type: FuncType;
  readonly core: CoreRef;
  readonly options: PlanOptions;
}

/** The type of a core function. */
export interface CoreSignature {
  readonly params: readonly CoreType[];
  readonly results: readonly CoreType[];
}

/** A core function the host makes. */
export type HostFunction =
  | {
      readonly kind: 'import';
      /** With its version: `wasi:io/streams@0.2.3`. */
      readonly interface: string;
      readonly name: string;
      readonly type: FuncType;
      readonly options: PlanOptions;
    }
  /** An import of a module that is a whole program (plan-program.ts): the host gets its memory and its numbers as they are. */
  | {
      readonly kind: 'core';
      readonly module: string;
      readonly name: string;
      readonly type: CoreSignature;
      readonly memory: CoreRef;
    }
  /** A call from one nested component into another. */
  | {
      readonly kind: 'lifted';
      readonly callee: LiftedFunction;
      readonly type: FuncType;
      readonly options: PlanOptions;
    }
  /** The built-ins for handles, of the component instance that uses them. */
  | {
      readonly kind: 'resource-new' | 'resource-rep' | 'resource-drop';
      readonly resource: ResourceType;
      readonly component: number;
    };

export interface CoreStep {
  /** An index in `LinkPlan.modules`. */
  readonly module: number;
  readonly imports: readonly {
    readonly module: string;
    readonly field: string;
    readonly from: CoreRef;
  }[];
}

export interface LinkPlan {
  readonly modules: readonly { readonly bytes: Uint8Array; readonly module: CoreModule }[];
  /** In order; a `CoreRef` of kind export names one by its position. */
  readonly steps: readonly CoreStep[];
  readonly functions: readonly HostFunction[];
  /** One for each component instance; `ResourceType.implementer` of the resources it defines. */
  readonly components: readonly ComponentInstance[];
  /** Of the resources that components define: what to call when an owned one is dropped. Gets the rep. */
  readonly destructors: ReadonlyMap<ResourceType, CoreRef>;
  /** What starts it: `init` of a process, `run` of a program. */
  readonly entry: LiftedFunction;
}

/** Stands for one component instance of a plan; each process has a table of handles for it. */
export interface ComponentInstance {
  readonly index: number;
}

/** The import module of what instrumentation adds (fuel.ts). */
export const HOST_MODULE = 'hl';

/**
 * @throws ImageError 'malformed' for indices and names that lead nowhere, 'limit' over the instance caps,
 *   'unsupported-import' for imports of anything but instances. What it says of their types is not compared with the host's here.
 */
export function planComponent(component: Component, world: World = 'process'): LinkPlan {
  const planner = new Planner();
  const exports = planner.instantiate(component, undefined, undefined);
  if (world === 'program') return planner.finish(runOf(exports));
  const init = exports.get('init');
  if (init?.sort !== 'func' || init.func.kind !== 'lifted')
    throw new ImageError(
      'unsupported-export',
      'the component exports no function "init" of its own',
    );
  return planner.finish(init.func.lifted);
}

/** The function of the interface that a program exports. */
function runOf(exports: ReadonlyMap<string, Item>): LiftedFunction {
  const [, instance] = [...exports].find(([name]) => isRunInterface(name)) ?? [];
  const run = instance?.sort === 'instance' ? instance.exports.get('run') : undefined;
  const lifted = run?.sort === 'func' && run.func.kind === 'lifted' ? run.func.lifted : undefined;
  if (lifted === undefined || describeFunction(lifted.type) !== '() -> result<_,_>')
    throw new ImageError(
      'unsupported-export',
      'the component exports no "run" of type func() -> result in its wasi:cli/run',
    );
  return lifted;
}

class Planner {
  readonly #modules: { bytes: Uint8Array; module: CoreModule }[] = [];
  readonly #moduleIndex = new Map<Uint8Array, number>();
  readonly #steps: CoreStep[] = [];
  readonly #functions: HostFunction[] = [];
  readonly #components: ComponentInstance[] = [];
  readonly #destructors = new Map<ResourceType, CoreRef>();

  /** `args` undefined: the top level, whose imports are the host's. Returns its exports. */
  instantiate(
    component: Component,
    parent: Scope | undefined,
    args: ReadonlyMap<string, Item> | undefined,
  ): Map<string, Item> {
    if (this.#components.length >= COMPONENT_INSTANCES_MAX)
      throw new ImageError(
        'limit',
        `the component has more than ${COMPONENT_INSTANCES_MAX} component instances`,
      );
    const scope = new Scope(this.#components.length, parent);
    this.#components.push({ index: scope.component });
    const exports = new Map<string, Item>();
    for (const definition of component.definitions) this.#define(definition, scope, args, exports);
    return exports;
  }

  finish(entry: LiftedFunction): LinkPlan {
    return {
      modules: this.#modules,
      steps: this.#steps,
      functions: this.#functions,
      components: this.#components,
      destructors: this.#destructors,
      entry,
    };
  }

  #define(
    definition: Definition,
    scope: Scope,
    args: ReadonlyMap<string, Item> | undefined,
    exports: Map<string, Item>,
  ): void {
    switch (definition.kind) {
      case 'core-module':
        scope.push({
          sort: 'core-module',
          module: this.#module(definition.bytes, definition.module),
        });
        return;
      case 'core-type':
        scope.push({ sort: 'core-type' });
        return;
      case 'core-instance':
        scope.push({ sort: 'core-instance', instance: this.#coreInstance(definition.from, scope) });
        return;
      case 'component':
        scope.push({ sort: 'component', component: definition.component, scope });
        return;
      case 'instance':
        scope.push({ sort: 'instance', exports: this.#instance(definition.from, scope) });
        return;
      case 'alias':
        scope.push(alias(definition.sort, definition.target, scope));
        return;
      case 'type':
        scope.push(
          definition.type.kind === 'resource'
            ? this.#resource(definition.type.destructor, scope)
            : resolveType(definition.type, scope),
        );
        return;
      case 'canon':
        scope.push(this.#canon(definition.canon, scope));
        return;
      case 'import':
        scope.push(
          args === undefined
            ? hostImport(definition.name, definition.type, scope)
            : argument(definition.name, definition.type.sort, args),
        );
        return;
      case 'export': {
        const item = scope.get(definition.sort, definition.index);
        exports.set(definition.name, item);
        scope.push(item);
        return;
      }
    }
  }

  #module(bytes: Uint8Array, module: CoreModule): number {
    const known = this.#moduleIndex.get(bytes);
    if (known !== undefined) return known;
    this.#moduleIndex.set(bytes, this.#modules.length);
    this.#modules.push({ bytes, module });
    return this.#modules.length - 1;
  }

  #coreInstance(
    from: Extract<Definition, { kind: 'core-instance' }>['from'],
    scope: Scope,
  ): ReadonlyMap<string, CoreRef> | number {
    if (from.kind === 'exports')
      return new Map(from.exports.map((item) => [item.name, coreItem(item, scope)]));
    if (this.#steps.length >= CORE_INSTANCES_MAX)
      throw new ImageError(
        'limit',
        `the component makes more than ${CORE_INSTANCES_MAX} core instances`,
      );
    const index = scope.get('core-module', from.module).module;
    const { module } = this.#modules[index]!;
    const providers = new Map(
      from.args.map((arg) => [arg.name, scope.get('core-instance', arg.instance).instance]),
    );
    const imports = module.imports.map(({ module: name, field }) => {
      // Instrumented modules get their counter and yield under this name; a guest that could write it would be its own clock.
      if (name === HOST_MODULE)
        throw new ImageError(
          'unsafe-name',
          `core module ${index} imports from "${name}", a name the host keeps for itself`,
        );
      const provider = providers.get(name);
      if (provider === undefined)
        throw new ImageError(
          'malformed',
          `core module ${index} imports from "${name}", which is not provided`,
        );
      const provided: CoreRef | undefined =
        typeof provider === 'number'
          ? { kind: 'export', instance: provider, name: field }
          : provider.get(field);
      if (provided === undefined)
        throw new ImageError(
          'malformed',
          `core module ${index} imports "${name}" "${field}", which is not provided`,
        );
      return { module: name, field, from: provided };
    });
    this.#steps.push({ module: index, imports });
    return this.#steps.length - 1;
  }

  #instance(
    from: Extract<Definition, { kind: 'instance' }>['from'],
    scope: Scope,
  ): ReadonlyMap<string, Item> {
    const items = (list: readonly NamedItem[]): Map<string, Item> =>
      new Map(list.map((item) => [item.name, scope.get(item.sort, item.index)]));
    if (from.kind === 'exports') return items(from.exports);
    const callee = scope.get('component', from.component);
    return this.instantiate(callee.component, callee.scope, items(from.args));
  }

  #canon(canon: Canon, scope: Scope): Item {
    switch (canon.kind) {
      case 'lift':
        return {
          sort: 'func',
          func: {
            kind: 'lifted',
            lifted: {
              type: resolveFuncType(canon.type, scope),
              core: scope.coreRef('core-func', canon.coreFunc),
              options: planOptions(canon.options, scope),
            },
          },
        };
      case 'lower': {
        const { func } = scope.get('func', canon.func);
        const options = planOptions(canon.options, scope);
        return this.#host(
          func.kind === 'lifted'
            ? { kind: 'lifted', callee: func.lifted, type: func.lifted.type, options }
            : {
                kind: 'import',
                interface: func.interface,
                name: func.name,
                type: func.type,
                options,
              },
        );
      }
      case 'resource-new':
      case 'resource-rep':
      case 'resource-drop': {
        const { type } = scope.get('type', canon.resource);
        if (type.kind !== 'resource')
          throw new ImageError('malformed', `${canon.kind} of a type that is no resource`);
        const { implementer } = type.resource;
        if (canon.kind !== 'resource-drop' && implementer !== this.#components[scope.component])
          throw new ImageError('malformed', `${canon.kind} outside the component that defines it`);
        return this.#host({
          kind: canon.kind,
          resource: type.resource,
          component: scope.component,
        });
      }
    }
  }

  /** A resource type that a component defines: another one at each instantiation. */
  #resource(destructor: number | undefined, scope: Scope): Item {
    const implementer = this.#components[scope.component]!;
    const made: ResourceType = { name: `resource of component ${implementer.index}`, implementer };
    if (destructor !== undefined)
      this.#destructors.set(made, scope.coreRef('core-func', destructor));
    return { sort: 'type', type: { kind: 'resource', resource: made } };
  }

  #host(made: HostFunction): Item {
    this.#functions.push(made);
    return { sort: 'core-func', ref: { kind: 'host', index: this.#functions.length - 1 } };
  }
}
