/** What tokens locked on a name count for (reference hypermap, section 15): unsigned 128-bit, saturating, integer division. */

const U128_MAX = (1n << 128n) - 1n;
/** Seconds that every live lock counts for at least: four weeks. */
const DURATION_S_MIN = 2_419_200n;

/** One account's bind on a name, as `TokenRegistry.bindingsOf` returns them. Wei, and seconds since 1970. */
export interface Binding {
  readonly amount: bigint;
  readonly endTime: bigint;
  readonly lockEndTime: bigint;
}

/** What `value` wei locked for `duration` seconds more count for. */
export function votingPower(value: bigint, duration: bigint): bigint {
  const v = min(value, U128_MAX);
  const d = duration > DURATION_S_MIN ? duration : DURATION_S_MIN;
  const amount = v - min(v * v, U128_MAX) / (2n * 10n ** 27n);
  const gained = d / 24_192n;
  const lost = (d * d) / 6_086_629_785_600n;
  return gained > lost ? min(amount * (gained - lost), U128_MAX) : 0n;
}

/** The weight of a name at `now`: binds and locks that have ended count nothing. */
export function weightOf(bindings: readonly Binding[], now: bigint): bigint {
  return bindings.reduce((sum, { amount, endTime, lockEndTime }) => {
    const end = min(endTime, lockEndTime);
    return end > now ? min(sum + votingPower(amount, end - now), U128_MAX) : sum;
  }, 0n);
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
