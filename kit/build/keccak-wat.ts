/**
 * keccak256 as functions of the module in `quickjs-native.ts`: FIPS 202's permutation over 25 lanes that stay in locals, with the padding that
 * came before the standard. One round is written out and run 24 times; its constants are the cases of a function, since the module has no
 * memory of its own.
 */
const SIDE = 5;
const LANES = SIDE * SIDE;
const ROUNDS = 24;
const RATE_BYTES = 136;
const LANE_BYTES = 8;
const HASH_LANES = 4;

const laneOf = (x: number, y: number): number => (x % SIDE) + SIDE * (y % SIDE);
const lane = (index: number): string => `l${index}`;
const get = (name: string): string => `(local.get $${name})`;
const set = (name: string, value: string): string => `(local.set $${name} ${value})`;
const xor = (first: string, ...rest: readonly string[]): string =>
  rest.reduce((all, each) => `(i64.xor ${all} ${each})`, first);
const rotated = (value: string, bits: number): string =>
  bits === 0 ? value : `(i64.rotl ${value} (i64.const ${bits}))`;

/** By how much each lane is rotated, and where it goes (rho and pi): along the walk of FIPS 202, section 3.2.2. */
const moves = ((): readonly {
  readonly from: number;
  readonly to: number;
  readonly by: number;
}[] => {
  const found = [{ from: 0, to: 0, by: 0 }];
  let [x, y] = [1, 0];
  for (let step = 0; step < LANES - 1; step++) {
    const by = (((step + 1) * (step + 2)) / 2) % 64;
    const from = laneOf(x, y);
    [x, y] = [y, (2 * x + 3 * y) % SIDE];
    found.push({ from, to: laneOf(x, y), by });
  }
  return found;
})();

/** Bits of the constants come out of a shift register (FIPS 202, section 3.2.5). */
const constants = ((): readonly bigint[] => {
  let register = 1;
  const bit = (): bigint => {
    const out = BigInt(register & 1);
    register = (register << 1) ^ (register & 0x80 ? 0x171 : 0);
    return out;
  };
  return Array.from({ length: ROUNDS }, () => {
    let constant = 0n;
    for (let power = 0; power <= 6; power++) constant |= bit() << BigInt(2 ** power - 1);
    return constant;
  });
})();

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

const theta = [
  ...range(SIDE).map((x) =>
    set(
      `c${x}`,
      xor(...(range(SIDE).map((y) => get(lane(laneOf(x, y)))) as [string, ...string[]])),
    ),
  ),
  ...range(SIDE).map((x) =>
    set(`d${x}`, xor(get(`c${(x + 4) % SIDE}`), rotated(get(`c${(x + 1) % SIDE}`), 1))),
  ),
];
const rhoAndPi = moves.map(({ from, to, by }) =>
  set(`m${to}`, rotated(xor(get(lane(from)), get(`d${from % SIDE}`)), by)),
);
const chi = range(SIDE).flatMap((y) =>
  range(SIDE).map((x) => {
    const [here, next, after] = [0, 1, 2].map((more) => get(`m${laneOf(x + more, y)}`));
    const turned = `(i64.and (i64.xor ${next} (i64.const -1)) ${after})`;
    return set(lane(laneOf(x, y)), xor(here!, turned));
  }),
);
const iota = set(lane(0), xor(get(lane(0)), `(call $keccak-constant ${get('round')})`));

const hex = (value: bigint): string => `0x${BigInt.asUintN(64, value).toString(16)}`;
const labels = range(ROUNDS).map((round) => `$r${round}`);

export const KECCAK_FUNCTIONS = `(func $keccak-constant (param $round i32) (result i64)
    ${labels
      .toReversed()
      .map((label) => `(block ${label}`)
      .join(' ')}
    (br_table ${labels.join(' ')} (local.get $round))
    ${constants.map((constant) => `) (return (i64.const ${hex(constant)}))`).join('\n')}
    (unreachable))
  (func $keccak-byte (param $at i32) (param $length i32) (param $padded i32) (param $index i32) (result i64)
    (local $byte i32)
    (if (i32.lt_u (local.get $index) (local.get $length))
      (then (return (i64.load8_u (i32.add (local.get $at) (local.get $index))))))
    (local.set $byte (i32.eq (local.get $index) (local.get $length)))
    (if (i32.eq (local.get $index) (i32.sub (local.get $padded) (i32.const 1)))
      (then (local.set $byte (i32.or (local.get $byte) (i32.const 0x80)))))
    (i64.extend_i32_u (local.get $byte)))
  (func $keccak-lane (param $at i32) (param $length i32) (param $padded i32) (param $index i32) (result i64)
    (if (i32.le_u (i32.add (local.get $index) (i32.const ${LANE_BYTES})) (local.get $length))
      (then (return (i64.load align=1 (i32.add (local.get $at) (local.get $index))))))
    ${range(LANE_BYTES).reduceRight((above, index) => {
      const byte = `(call $keccak-byte (local.get $at) (local.get $length) (local.get $padded) (i32.add (local.get $index) (i32.const ${index})))`;
      return above === '' ? byte : `(i64.or (i64.shl ${above} (i64.const 8)) ${byte})`;
    }, '')})
  (func (export "keccak256") (param $at i32) (param $length i32) (param $result i32)
    ${['l', 'm'].flatMap((name) => range(LANES).map((index) => `(local $${name}${index} i64)`)).join(' ')}
    ${['c', 'd'].flatMap((name) => range(SIDE).map((index) => `(local $${name}${index} i64)`)).join(' ')}
    (local $padded i32) (local $block i32) (local $round i32) (local $to i32)
    (local.set $padded
      (i32.mul
        (i32.add (i32.div_u (local.get $length) (i32.const ${RATE_BYTES})) (i32.const 1))
        (i32.const ${RATE_BYTES})))
    (loop $next
      ${range(RATE_BYTES / LANE_BYTES)
        .map((index) =>
          set(
            lane(index),
            xor(
              get(lane(index)),
              `(call $keccak-lane (local.get $at) (local.get $length) (local.get $padded) (i32.add (local.get $block) (i32.const ${LANE_BYTES * index})))`,
            ),
          ),
        )
        .join('\n')}
      (local.set $round (i32.const 0))
      (loop $rounds
        ${[...theta, ...rhoAndPi, ...chi, iota].join('\n')}
        (local.set $round (i32.add (local.get $round) (i32.const 1)))
        (br_if $rounds (i32.lt_u (local.get $round) (i32.const ${ROUNDS}))))
      (local.set $block (i32.add (local.get $block) (i32.const ${RATE_BYTES})))
      (br_if $next (i32.lt_u (local.get $block) (local.get $padded))))
    (local.set $to (call $realloc (i32.const 0) (i32.const 0) (i32.const 1) (i32.const ${HASH_LANES * LANE_BYTES})))
    ${range(HASH_LANES)
      .map(
        (index) =>
          `(i64.store offset=${LANE_BYTES * index} align=1 (local.get $to) ${get(lane(index))})`,
      )
      .join('\n')}
    (i32.store (local.get $result) (local.get $to))
    (i32.store offset=4 (local.get $result) (i32.const ${HASH_LANES * LANE_BYTES})))`;
