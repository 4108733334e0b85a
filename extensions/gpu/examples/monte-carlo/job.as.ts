/** The value of pi, by throwing darts: `entry.cmd` says how many. The seed is the spec's, so anybody who runs it throws the same. AssemblyScript. */
import { args, fail, outputText, print, random } from 'job';

export function main(): void {
  const words = args();
  const count = words.length > 1 ? I64.parseInt(words[1]) : 0;
  if (count < 1) fail('say how many darts');
  const seed = random(8);
  let state = load<u64>(seed.dataStart) | 1;
  let inside: i64 = 0;
  for (let i: i64 = 0; i < count; i++) {
    // xorshift64*: 2^64 - 1 states, and the upper half of each is a good number.
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    const dart = state * 0x2545f4914f6cdd1d;
    const x = <i64>(dart >> 33);
    const y = <i64>((dart << 31) >> 33);
    if (x * x + y * y < (<i64>1 << 62)) inside++;
  }
  // Millionths of pi, in integers.
  const pi = (4000000 * inside) / count;
  outputText('result.json', '{"darts":' + count.toString() + ',"inside":' + inside.toString() + ',"piMicro":' + pi.toString() + '}\n');
  print('pi is about ' + (<f64>pi / 1000000).toString());
}
