/** `primes`: all primes below `args.below`, one a line in `primes.txt`; how many on stdout. A sieve in segments. */
import { type Builtin, numberOf, problemOf, wholeNumber } from './builtin.ts';

const BELOW_MAX = 50_000_000;
const SEGMENT = 1 << 20;

export const primes: Builtin = {
  check: (args) => problemOf(wholeNumber(args, 'below', { least: 2, most: BELOW_MAX })),
  run({ args, output, stdout, progress }) {
    const below = numberOf(args, 'below', 2);
    const small = primesUpTo(Math.floor(Math.sqrt(below)));
    const parts: string[] = [];
    let count = 0;
    for (let low = 2; low < below; low += SEGMENT) {
      const high = Math.min(below, low + SEGMENT);
      const composite = new Uint8Array(high - low);
      for (const prime of small) {
        const first = Math.max(prime * prime, Math.ceil(low / prime) * prime);
        for (let at = first; at < high; at += prime) composite[at - low] = 1;
      }
      const lines: number[] = [];
      for (let at = 0; at < composite.length; at += 1)
        if (composite[at] === 0) lines.push(low + at);
      count += lines.length;
      if (lines.length > 0) parts.push(`${lines.join('\n')}\n`);
      progress(Math.floor((high * 1_000_000) / below));
    }
    output('primes.txt', parts.join(''));
    stdout(`${count}\n`);
    return 0;
  },
};

function primesUpTo(most: number): number[] {
  const composite = new Uint8Array(most + 1);
  const found: number[] = [];
  for (let at = 2; at <= most; at += 1) {
    if (composite[at] === 1) continue;
    found.push(at);
    for (let multiple = at * at; multiple <= most; multiple += at) composite[multiple] = 1;
  }
  return found;
}
