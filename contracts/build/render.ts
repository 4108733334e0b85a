/** A compiled contract as a TypeScript module: ABI, code, and the type of its ethers binding. */
import type { JsonFragment, JsonFragmentType } from 'ethers';
import type { Compiled } from './compile.ts';

/** `HyperAccount` to `hyper-account.ts`. */
export function fileNameOf(contract: string): string {
  return `${contract.replace(/([a-z0-9])([A-Z])/g, '$1-$2').toLowerCase()}.ts`;
}

/** The text of the module. Equal input gives equal text: a test compares it with what is committed. */
export function renderModule(contract: Compiled): string {
  const prefix = contract.name.replace(/^[A-Z]+(?=[A-Z][a-z]|\d)|^[A-Z]/, (start) =>
    start.toLowerCase(),
  );
  const methods = renderMethods(contract.abi);
  const used = ['AddressLike', 'BaseContract', 'BigNumberish', 'BytesLike'].filter(
    (type) => type === 'BaseContract' || methods.some((line) => line.includes(type)),
  );
  const own = ['Call', 'Code', 'ContractAbi', 'View'].filter(
    (type) =>
      type === 'Code' ||
      type === 'ContractAbi' ||
      methods.some((line) => line.includes(`: ${type}<`)),
  );
  return [
    `/** ${contract.name}: generated from ${contract.source} by \`npm run build:contracts\`; not to be edited. */`,
    `import type { ${used.join(', ')} } from 'ethers';`,
    `import type { ${own.join(', ')} } from '../contract.ts';`,
    '',
    `export interface ${contract.name} extends BaseContract {`,
    ...methods,
    '}',
    '',
    `export const ${prefix}Abi: ContractAbi<${contract.name}> = [`,
    ...contract.abi.map((item) => `  ${JSON.stringify(withoutInternalTypes(item))},`),
    '];',
    '',
    `export const ${prefix}Code: Code = {`,
    `  name: '${contract.name}',`,
    `  creation: '${contract.creation}',`,
    `  runtime: '${contract.runtime}',`,
    `  immutables: ${JSON.stringify(contract.immutables)},`,
    '};',
    '',
  ].join('\n');
}

function renderMethods(abi: readonly JsonFragment[]): string[] {
  const functions = abi.filter((item) => item.type === 'function');
  return functions.map((item) => {
    const overloaded = functions.filter(({ name }) => name === item.name).length > 1;
    const key = overloaded
      ? `'${item.name}(${(item.inputs ?? []).map(signatureType).join(',')})'`
      : (item.name ?? '');
    const kind = isView(item) ? 'View' : 'Call';
    const inputs = (item.inputs ?? []).map(
      (input, index) => `${safeName(input.name, index)}: ${typeOf(input, 'in')}`,
    );
    return `  readonly ${key}: ${kind}<[${inputs.join(', ')}], ${resultType(item.outputs ?? [])}>;`;
  });
}

function isView({ stateMutability }: JsonFragment): boolean {
  return stateMutability === 'view' || stateMutability === 'pure';
}

/** As ethers decodes: nothing, the value, or a tuple that also has the names. */
function resultType(outputs: readonly JsonFragmentType[]): string {
  if (outputs.length === 0) return 'void';
  if (outputs.length === 1) return typeOf(outputs[0]!, 'out');
  return tupleType(outputs, 'out');
}

type Direction = 'in' | 'out';

function tupleType(parts: readonly JsonFragmentType[], direction: Direction): string {
  const named = parts.filter(({ name }) => name !== undefined && name !== '');
  const object = `{ ${named.map((part) => `${part.name}: ${typeOf(part, direction)}`).join('; ')} }`;
  if (direction === 'in') return object;
  const tuple = `[${parts.map((part) => typeOf(part, direction)).join(', ')}]`;
  return named.length === parts.length ? `${tuple} & ${object}` : tuple;
}

function typeOf(part: JsonFragmentType, direction: Direction): string {
  const type = part.type ?? '';
  const array = /^(.*)\[\d*\]$/.exec(type);
  if (array !== null) {
    const element = typeOf({ ...part, type: array[1]! }, direction);
    return element.includes('&') ? `(${element})[]` : `${element}[]`;
  }
  if (type === 'tuple') return tupleType(part.components ?? [], direction);
  if (type === 'bool') return 'boolean';
  if (type === 'string') return 'string';
  if (/^u?int/.test(type)) return direction === 'in' ? 'BigNumberish' : 'bigint';
  if (direction === 'out') return 'string';
  return type === 'address' ? 'AddressLike' : 'BytesLike';
}

function signatureType(part: JsonFragmentType): string {
  const type = part.type ?? '';
  if (!type.startsWith('tuple')) return type;
  return `(${(part.components ?? []).map(signatureType).join(',')})${type.slice('tuple'.length)}`;
}

function safeName(name: string | undefined, index: number): string {
  return name === undefined || name === '' ? `argument${index}` : name;
}

/** The compiler's names of types are of no use to callers. */
function withoutInternalTypes(item: JsonFragment): unknown {
  return JSON.parse(
    JSON.stringify(item, (key, value: unknown) => (key === 'internalType' ? undefined : value)),
  );
}
