/**
 * keccak256, the hash of Ethereum: what names, labels and event topics are hashed with. FIPS 202's permutation with the padding that
 * came before the standard. Here because guests hash names too and import nothing; it guards no secret. `keccak.test.ts` compares
 * it with an audited implementation at every length around the block size.
 */
import { permute } from './keccak-permutation.ts';
import { nativeKeccak256 } from './native-keccak.ts';

/** Bytes taken in between two permutations. */
const RATE_BYTES = 136;
const HASH_BYTES = 32;
const STATE_WORDS = 50;

/** Halves of lanes. One call at a time: there is no await in here. */
const state = new Int32Array(STATE_WORDS);

/** The 32 bytes of the hash, the caller's own; natively in guests whose engine can. */
export function keccak256(message: Uint8Array): Uint8Array {
  return (nativeKeccak256() ?? interpreted)(message);
}

function interpreted(message: Uint8Array): Uint8Array {
  state.fill(0);
  let at = 0;
  for (; message.length - at >= RATE_BYTES; at += RATE_BYTES) {
    for (let i = 0; i < RATE_BYTES; i++) absorb(i, message[at + i]!);
    permute(state);
  }
  for (let i = at; i < message.length; i++) absorb(i - at, message[i]!);
  absorb(message.length - at, 0x01);
  absorb(RATE_BYTES - 1, 0x80);
  permute(state);
  const hash = new Uint8Array(HASH_BYTES);
  for (let i = 0; i < HASH_BYTES; i++) hash[i] = state[i >> 2]! >>> (8 * (i & 3));
  return hash;
}

function absorb(at: number, byte: number): void {
  state[at >> 2]! ^= byte << (8 * (at & 3));
}
