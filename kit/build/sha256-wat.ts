/**
 * SHA-256 (FIPS 180-4) as functions of the module in `quickjs-native.ts`. All rounds are written out: what they work on stays in locals then,
 * and the constants need no memory, of which the module has none of its own.
 */
const WORDS = 16;
const ROUNDS = 64;
const STATE = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];

/** The first 32 bits of the fraction of a root. They are exact: a double has 52. */
function fraction(root: number): string {
  return `(i32.const 0x${Math.floor((root % 1) * 2 ** 32).toString(16)})`;
}

function primes(count: number): number[] {
  const found: number[] = [];
  for (let next = 2; found.length < count; next++)
    if (found.every((prime) => next % prime !== 0)) found.push(next);
  return found;
}

const ROUND_CONSTANTS = primes(ROUNDS).map((prime) => fraction(Math.cbrt(prime)));
const INITIAL = primes(STATE.length).map((prime) => fraction(Math.sqrt(prime)));

const get = (name: string): string => `(local.get $${name})`;
const add = (first: string, ...rest: readonly string[]): string =>
  rest.reduce((sum, each) => `(i32.add ${sum} ${each})`, first);
const xor = (first: string, ...rest: readonly string[]): string =>
  rest.reduce((sum, each) => `(i32.xor ${sum} ${each})`, first);
const turned = (name: string, bits: number): string =>
  `(i32.rotr ${get(name)} (i32.const ${bits}))`;
const shifted = (name: string, bits: number): string =>
  `(i32.shr_u ${get(name)} (i32.const ${bits}))`;
const wordOf = (round: number): string => `w${round % WORDS}`;

/** One round, and before it, from the 17th on, its word of the schedule. The letters turn instead of the values. */
function round(at: number): string {
  const [a, b, c, d, e, f, g, h] = STATE.map(
    (_, index) => STATE[(index - at + ROUNDS) % STATE.length]!,
  ) as [string, string, string, string, string, string, string, string];
  const word = wordOf(at);
  const early = wordOf(at + 1);
  const late = wordOf(at + 14);
  const schedule = add(
    get(word),
    get(wordOf(at + 9)),
    xor(turned(early, 7), turned(early, 18), shifted(early, 3)),
    xor(turned(late, 17), turned(late, 19), shifted(late, 10)),
  );
  const choice = xor(get(g), `(i32.and ${get(e)} ${xor(get(f), get(g))})`);
  const majority = `(i32.or (i32.and ${get(a)} ${get(b)}) (i32.and ${get(c)} (i32.or ${get(a)} ${get(b)})))`;
  const sum = add(
    get(h),
    xor(turned(e, 6), turned(e, 11), turned(e, 25)),
    choice,
    ROUND_CONSTANTS[at]!,
    get(word),
  );
  return [
    at < WORDS ? '' : `(local.set $${word} ${schedule})`,
    `(local.set $sum ${sum})`,
    `(local.set $${d} ${add(get(d), get('sum'))})`,
    `(local.set $${h} ${add(get('sum'), xor(turned(a, 2), turned(a, 13), turned(a, 22)), majority)})`,
  ].join('\n');
}

const names = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}${index}`);
const SUMS = names('s', STATE.length);
const locals = [...STATE, ...SUMS, ...names('w', WORDS), 'sum', 'block', 'padded', 'to'];

export const SHA256_FUNCTIONS = `(func $swap (param $x i32) (result i32)
    (i32.or
      (i32.and (i32.rotl (local.get $x) (i32.const 8)) (i32.const 0x00ff00ff))
      (i32.and (i32.rotr (local.get $x) (i32.const 8)) (i32.const 0xff00ff00))))
  (func $byte (param $at i32) (param $length i32) (param $index i32) (result i32)
    (if (i32.gt_u (local.get $index) (local.get $length)) (then (return (i32.const 0))))
    (if (i32.eq (local.get $index) (local.get $length)) (then (return (i32.const 0x80))))
    (i32.load8_u (i32.add (local.get $at) (local.get $index))))
  (func $word (param $at i32) (param $length i32) (param $padded i32) (param $index i32) (result i32)
    (if (i32.le_u (i32.add (local.get $index) (i32.const 4)) (local.get $length))
      (then (return (call $swap (i32.load align=1 (i32.add (local.get $at) (local.get $index)))))))
    (if (i32.eq (local.get $index) (i32.sub (local.get $padded) (i32.const 4)))
      (then (return (i32.shl (local.get $length) (i32.const 3)))))
    (if (i32.eq (local.get $index) (i32.sub (local.get $padded) (i32.const 8)))
      (then (return (i32.shr_u (local.get $length) (i32.const 29)))))
    ${[0, 1, 2, 3].reduce(
      (rest, index) =>
        `(i32.or (i32.shl ${rest === '' ? '(i32.const 0)' : rest} (i32.const 8))
          (call $byte (local.get $at) (local.get $length) (i32.add (local.get $index) (i32.const ${index}))))`,
      '',
    )})
  (func (export "sha256") (param $at i32) (param $length i32) (param $result i32)
    ${locals.map((name) => `(local $${name} i32)`).join(' ')}
    ${SUMS.map((sum, index) => `(local.set $${sum} ${INITIAL[index]!})`).join('\n')}
    (local.set $padded (i32.and (i32.add (local.get $length) (i32.const 72)) (i32.const -64)))
    (loop $next
      ${names('w', WORDS)
        .map(
          (word, index) =>
            `(local.set $${word} (call $word (local.get $at) (local.get $length) (local.get $padded) (i32.add (local.get $block) (i32.const ${4 * index}))))`,
        )
        .join('\n')}
      ${STATE.map((name, index) => `(local.set $${name} ${get(SUMS[index]!)})`).join('\n')}
      ${Array.from({ length: ROUNDS }, (_, at) => round(at)).join('\n')}
      ${STATE.map((name, index) => `(local.set $${SUMS[index]!} ${add(get(SUMS[index]!), get(name))})`).join('\n')}
      (local.set $block (i32.add (local.get $block) (i32.const 64)))
      (br_if $next (i32.lt_u (local.get $block) (local.get $padded))))
    (local.set $to (call $realloc (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 32)))
    ${SUMS.map((sum, index) => `(i32.store offset=${4 * index} align=1 (local.get $to) (call $swap ${get(sum)}))`).join('\n')}
    (i32.store (local.get $result) (local.get $to))
    (i32.store offset=4 (local.get $result) (i32.const 32)))`;
