/** The functions by name (compute-market.md §9.4). */
import type { Builtin } from './builtin.ts';
import { embed } from './embed.ts';
import { mandelbrot } from './mandelbrot.ts';
import { matmul } from './matmul.ts';
import { primes } from './primes.ts';
import { echo, fail, sha256, sleep } from './simple.ts';

export const BUILTINS: ReadonlyMap<string, Builtin> = new Map([
  ['echo', echo],
  ['sha256', sha256],
  ['matmul-i8', matmul],
  ['primes', primes],
  ['mandelbrot', mandelbrot],
  ['embed-hash-384', embed],
  ['sleep', sleep],
  ['fail', fail],
]);
