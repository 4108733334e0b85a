/** What `gpu:compute:sys` tells the market of its own node, and those of others that ask it. */
import { unit } from '../../../wit/codec.ts';
import { method } from '../../lib/contract.ts';

export const providerEventMethods = {
  /** It has something else to say than before, such as that an extension is there, or gone: it is asked at once. */
  ProviderChanged: method(unit, unit),
} as const;
