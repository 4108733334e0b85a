/** Hands the generated code to the Solidity tests: one file of hex for each contract, in `contracts/target/code`. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Code } from '../contract.ts';

const CONTRACTS = fileURLToPath(new URL('..', import.meta.url));

/** Writes creation code by the contract's name, from every module in `abi/`. */
export async function writeCodeFiles(): Promise<void> {
  const target = join(CONTRACTS, 'target/code');
  mkdirSync(target, { recursive: true });
  for (const file of readdirSync(join(CONTRACTS, 'abi'))) {
    const module = (await import(new URL(`../abi/${file}`, import.meta.url).href)) as Record<
      string,
      Code | undefined
    >;
    const code = Object.entries(module).find(([name]) => name.endsWith('Code'))?.[1];
    if (code !== undefined) writeFileSync(join(target, code.name), code.creation);
  }
}
