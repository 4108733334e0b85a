/** Walks a link plan (image/plan.ts): fresh core instances for one guest, every host function behind its trampoline. */
import type { ProcessHost } from '../process-host.ts';
import { Trap } from '../process-host.ts';
import {
  HOST_MODULE,
  type CoreRef,
  type HostFunction,
  type LinkPlan,
  type PlanOptions,
} from '../image/plan.ts';
import { fuse, liftExport, lowerImport, type Lifted } from './abi/call.ts';
import type { AbiContext } from './abi/context.ts';
import { flatten } from './abi/layout.ts';
import { ResourceTable } from './abi/resource-table.ts';
import type { CoreValue, ResourceType } from './abi/types.ts';
import { deferred, type AnyFunction } from './deferred.ts';
import { rulesOf, type GenerationRules } from './generations.ts';
import type { RunningGuest } from './guest.ts';
import { AddressCache } from './standard/address-cache.ts';
import { StandardBindings } from './standard/bindings.ts';
import { GuestMemory, type Realloc } from './standard/guest-memory.ts';
import { standardValues, type ValueFunction } from './standard/values.ts';
import { WAIT_RESULTS, type TrampolineSignature } from './trampoline.ts';
import { mayWait } from './wasi/wasi.ts';

/** A plan whose modules are instrumented and compiled, index by index. */
export interface Linkable {
  readonly plan: LinkPlan;
  readonly modules: readonly WebAssembly.Module[];
  readonly trampoline: WebAssembly.Module;
  readonly signatures: readonly TrampolineSignature[];
}

/** The host's interfaces other than `standard`: functions by import name, then WIT name. */
export type HostInterfaces = (
  interfaceName: string,
  functionName: string,
) => ValueFunction | undefined;

/** Host functions that may suspend their guest; all others are called plainly, so that start functions can use them. */
const NEVER_SUSPENDS = new Set(['our', 'get-on-exit', 'has-blob', 'get-blob', 'last-blob']);

/** The trampoline signatures of a plan's host functions, in order. */
export function trampolineSignatures(plan: LinkPlan): TrampolineSignature[] {
  return plan.functions.map((made) => {
    if (made.kind === 'core') return { ...made.type, suspending: mayWait(made.module, made.name) };
    if (made.kind !== 'import' && made.kind !== 'lifted') {
      const drops = made.kind === 'resource-drop';
      // A destructor is guest code, which may wait.
      const suspending = drops && plan.destructors.has(made.resource);
      return { params: ['i32'], results: drops ? [] : ['i32'], suspending };
    }
    const { params, results } = flatten(made.type, 'lower');
    return { params, results, suspending: suspends(made) };
  });
}

function suspends(made: Extract<HostFunction, { kind: 'import' | 'lifted' }>): boolean {
  if (made.kind === 'lifted') return true;
  return rulesOf(made.interface) === undefined
    ? mayWait(made.interface, made.name)
    : !NEVER_SUSPENDS.has(made.name);
}

export class Linker {
  readonly #image: Linkable;
  readonly #guest: RunningGuest;
  readonly #host: ProcessHost | undefined;
  readonly #interfaces: HostInterfaces;
  readonly #instances: WebAssembly.Exports[] = [];
  readonly #tables: ResourceTable[];
  readonly #addresses = new AddressCache();
  #trampoline: WebAssembly.Exports = {};
  /** One pair for all functions of the same memory and allocator. */
  readonly #memories = new Map<string, { memory: GuestMemory; bindings: StandardBindings }>();
  #values: Readonly<Record<string, ValueFunction>> | undefined;

