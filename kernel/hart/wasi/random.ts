/** `wasi:random`: all three from the same cryptographic source. */
import { Trap } from '../../process-host.ts';
import { randomBytesMax } from './limits.ts';
import { interfaceOf } from './interface.ts';
import type { WasiInterface } from './interface.ts';

export type RandomBytes = (count: number) => Uint8Array;

export function randomInterfaces(randomBytes: RandomBytes): Record<string, WasiInterface> {
  const bytes = (length: bigint): Uint8Array => {
    if (length > BigInt(randomBytesMax))
      throw new Trap(`asked for ${length} random bytes; one call gives at most ${randomBytesMax}`);
    return randomBytes(Number(length));
  };
  const u64 = (): bigint => {
    const eight = randomBytes(8);
    return new DataView(eight.buffer, eight.byteOffset, 8).getBigUint64(0, true);
  };
  return {
    'wasi:random/random': interfaceOf({ 'get-random-bytes': bytes, 'get-random-u64': u64 }),
    'wasi:random/insecure': interfaceOf({
      'get-insecure-random-bytes': bytes,
      'get-insecure-random-u64': u64,
    }),
    'wasi:random/insecure-seed': interfaceOf({ 'insecure-seed': () => [u64(), u64()] }),
  };
}
