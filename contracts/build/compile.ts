/**
 * Solidity to ABIs and code, with the compiler of the npm package `solc` and no network. The settings are those of `foundry.toml`, so
 * that what the Solidity tests run is what is deployed; `test/artifacts.test.ts` compares.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { JsonFragment } from 'ethers';

/** A concrete contract, ready to deploy. */
export interface Compiled {
  readonly name: string;
  /** From the repository's root: `contracts/src/namespace/Hypermap.sol`. */
  readonly source: string;
  readonly abi: readonly JsonFragment[];
  /** What a deployment runs; constructor arguments follow it. `0x` and hex. */
  readonly creation: string;
  /** What stands at the address, with zeros where immutables go. `0x` and hex. */
  readonly runtime: string;
  /** Name of an immutable to the offsets, in bytes, of its 32-byte places in `runtime`. */
  readonly immutables: Readonly<Record<string, readonly number[]>>;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SOURCES = 'contracts/src';

const SETTINGS = {
  optimizer: { enabled: true, runs: 200 },
  viaIR: true,
  // Base and the chains like it are at least there.
  evmVersion: 'cancun',
  // Code that changes when a comment does could not be compared.
  metadata: { appendCBOR: false, bytecodeHash: 'none' },
  remappings: ['@openzeppelin/=node_modules/@openzeppelin/'],
} as const;

/** Code of our own contracts only; the syntax trees of all sources name the immutables. */
function selectionFor(sources: readonly string[]): object {
  const ours = ['abi', 'evm.bytecode.object', 'evm.deployedBytecode'];
  return {
    '*': { '': ['ast'] },
    ...Object.fromEntries(
      sources
        .filter((source) => source.startsWith(`${SOURCES}/`))
        .map((source) => [source, { '*': ours }]),
    ),
  };
}

/** What a node of the syntax tree may have that we look at. */
interface SyntaxNode {
  readonly id?: number;
  readonly name?: string;
  readonly nodeType?: string;
  readonly contractKind?: string;
  readonly abstract?: boolean;
  readonly nodes?: readonly SyntaxNode[];
}

interface Output {
  readonly errors?: readonly { readonly severity: string; readonly formattedMessage: string }[];
  readonly sources: Readonly<Record<string, { readonly ast: SyntaxNode }>>;
  readonly contracts: Readonly<Record<string, Readonly<Record<string, OutputContract>>>>;
}

interface OutputContract {
  readonly abi: readonly JsonFragment[];
  readonly evm: {
    readonly bytecode: { readonly object: string };
    readonly deployedBytecode: {
      readonly object: string;
      readonly immutableReferences: Readonly<Record<string, readonly { readonly start: number }[]>>;
    };
  };
}

/**
 * Every concrete contract under `src/`, by name.
 * @throws Error with the compiler's text when a source does not compile
 */
export async function compileContracts(): Promise<Compiled[]> {
  const sources = readSources();
  const settings = { ...SETTINGS, outputSelection: selectionFor(Object.keys(sources)) };
  const output = await runCompiler(JSON.stringify({ language: 'Solidity', sources, settings }));
  const failures = (output.errors ?? []).filter(({ severity }) => severity === 'error');
  if (failures.length > 0)
    throw new Error(failures.map((failure) => failure.formattedMessage).join('\n'));
  const immutables = immutableNames(output);
  return Object.entries(output.sources)
    .filter(([source]) => source.startsWith(`${SOURCES}/`))
    .flatMap(([source, { ast }]) =>
      (ast.nodes ?? []).filter(isConcrete).map(({ name = '' }) => {
        const contract = output.contracts[source]?.[name];
        if (contract === undefined) throw new Error(`${source}: no code for ${name}`);
        return compiled(name, source, contract, immutables);
      }),
    )
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function isConcrete(node: SyntaxNode): boolean {
  return (
    node.nodeType === 'ContractDefinition' &&
    node.contractKind === 'contract' &&
    node.abstract !== true
  );
}

function compiled(
  name: string,
  source: string,
  { abi, evm }: OutputContract,
  names: ReadonlyMap<string, string>,
): Compiled {
  const immutables = Object.entries(evm.deployedBytecode.immutableReferences).map(
    ([id, places]) => {
      const known = names.get(id);
      if (known === undefined) throw new Error(`${name}: immutable ${id} has no name`);
      return [known, places.map(({ start }) => start)] as const;
    },
  );
  return {
    name,
    source,
    abi,
    creation: `0x${evm.bytecode.object}`,
    runtime: `0x${evm.deployedBytecode.object}`,
    immutables: Object.fromEntries(immutables),
  };
}

/** Ids of the syntax tree to names of state variables; immutables are told by the former. */
function immutableNames({ sources }: Output): Map<string, string> {
  const names = new Map<string, string>();
  const visit = (node: SyntaxNode): void => {
    if (node.nodeType === 'VariableDeclaration' && node.id !== undefined)
      names.set(String(node.id), node.name ?? '');
    node.nodes?.forEach(visit);
  };
  for (const { ast } of Object.values(sources)) visit(ast);
  return names;
}

/** Our sources and, transitively, what they import, by path from the repository's root. */
export function readSources(): Record<string, { content: string }> {
  const sources: Record<string, { content: string }> = {};
  const pending = readdirSync(join(ROOT, SOURCES), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.sol'))
    .map((name) => `${SOURCES}/${name}`)
    .toSorted();
  for (let source = pending.pop(); source !== undefined; source = pending.pop()) {
    if (source in sources) continue;
    const content = readFileSync(join(ROOT, source), 'utf8');
    sources[source] = { content };
    for (const [, path = ''] of content.matchAll(/^(?:import|}) ?[^"';]*["']([^"']+)["'];/gm)) {
      pending.push(path.startsWith('.') ? join(source, '..', path) : `node_modules/${path}`);
    }
  }
  return sources;
}

async function runCompiler(input: string): Promise<Output> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const worker = new Worker(new URL('./compile-worker.ts', import.meta.url), { workerData: input });
  worker.once('message', resolve);
  worker.once('error', reject);
  worker.once('exit', (code) => reject(new Error(`the compiler ended with ${code}`)));
  return JSON.parse(await promise) as Output;
}
