import { expect, it } from 'vitest';
import { STRUCTS, type StructName, type WordType } from './compute.ts';
import { structCodec } from './compute-json.ts';

/** The highest value of each word. */
const MOST: Readonly<Record<WordType, unknown>> = {
  address: `0x${'fF'.repeat(20)}`,
  bytes32: `0x${'ab'.repeat(32)}`,
  bool: true,
  int32: -(2 ** 31),
  uint8: 0xff,
  uint16: 0xffff,
  uint32: 0xffff_ffff,
  uint64: 2n ** 64n - 1n,
  uint128: 2n ** 128n - 1n,
  uint256: 2n ** 256n - 1n,
};

const highest = (name: StructName): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries<WordType>(STRUCTS[name]).map(([key, type]) => [key, MOST[type]]),
  );

it.each(Object.keys(STRUCTS) as StructName[])('%s comes back from JSON as it was', (name) => {
  const codec = structCodec(name);
  const value = highest(name);
  expect(codec.decode(codec.encode(value as never))).toEqual({ ok: true, value });
});

it('numbers too large for their word, with leading zeros or as JSON numbers are refused', () => {
  const codec = structCodec('JobReceipt');
  const json = JSON.parse(codec.stringify(highest('JobReceipt') as never)) as object;
  const placeOf = (change: object): string | undefined => {
    const decoded = codec.decode(JSON.stringify({ ...json, ...change }));
    return decoded.ok ? undefined : decoded.error.path;
  };
  expect(placeOf({})).toBeUndefined();
  expect(placeOf({ claimed: (2n ** 256n).toString() })).toBe('claimed');
  expect(placeOf({ claimed: '01' })).toBe('claimed');
  expect(placeOf({ claimed: 1 })).toBe('claimed');
  expect(placeOf({ startedAt: (2n ** 64n).toString() })).toBe('startedAt');
  expect(placeOf({ status: 256 })).toBe('status');
  expect(placeOf({ specHash: '0xab' })).toBe('specHash');
});
