/** What differs between the WIT generations (kernel.md §9), over the one internal host interface. */
import { generationOf, type Generation } from '../image/generation.ts';
import type { GenerationTraits } from './standard/bindings.ts';

export interface GenerationRules extends GenerationTraits {
  /** The blob register is cleared by a message without a blob, and get-blob returns it as it is. */
  readonly blobRegisterClears: boolean;
}

const LATEST: GenerationRules = {
  sendErrorTarget: true,
  grantParams: true,
  blobRegisterClears: false,
};

const RULES: Readonly<Record<Generation['generation'], GenerationRules>> = {
  'hyperware:process@1': LATEST,
  'kinode:process@1.0.0': LATEST,
  'kinode:process@0.8.0': { sendErrorTarget: true, grantParams: false, blobRegisterClears: true },
  'kinode:process@0.7.0': { sendErrorTarget: false, grantParams: false, blobRegisterClears: true },
};

/** The rules of an interface such as `hyperware:process/standard@1.0.0`; undefined when it is another interface. */
export function rulesOf(interfaceName: string): GenerationRules | undefined {
  const generation = generationOf(interfaceName);
  return generation === undefined || generation === 'unsupported'
    ? undefined
    : RULES[generation.generation];
}