  /** `host`: of a process; a program has none. */
  constructor(
    image: Linkable,
    guest: RunningGuest,
    host: ProcessHost | undefined,
    interfaces: HostInterfaces,
  ) {
    this.#image = image;
    this.#guest = guest;
    this.#host = host;
    this.#interfaces = interfaces;
    this.#tables = image.plan.components.map(
      (component) =>
        new ResourceTable({ component, destroy: (type, rep) => this.#destroy(type, rep) }),
    );
  }

  /**
   * Instantiates, then calls the entry: `init(our)`, or `run()`. Settles, with what it returned, when the guest ends.
   * @throws what instantiation threw
   */
  run(...args: readonly string[]): Promise<unknown> {
    const { plan } = this.#image;
    this.#trampoline = this.#linkTrampoline();
    if (
      plan.functions.some(
        (made) => made.kind === 'import' && rulesOf(made.interface)?.blobRegisterClears === true,
      )
    )
      this.#host?.clearsBlobWithoutOne();
    for (const step of plan.steps) this.#instantiate(step);
    this.#guest.started();
    const entry = this.#lifted(plan.entry.core, plan.entry.options, plan.entry);
    return Promise.resolve(liftExport(entry)(args));
  }

  #linkTrampoline(): WebAssembly.Exports {
    const { plan, signatures, trampoline } = this.#image;
    const guest = this.#guest;
    const host: Record<string, WebAssembly.ImportValue> = {};
    for (let i = 0; i < plan.functions.length; i++)
      host[i] = deferred(signatures[i]!, () => this.#hostFunction(plan.functions[i]!), guest);
    const waiting = new WebAssembly.Suspending(guest.waiting);
    return new WebAssembly.Instance(trampoline, {
      [HOST_MODULE]: {
        dead: guest.dead,
        wait: guest.wait,
        yield: guest.yield,
        memory_grow: guest.growMemory,
        table_grow: guest.growTable,
        ...Object.fromEntries(WAIT_RESULTS.map((result) => [`wait_${result}`, waiting])),
      },
      host,
    }).exports;
  }

  #instantiate(step: LinkPlan['steps'][number]): void {
    const { module } = this.#image.plan.modules[step.module]!;
    for (const { minimum } of module.memories)
      if (this.#guest.growMemory(minimum) === 0)
        throw new Trap('the memories of the component are too large together');
    for (const { limits } of module.tables)
      if (this.#guest.growTable(limits.minimum) === 0)
        throw new Trap('the tables of the component are too large together');
    // Names are the guest's: `constructor` must not find what every object has.
    const imports: Record<string, Record<string, WebAssembly.ImportValue>> = Object.create(null);
    for (const { module: name, field, from } of step.imports)
      (imports[name] ??= Object.create(null) as Record<string, WebAssembly.ImportValue>)[field] =
        this.#resolve(from);
    imports[HOST_MODULE] = {
      fuel: this.#guest.fuel,
      yield: this.#trampoline['yield']!,
      memory_grow: this.#trampoline['memory_grow']!,
      table_grow: this.#trampoline['table_grow']!,
    };
    this.#instances.push(
      new WebAssembly.Instance(this.#image.modules[step.module]!, imports).exports,
    );
  }

  #resolve(ref: CoreRef): WebAssembly.ExportValue {
    const found =
      ref.kind === 'host' ? this.#trampoline[ref.index] : this.#instances[ref.instance]?.[ref.name];
    if (found === undefined)
      throw new Trap(
        `the component refers to ${ref.kind === 'host' ? 'a host function' : `core export "${ref.name}"`} that is not there`,
      );
    return found;
  }

  #function(ref: CoreRef): (...args: CoreValue[]) => CoreValue | undefined {
    const found = this.#resolve(ref);
    if (typeof found !== 'function')
      throw new Trap('a canonical option names an export that is no function');
    return found as (...args: CoreValue[]) => CoreValue | undefined;
  }

