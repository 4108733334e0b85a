import fc from 'fast-check';
import { expect, test } from 'vitest';
import { address, processId } from '../wit/address.ts';
import type { OnExit, ProcessId } from '../wit/types.ts';
import {
  decodeEntry,
  decodeProcessMap,
  encodeEntry,
  encodeProcessMap,
  type MapEntry,
} from './process-map-codec.ts';

const TV3 =
  '01000000000000000f000000000000006d61696e3a6170703a7075622e6f7319000000000000002f6170703a7075622e6f732f706b672f6d61696e2e7761736d0101000000010000000100000000000000190000000000000066616b652e6f73406b65726e656c3a64697374726f3a7379730900000000000000226e6574776f726b224000000000000000aefdd719a17f2315372370fb049218ff122a6ef9f2b14d1e0957357e74398c5a818c6d4d1254b00d93480acc6dfbc511be56a894c08ca265f6e3d1852fc2ef0900';
const SIGNATURE =
  'aefdd719a17f2315372370fb049218ff122a6ef9f2b14d1e0957357e74398c5a818c6d4d1254b00d93480acc6dfbc511be56a894c08ca265f6e3d1852fc2ef09';

const entry: MapEntry = {
  wasmBytesHandle: '/app:pub.os/pkg/main.wasm',
  witVersion: 1,
  onExit: { kind: 'restart' },
  public: false,
  capabilities: [
    {
      capability: { issuer: address('fake.os@kernel:distro:sys'), params: '"network"' },
      signature: new Uint8Array(Buffer.from(SIGNATURE, 'hex')),
    },
  ],
};
const map = new Map<ProcessId, MapEntry>([[processId('main:app:pub.os'), entry]]);

test('TV3 the process map is written byte for byte', () => {
  expect(Buffer.from(encodeProcessMap(map)).toString('hex')).toBe(TV3);
});

test('TV3 the process map is read, trailing bytes tolerated', () => {
  const bytes = Buffer.from(TV3, 'hex');
  expect(decodeProcessMap(bytes)).toEqual({ ok: true, value: map });
  expect(decodeProcessMap(Buffer.concat([bytes, Buffer.from('xx')]))).toEqual({
    ok: true,
    value: map,
  });
});

test('TV3 every truncation is an error with a place, never a throw', () => {
  const bytes = Buffer.from(TV3, 'hex');
  for (let length = 0; length < bytes.length; length++) {
    const decoded = decodeProcessMap(bytes.subarray(0, length));
    expect(decoded.ok).toBe(false);
    if (!decoded.ok) expect(decoded.error).toMatch(/at byte \d+$/);
  }
});

test('TV3 a length beyond the end does not allocate', () => {
  expect(decodeProcessMap(Buffer.from('ffffffffffffff7f', 'hex')).ok).toBe(false);
  expect(decodeProcessMap(Buffer.from('ffffffff00000000', 'hex')).ok).toBe(false);
});

test('TV3 random bytes never throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      expect(typeof decodeProcessMap(bytes).ok).toBe('boolean');
    }),
  );
});

const segment = fc.stringMatching(/^[a-z0-9-]{1,8}$/);
const issuer = fc
  .tuple(segment, segment, segment, segment)
  .map(([n, p, k, q]) => address(`${n}@${p}:${k}:${q}`));
const capability = fc.record({ issuer, params: fc.string() });
const bytes = fc.uint8Array({ maxLength: 20 });
const request = fc.record({
  inherit: fc.boolean(),
  expectsResponse: fc.option(
    fc.oneof(fc.nat(), fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n })),
    { nil: undefined },
  ),
  body: bytes,
  metadata: fc.option(fc.string(), { nil: undefined }),
  capabilities: fc.array(capability, { maxLength: 2 }),
});
const blob = fc.record({ mime: fc.option(fc.string(), { nil: undefined }), bytes });
const onExit: fc.Arbitrary<OnExit> = fc.oneof(
  fc.constant<OnExit>({ kind: 'none' }),
  fc.constant<OnExit>({ kind: 'restart' }),
  fc
    .array(fc.record({ target: issuer, request, blob: fc.option(blob, { nil: undefined }) }), {
      maxLength: 2,
    })
    .map((requests): OnExit => ({ kind: 'requests', requests })),
);

test('TV3 any entry reads back as it was written', () => {
  const stored = fc.record({
    wasmBytesHandle: fc.string(),
    witVersion: fc.option(fc.nat(), { nil: undefined }),
    onExit,
    public: fc.boolean(),
  });
  fc.assert(
    fc.property(stored, (value) => {
      expect(decodeEntry(encodeEntry(value))).toEqual({ ok: true, value });
    }),
  );
});
