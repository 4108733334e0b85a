/**
 * The same guest over three bindings of `standard`: our lean ones, our generic canonical ABI, and jco's generated lowering. The guest
 * exports `call-X` for every function X of the contract and passes its parameters on to it.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { transpile } from '@bytecodealliance/jco';
import { componentEmbed, componentNew, parse } from '@bytecodealliance/jco-transpile/wasm-tools';
import { liftExport, lowerImport } from '../../kernel/hart/abi/call.ts';
import type { AbiContext } from '../../kernel/hart/abi/context.ts';
import { flatten } from '../../kernel/hart/abi/layout.ts';
import { ResourceTable } from '../../kernel/hart/abi/resource-table.ts';
import { camelCase, type CoreValue, type FuncType } from '../../kernel/hart/abi/types.ts';
import { AddressCache } from '../../kernel/hart/standard/address-cache.ts';
import { StandardBindings, type GenerationTraits } from '../../kernel/hart/standard/bindings.ts';
import { GuestMemory, type Realloc } from '../../kernel/hart/standard/guest-memory.ts';
import { standardValues } from '../../kernel/hart/standard/values.ts';
import { planComponent } from '../../kernel/image/plan.ts';
import { readComponent } from '../../kernel/image/read-component.ts';
import { Trap, type ProcessHost } from '../../kernel/process-host.ts';

/** A generation of the contract, as its WIT file has it. */
export interface Contract {
  readonly file: string;
  readonly world: string;
  readonly interfaceName: string;
  readonly traits: GenerationTraits;
}

/** What one call did: the guest's memory after it, and its result. */
export interface Outcome {
  readonly result: unknown;
  readonly memory: Uint8Array;
}

/** Calls a function of the contract from within the guest, against this host. */
export type Runner = (
  name: string,
  args: readonly unknown[],
  host: ProcessHost,
) => Promise<Outcome>;

export interface Oracle {
  readonly types: ReadonlyMap<string, FuncType>;
  readonly lean: Runner;
  readonly generic: Runner;
  readonly jco: Runner;
}

const WIT = join(import.meta.dirname, '..', '..', 'wit');

/** Wraps results in tuples: jco throws what a result holds, but not what is inside a tuple. */
function exportedType({ params, result }: FuncType): FuncType {
  return {
    params,
    ...(result === undefined ? {} : { result: { kind: 'tuple', types: [result] } }),
  };
}

export async function oracleOf(contract: Contract): Promise<Oracle> {
  const source = await readFile(join(WIT, contract.file), 'utf8');
  const types = await typesOf(source, contract);
  const witSource = `${source}\n${forwardingWorld(source)}`;
  const core = await parse(coreText(contract.interfaceName, types));
  const module = await WebAssembly.compile(core as Uint8Array<ArrayBuffer>);
  return {
    types,
    lean: leanRunner(module, contract, types),
    generic: genericRunner(module, contract, types),
    jco: await jcoRunner(core, witSource, contract, types),
  };
}

/** The functions' types as a component that imports them all states them. */
async function typesOf(witSource: string, contract: Contract): Promise<Map<string, FuncType>> {
  const embedded = await componentEmbed({ witSource, world: contract.world, dummy: true });
  const { functions } = planComponent(readComponent(await componentNew(embedded, [])));
  return new Map(functions.flatMap((one) => (one.kind === 'import' ? [[one.name, one.type]] : [])));
}

/** A world that exports each function of `standard` once more, with the interface's types. */
function forwardingWorld(source: string): string {
  const body = source.slice(source.indexOf('interface standard {'), source.indexOf('world lib'));
  const used = [...body.matchAll(/^ {4}(?:record|variant|enum|type) ([a-z-]+)/gm)].map(
    ([, name]) => name!,
  );
  const functions = [...body.matchAll(/^ {4}([a-z-]+): func\(([^;]*?)\)(?:\s*->\s*([^;]*))?;/gm)];
  const exports = functions.map(([, name, params, result]) => {
    const wrapped = result === undefined ? '' : ` -> tuple<${result}>`;
    return `export call-${name}: func(${params})${wrapped};`;
  });
  return `world oracle { import standard; use standard.{${used.join(', ')}}; ${exports.join('\n')} }`;
}

function coreText(interfaceName: string, types: ReadonlyMap<string, FuncType>): string {
  const list = (keyword: string, of: readonly string[]): string =>
    of.length === 0 ? '' : `(${keyword} ${of.join(' ')})`;
  const imports: string[] = [];
  const exports: string[] = [];
  for (const [name, type] of types) {
    const { params, results, indirectResult } = flatten(exportedType(type), 'lift');
    const lowered = flatten(type, 'lower');
    imports.push(
      `(import "${interfaceName}" "${name}" (func $${name} ${list('param', lowered.params)} ${list('result', lowered.results)}))`,
    );
    // A small result comes flat from the import and goes flat out of the export.
    const area = indirectResult ? '(i32.const 16)' : '';
    exports.push(`(func (export "call-${name}") ${list('param', params)} ${list('result', results)}
      (call $${name} ${params.map((_, i) => `(local.get ${i})`).join(' ')} ${area}) ${area})`);
  }
  return `(module ${imports.join('\n')}
    (memory (export "memory") 64)
    (global $next (mut i32) (i32.const 4096))
    (func (export "cabi_realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32) (result i32)
      (local $p i32)
      (local.set $p (i32.and
        (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
      (global.set $next (i32.add (local.get $p) (local.get $new)))
      (memory.copy (local.get $p) (local.get $old) (local.get $size))
      (local.get $p))
    ${exports.join('\n')})`;
}

type Exports = Record<string, WebAssembly.ExportValue>;

interface Live {
  exports: Exports;
}

