/** The WIT generations this node runs (whitepaper 4.9; kernel.md §9), as differences over one internal host interface. */
import type { GenerationTraits } from './standard/bindings.ts';

export interface Generation extends GenerationTraits {
  /** `kinode:process@0.7.0` */
  readonly name: string;
  /** The blob register is cleared by a message without one, and get-blob returns it as it is. */
  readonly blobRegisterClears: boolean;
  /** Functions later generations added: a component of this one that imports them is malformed. */
  readonly lacks: readonly string[];
}

const CURRENT = {
  sendErrorTarget: true,
  grantParams: true,
  blobRegisterClears: false,
  lacks: [],
} as const;

export const GENERATIONS: readonly Generation[] = [
  { name: 'hyperware:process@1', ...CURRENT },
  { name: 'kinode:process@1.0.0', ...CURRENT },
  {
    name: 'kinode:process@0.8.0',
    sendErrorTarget: true,
    grantParams: false,
    blobRegisterClears: true,
    lacks: ['our', 'has-blob', 'last-blob'],
  },
  {
    name: 'kinode:process@0.7.0',
    sendErrorTarget: false,
    grantParams: false,
    blobRegisterClears: true,
    lacks: ['our', 'has-blob', 'last-blob', 'drop-capabilities'],
  },
];

/** The generation of an interface such as `hyperware:process/standard@1.0.0`; undefined if it is not `standard` or not ours. */
export function generationOf(interfaceName: string): Generation | undefined {
  const match = /^(hyperware|kinode):process\/standard@(\d+)\.(\d+)\.(\d+)$/.exec(interfaceName);
  if (match === null) return undefined;
  const [, namespace, major, minor, patch] = match;
  const name =
    namespace === 'hyperware'
      ? `hyperware:process@${major}`
      : `kinode:process@${major}.${minor}.${patch}`;
  return GENERATIONS.find((generation) => generation.name === name);
}
