/**
 * A core module that is a whole program, a WASI preview 1 command, as a link plan: one instance whose imports are all the host's. It
 * needs no component around it, and starts in a fraction of the time of one.
 */
import { ImageError } from '../engine.ts';
import { PREVIEW1, preview1Type } from '../hart/wasi/preview1.ts';
import { checkSize } from './check-size.ts';
import type { CoreFuncType, CoreModule } from './component.ts';
import { COMPONENT_BYTES_MAX } from './limits.ts';
import { quoteName } from './names.ts';
import type { CoreRef, HostFunction, LinkPlan } from './plan.ts';
import { readCoreModule } from './read-core-module.ts';
import { ByteReader } from './reader.ts';

/**
 * Reads and checks the module, then plans it. The plan refers to `bytes`.
 * @throws ImageError, and nothing else, whatever the bytes are
 */
export function planProgramModule(bytes: Uint8Array, memoryPagesMax: number): LinkPlan {
  if (bytes.length > COMPONENT_BYTES_MAX) {
    throw new ImageError(
      'limit',
      `module too big: ${bytes.length} bytes, at most ${COMPONENT_BYTES_MAX} are allowed`,
    );
  }
  const module = readCoreModule(new ByteReader(bytes));
  checkSize(
    {
      offset: 0,
      definitions: [
        { kind: 'core-module', bytes, module, offset: 0 },
        { kind: 'core-instance', from: { kind: 'instantiate', module: 0, args: [] } },
      ],
    },
    memoryPagesMax,
  );
  expectExport(module, 'memory', 'memory');
  expectExport(module, '_start', 'func');
  if (describe(functionType(module, '_start')) !== '() -> ()') {
    throw new ImageError(
      'unsupported-export',
      'exports a _start that is no command: it has a type',
    );
  }
  const functions = module.imports.map((item): HostFunction => {
    const { module: from, field, type } = item;
    const expected = from === PREVIEW1 ? preview1Type(field) : undefined;
    if (expected === undefined || type.kind !== 'func') {
      throw new ImageError(
        'unsupported-import',
        `imports ${quoteName(`${from} ${field}`)}; a program imports functions of ${PREVIEW1} only`,
      );
    }
    if (describe(module.types[type.type]) !== describe(expected)) {
      throw new ImageError(
        'unsupported-import',
        `imports ${field} with another type than ${describe(expected)}`,
      );
    }
    return { kind: 'core', module: from, name: field, type: expected, memory: MEMORY };
  });
  return {
    modules: [{ bytes, module }],
    steps: [
      {
        module: 0,
        imports: module.imports.map(({ module: from, field }, index) => ({
          module: from,
          field,
          from: { kind: 'host', index },
        })),
      },
    ],
    functions,
    components: [{ index: 0 }],
    destructors: new Map(),
    entry: { type: { params: [] }, core: coreExport('_start'), options: OPTIONS },
  };
}

const coreExport = (name: string): CoreRef => ({ kind: 'export', instance: 0, name });
const MEMORY = coreExport('memory');
const OPTIONS: LinkPlan['entry']['options'] = {
  encoding: 'utf8',
  memory: undefined,
  realloc: undefined,
  postReturn: undefined,
  component: 0,
};

function expectExport(module: CoreModule, name: string, kind: 'memory' | 'func'): void {
  if (module.exports.some((item) => item.name === name && item.kind === kind)) return;
  throw new ImageError(
    'unsupported-export',
    `does not export the ${kind === 'func' ? 'function' : kind} ${name}: a program is a WASI command, built as such`,
  );
}

function functionType(module: CoreModule, name: string): CoreFuncType | undefined {
  const index = module.exports.find((item) => item.name === name)?.index ?? 0;
  const imported = module.imports.filter((item) => item.type.kind === 'func');
  const type = index < imported.length ? undefined : module.functions[index - imported.length];
  return type === undefined ? undefined : module.types[type];
}

function describe(
  type: { readonly params: readonly unknown[]; readonly results: readonly unknown[] } | undefined,
): string {
  return type === undefined ? 'unknown' : `(${type.params.join()}) -> (${type.results.join()})`;
}
