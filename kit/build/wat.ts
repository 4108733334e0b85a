/** WebAssembly text to a component: component text as it is, a core module by the contract that its imports name. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { NativeBuild } from './assemblyscript.ts';
import { BuildError } from './build-error.ts';
import { PROCESS_WIT, WIT_FOLDER } from './paths.ts';
import { componentOfCore, parseText } from './wasm-tools.ts';

/** The generations of the contract and their world (kernel.md §9). */
const CONTRACTS: Readonly<Record<string, { readonly wit: string; readonly world: string }>> = {
  'hyperware:process/standard@1.0.0': { wit: PROCESS_WIT, world: 'process-v1' },
  'kinode:process/standard@1.0.0': { wit: generation('kinode-1.0.0'), world: 'process-v1' },
  'kinode:process/standard@0.8.0': { wit: generation('kinode-0.8.0'), world: 'process-v0' },
  'kinode:process/standard@0.7.0': { wit: generation('kinode-0.7.0'), world: 'process' },
};

const CORE_MAGIC_VERSION = 1;

/** @throws BuildError: `source` for text that does not parse, `componentize` for a module that fits no contract */
export async function buildWat(source: string): Promise<NativeBuild> {
  let text: string;
  try {
    text = await readFile(source, 'utf8');
  } catch (error) {
    throw new BuildError('source', `${source} cannot be read`, { cause: error });
  }
  const binary = await parseText(text, source);
  const component = binary[4] === CORE_MAGIC_VERSION ? await wrap(binary, text, source) : binary;
  return { component, inputs: [source] };
}

async function wrap(core: Uint8Array, text: string, source: string): Promise<Uint8Array> {
  const name = Object.keys(CONTRACTS).find((contract) => text.includes(`"${contract}"`));
  const contract = CONTRACTS[name ?? 'hyperware:process/standard@1.0.0'];
  if (contract === undefined) throw new BuildError('componentize', `${source}: no contract`);
  return componentOfCore(core, await readFile(contract.wit, 'utf8'), contract.world, source);
}

function generation(name: string): string {
  return join(WIT_FOLDER, 'generations', `${name}.wit`);
}