  #memory(ref: CoreRef): WebAssembly.Memory {
    const found = this.#resolve(ref);
    if (!(found instanceof WebAssembly.Memory))
      throw new Trap('a canonical option names an export that is no memory');
    return found;
  }

  #hostFunction(made: HostFunction): AnyFunction {
    switch (made.kind) {
      case 'resource-drop': {
        const table = this.#tables[made.component]!;
        const drop: AnyFunction = (handle) => {
          const dropped = table.resourceDrop(made.resource, Number(handle));
          return dropped ?? undefined;
        };
        return this.#image.plan.destructors.has(made.resource) ? this.#nested(drop, 0) : drop;
      }
      case 'resource-new': {
        const table = this.#tables[made.component]!;
        return (rep) => table.resourceNew(made.resource, Number(rep));
      }
      case 'resource-rep': {
        const table = this.#tables[made.component]!;
        return (handle) => table.resourceRep(made.resource, Number(handle));
      }
      case 'lifted': {
        const { callee } = made;
        return this.#nested(
          fuse(
            this.#lifted(callee.core, callee.options, callee),
            made.type,
            this.#context(made.options),
          ),
          flatten(made.type, 'lower').results[0] === 'i64' ? 0n : 0,
        );
      }
      case 'core': {
        const memory = this.#memory(made.memory);
        const call = this.#interfaces(made.module, made.name);
        if (call === undefined) throw new Trap(`the host has no function "${made.name}"`);
        // Proof of the type: plan-program.ts has compared the signature with the host's.
        return this.#scheduled((...args) => call([memory, ...args]) as ReturnType<AnyFunction>);
      }
      case 'import': {
        const generation = rulesOf(made.interface);
        if (generation !== undefined && this.#host !== undefined)
          return this.#standard(made, this.#host, generation);
        const call = this.#interfaces(made.interface, made.name);
        if (call === undefined)
          throw new Trap(`the host has no function "${made.name}" of ${made.interface}`);
        return this.#scheduled(lowerImport(made.type, this.#context(made.options), call));
      }
    }
  }

  /** Runs the destructor of a resource that a component of this process defines. */
  #destroy(type: ResourceType, rep: number): Promise<void> | undefined {
    const ref = this.#image.plan.destructors.get(type);
    if (ref === undefined) return undefined;
    return (WebAssembly.promising(this.#function(ref)) as (rep: number) => Promise<void>)(rep);
  }

  #standard(
    made: Extract<HostFunction, { kind: 'import' }>,
    host: ProcessHost,
    generation: GenerationRules,
  ): AnyFunction {
    const { options } = made;
    // Without an encoding that matters or a memory there is nothing the lean bindings could get wrong or use.
    if (
      options.encoding === 'utf8' &&
      (options.memory !== undefined || flatten(made.type, 'lower').params.length === 0)
    ) {
      const call = this.#bindings(options, host, generation).function(made.name);
      if (call !== undefined) return call as AnyFunction;
    }
    this.#values ??= standardValues(host, generation);
    const call = Object.hasOwn(this.#values, made.name) ? this.#values[made.name] : undefined;
    if (call === undefined)
      throw new Trap(`the host has no function "${made.name}" of ${made.interface}`);
    return this.#scheduled(lowerImport(made.type, this.#context(options), call));
  }

  #bindings(
    options: PlanOptions,
    host: ProcessHost,
    generation: GenerationRules,
  ): StandardBindings {
    const key = `${JSON.stringify(options.memory)} ${JSON.stringify(options.realloc)}`;
    let known = this.#memories.get(key);
    if (known === undefined) {
      const memory = new GuestMemory(
        options.memory === undefined
          ? new WebAssembly.Memory({ initial: 0 })
          : this.#memory(options.memory),
        options.realloc === undefined ? undefined : (this.#function(options.realloc) as Realloc),
        this.#guest,
      );
      known = {
        memory,
        bindings: new StandardBindings(host, memory, this.#guest, generation, this.#addresses),
      };
      this.#memories.set(key, known);
    }
    return known.bindings;
  }

  /** A generic core function whose promise, if it returns one, waits for the guest's turn. */
  #scheduled(call: AnyFunction): AnyFunction {
    const guest = this.#guest;
    return (...args) => {
      guest.charge(GENERIC_CALL_FUEL);
      const result = call(...args);
      if (!(result instanceof Promise)) return result;
      result.then(
        (value: unknown) => guest.resume(() => value),
        (fault: unknown) =>
          guest.resume(() => {
            throw fault;
          }),
      );
      return guest.suspend();
    };
  }

  /**
   * A call from one component of the process into another. Whatever the callee waits for suspends the guest by itself, so this only
   * passes the callee's promise on: a second `suspend` here would take the place of the first, and the callee would never resume.
   */
  #nested(call: AnyFunction, nothing: CoreValue): AnyFunction {
    const guest = this.#guest;
    return (...args) => {
      guest.charge(GENERIC_CALL_FUEL);
      const result = call(...args);
      if (!(result instanceof Promise)) return result;
      return guest.suspendUntil(
        result.catch((fault: unknown) => {
          guest.fail(fault);
          return nothing;
        }),
      );
    };
  }

  #context(options: PlanOptions): AbiContext {
    const { memory, realloc } = options;
    const buffer = memory === undefined ? undefined : this.#memory(memory);
    const allocate = realloc === undefined ? undefined : (this.#function(realloc) as Realloc);
    const guest = this.#guest;
    return {
      memory: () => (buffer === undefined ? EMPTY : buffer.buffer),
      ...(allocate === undefined
        ? {}
        : {
            realloc: (old, oldBytes, align, newBytes) => {
              guest.enter();
              try {
                return allocate(old, oldBytes, align, newBytes);
              } finally {
                guest.leave();
              }
            },
          }),
      encoding: options.encoding,
      resources: this.#tables[options.component]!,
      trap: (message) => {
        throw new Trap(message);
      },
    };
  }

  #lifted(core: CoreRef, options: PlanOptions, { type }: Pick<LinkPlan['entry'], 'type'>): Lifted {
    const call = this.#function(core);
    const post = options.postReturn === undefined ? undefined : this.#function(options.postReturn);
    const guest = this.#guest;
    return {
      type,
      ctx: this.#context(options),
      coreFn: WebAssembly.promising(call) as Lifted['coreFn'],
      ...(post === undefined
        ? {}
        : {
            postReturn: (...results) => {
              guest.enter();
              try {
                post(...results);
              } finally {
                guest.leave();
              }
            },
          }),
    };
  }
}

const EMPTY = new ArrayBuffer(0);
/** Fuel of a host call through the generic ABI. */
const GENERIC_CALL_FUEL = 1_000;