function memoryOf({ exports }: Live): WebAssembly.Memory {
  const { memory } = exports;
  if (!(memory instanceof WebAssembly.Memory)) throw new Error('no memory');
  return memory;
}

function contextOf(live: Live): AbiContext {
  return {
    memory: () => memoryOf(live).buffer,
    realloc: (...args) => (live.exports['cabi_realloc'] as Realloc)(...args),
    encoding: 'utf8',
    resources: new ResourceTable(),
    trap(message) {
      throw new Trap(message);
    },
  };
}

type CoreCall = (...args: CoreValue[]) => unknown;

/** Runs the guest with these imports. */
async function call(
  module: WebAssembly.Module,
  contract: Contract,
  type: FuncType,
  name: string,
  args: readonly unknown[],
  bind: (live: Live, name: string) => CoreCall,
): Promise<Outcome> {
  const live: Live = { exports: {} };
  const imports: Record<string, WebAssembly.Suspending> = {};
  for (const { name: field } of WebAssembly.Module.imports(module)) {
    let bound: CoreCall | undefined;
    imports[field] = new WebAssembly.Suspending((...flat: CoreValue[]) => {
      bound ??= bind(live, field);
      return bound(...flat);
    });
  }
  live.exports = new WebAssembly.Instance(module, {
    [contract.interfaceName]: imports as unknown as WebAssembly.ModuleImports,
  }).exports;
  const coreFn = WebAssembly.promising(live.exports[`call-${name}`] as CoreCall);
  const result = await liftExport({
    type: exportedType(type),
    ctx: contextOf(live),
    coreFn: coreFn as (...flat: CoreValue[]) => Promise<CoreValue | undefined>,
  })(args);
  return { result, memory: new Uint8Array(memoryOf(live).buffer) };
}

function typeOf(types: ReadonlyMap<string, FuncType>, name: string): FuncType {
  const type = types.get(name);
  if (type === undefined) throw new Error(`no function ${name}`);
  return type;
}

function leanRunner(
  module: WebAssembly.Module,
  contract: Contract,
  types: ReadonlyMap<string, FuncType>,
): Runner {
  return (name, args, host) =>
    call(module, contract, typeOf(types, name), name, args, (live, field) => {
      let resumed: (() => void) | undefined;
      const quiet = { enter: () => undefined, leave: () => undefined };
      const memory = new GuestMemory(
        memoryOf(live),
        live.exports['cabi_realloc'] as Realloc,
        quiet,
      );
      const calls = {
        charge: () => undefined,
        // The bindings hand on whatever this returns; here it is what a suspending import waits for.
        suspend: () =>
          new Promise<undefined>((resolve) => {
            resumed = () => resolve(undefined);
          }) as unknown as symbol,
        resume: (finish: () => void) => {
          finish();
          resumed?.();
        },
        fail: (fault: unknown) => {
          throw fault;
        },
      };
      const bindings = new StandardBindings(
        host,
        memory,
        calls,
        contract.traits,
        new AddressCache(),
      );
      return bindings.function(field) as unknown as CoreCall;
    });
}

function genericRunner(
  module: WebAssembly.Module,
  contract: Contract,
  types: ReadonlyMap<string, FuncType>,
): Runner {
  return (name, args, host) =>
    call(module, contract, typeOf(types, name), name, args, (live, field) =>
      lowerImport(
        typeOf(types, field),
        contextOf(live),
        standardValues(host, contract.traits)[field]!,
      ),
    );
}

async function jcoRunner(
  core: Uint8Array,
  witSource: string,
  contract: Contract,
  types: ReadonlyMap<string, FuncType>,
): Promise<Runner> {
  const embedded = await componentEmbed({ binary: core, witSource, world: 'oracle' });
  const component = await componentNew(embedded, []);
  const names = [...types.keys()];
  const { files } = await transpile(component, {
    name: 'oracle',
    instantiation: 'async',
    asyncMode: 'jspi',
    asyncImports: names.map((name) => `${contract.interfaceName}#${name}`),
    asyncExports: names.map((name) => `call-${name}`),
    wasiShim: false,
  });
  const text = Buffer.from(files['oracle.js'] ?? '').toString('base64');
  const { instantiate } = await import(/* @vite-ignore */ `data:text/javascript;base64,${text}`);
  const modules = new Map<string, WebAssembly.Module>();
  for (const [name, bytes] of Object.entries(files))
    if (name.endsWith('.wasm')) modules.set(name, new WebAssembly.Module(new Uint8Array(bytes)));
  return async (name, args, host) => {
    const live: Live = { exports: {} };
    const values = standardValues(host, contract.traits);
    const functions = names.map((one) => [
      camelCase(one),
      jcoFunction(values[one]!, typeOf(types, one)),
    ]);
    const exported = await instantiate(
      (file: string) => modules.get(file),
      { [contract.interfaceName.replace(/@.*/, '')]: Object.fromEntries(functions) },
      async (module: WebAssembly.Module, imports: WebAssembly.Imports) => {
        const instance = new WebAssembly.Instance(module, imports);
        if (instance.exports['memory'] !== undefined && `call-${name}` in instance.exports)
          live.exports = instance.exports;
        return instance;
      },
    );
    const result: unknown = await exported[camelCase(`call-${name}`)](...args);
    return { result, memory: new Uint8Array(memoryOf(live).buffer) };
  };
}

/** jco's imports get their arguments one by one and throw the error of a result. */
function jcoFunction(
  call: (args: readonly unknown[]) => unknown,
  type: FuncType,
): (...args: unknown[]) => unknown {
  return async (...args) => {
    const value = await call(args);
    if (type.result?.kind !== 'result') return value;
    const { tag, val } = value as { tag: string; val: unknown };
    if (tag === 'err') throw Object.assign(new Error('err'), { payload: val });
    return val;
  };
}
