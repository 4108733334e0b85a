/** Frames of extensions, byte for byte (runtime-modules.md §8.2, §8.3, §16). */
import { decode, encode } from '@msgpack/msgpack';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { U64 } from './types.ts';
import {
  blobFormOf,
  decodeExtensionFrame,
  encodeExtensionFrame,
  type ExtensionFrame,
} from './extension-frame.ts';

const HEAD = '81b4576562536f636b6574457874507573684461746183a26964';
const TYPE = 'b66879706572776172655f6d6573736167655f74797065';
const VECTORS: readonly [ExtensionFrame, string][] = [
  [
    { id: 1, type: 'Response', blob: Uint8Array.fromHex('6869') },
    `${HEAD}01${TYPE}a8526573706f6e7365a4626c6f62926869`,
  ],
  [
    { id: 2n ** 64n - 1n, type: 'Request', blob: Uint8Array.fromHex('007f80ff') },
    `${HEAD}cfffffffffffffffff${TYPE}a752657175657374a4626c6f6294007fcc80ccff`,
  ],
  [
    { id: 5, type: 'Response', blob: new Uint8Array(16).fill(1) },
    `${HEAD}05${TYPE}a8526573706f6e7365a4626c6f62dc0010${'01'.repeat(16)}`,
  ],
];

const bigints = { useBigInt64: true };

test('M190 frames are the vectors, byte for byte, and read back', () => {
  for (const [frame, bytes] of VECTORS) {
    expect(encodeExtensionFrame(frame).toHex()).toBe(bytes);
    expect(decodeExtensionFrame(Uint8Array.fromHex(bytes))).toEqual(frame);
  }
});

test('M190 M191 any id, type and blob, as an independent decoder reads it', () => {
  const id = fc.oneof(fc.maxSafeNat(), fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }));
  const blob = fc.uint8Array({ maxLength: 5_000, size: 'max' });
  const type = fc.constantFrom('Request' as const, 'Response' as const);
  fc.assert(
    fc.property(id, type, blob, (anyId: U64, anyType, anyBlob) => {
      const frame = { id: anyId, type: anyType, blob: anyBlob };
      const bytes = encodeExtensionFrame(frame);
      expect(decode(bytes, bigints)).toEqual({
        WebSocketExtPushData: {
          id: anyId > 0xffff_ffff ? BigInt(anyId) : Number(anyId),
          hyperware_message_type: anyType,
          blob: [...anyBlob],
        },
      });
      expect(decodeExtensionFrame(bytes)).toEqual(frame);
    }),
    { numRuns: 200 },
  );
});

test('M196 M202 the forms that other encoders write are all the same frame', () => {
  const blob = Uint8Array.of(1, 200);
  const expected = { id: 7, type: 'Response', blob };
  const data = (fields: unknown): Uint8Array => encode({ WebSocketExtPushData: fields }, bigints);
  const type = 'Response';
  const forms = [
    data({ id: 7, hyperware_message_type: type, blob: [1, 200] }),
    data({ id: 7, hyperware_message_type: type, blob }),
    data({ blob, hyperware_message_type: type, id: 7n, extra: { deep: [null, 1.5] } }),
    data([7, type, blob]),
    data([7n, 1, [1, 200]]),
    data({ id: 7, hyperware_message_type: { Response: null }, blob }),
    Uint8Array.fromHex(`${HEAD.slice(0, -8)}830007010102c40201c8`),
    Uint8Array.fromHex('8109930701c40201c8'),
    Uint8Array.from([...data([7, type, blob]), 0xc1, 1, 2, 3]),
  ];
  for (const form of forms) expect(decodeExtensionFrame(form)).toEqual(expected);
  const wide = `${HEAD}cf0000000000000007${TYPE}a8526573706f6e7365a4626c6f62c40201c8`;
  expect(decodeExtensionFrame(Uint8Array.fromHex(wide))).toEqual(expected);
});

test('M197 what is no action is none, whatever it begins like', () => {
  const data = (fields: unknown): Uint8Array => encode({ WebSocketExtPushData: fields });
  const none = [
    new Uint8Array(),
    new TextEncoder().encode('{"WebSocketExtPushData":{}}'),
    encode('WebSocketExtPushData'),
    encode({}),
    encode({ Unknown: 1 }),
    encode({ WebSocketClose: -1 }),
    encode({ WebSocketClose: 2 ** 32 }),
    encode({ Unbind: {} }),
    encode({ WebSocketPush: { channel_id: 1, message_type: 'Smoke' } }),
    encode({ WebSocketClose: 1, Unbind: { path: '/' } }),
    data({ id: 1, hyperware_message_type: 'Response' }),
    data({ id: 1.5, hyperware_message_type: 'Response', blob: [] }),
    data({ id: -1, hyperware_message_type: 'Response', blob: [] }),
    data({ id: 1, hyperware_message_type: 'Neither', blob: [] }),
    data({ id: 1, hyperware_message_type: 'Response', blob: 'text' }),
    data({ id: 1, hyperware_message_type: 'Response', blob: [256] }),
    data([1, 'Response']),
    data([1, 'Response', [], 4]),
    // The id twice, and else whole.
    Uint8Array.fromHex(
      `${HEAD.slice(0, -8)}84a2696401a2696401${TYPE}a8526573706f6e7365a4626c6f6290`,
    ),
    Uint8Array.fromHex(`${HEAD}01`),
  ];
  for (const bytes of none) expect(decodeExtensionFrame(bytes)).toBeUndefined();
});

test('M198 every other action is recognised, as a map or a list', () => {
  const bind = { path: '/', authenticated: false, local_only: false, cache: false };
  const others: unknown[] = [
    { Bind: bind },
    { Bind: Object.values(bind) },
    { SecureBind: { path: '/', cache: true } },
    { Unbind: { path: '/' } },
    { WebSocketBind: { path: '/', authenticated: false, extension: true } },
    { WebSocketSecureBind: { path: '/', extension: true } },
    { WebSocketUnbind: ['/'] },
    { WebSocketOpen: { path: '/', channel_id: 1, source_socket_addr: null } },
    { WebSocketPush: { channel_id: 1, message_type: 'Text' } },
    { WebSocketExtPushOutgoing: [1, 'Binary', 'Request'] },
    { WebSocketClose: 1 },
  ];
  for (const other of others) expect(decodeExtensionFrame(encode(other))).toBe('another-action');
});

test('M197 no bytes make the decoder throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(200), (bytes, at) => {
      decodeExtensionFrame(bytes);
      const broken = Uint8Array.fromHex(VECTORS[1]![1]);
      broken.set(bytes.subarray(0, Math.max(0, broken.length - at)), Math.min(at, broken.length));
      decodeExtensionFrame(broken);
    }),
    { numRuns: 3_000 },
  );
});

test('M190 a large blob costs in proportion to its size', () => {
  // The growth exponent of coding both ways over sizes that differ by 64: a copy per element would show as 2.
  const costOf = (size: number): number => {
    const blob = Uint8Array.from({ length: size }, (_, index) => (index * 31) & 0xff);
    let best = Infinity;
    for (let run = 0; run < 5; run++) {
      const start = performance.now();
      const back = decodeExtensionFrame(encodeExtensionFrame({ id: 1, type: 'Request', blob }));
      best = Math.min(best, performance.now() - start);
      expect((back as ExtensionFrame).blob.length).toBe(size);
    }
    return best;
  };
  costOf(1 << 16);
  const small = costOf(1 << 17);
  expect(Math.log(costOf(1 << 23) / small) / Math.log(64)).toBeLessThan(1.7);
});

test('CM17 ids above 2^53 survive, and both forms of a blob are read', () => {
  const blob = Uint8Array.fromHex('007f80ff');
  const answer: ExtensionFrame = { id: 1, type: 'Response', blob };
  const list = encodeExtensionFrame(answer);
  const bin = encodeExtensionFrame(answer, 'bin');
  expect(list.toHex()).toBe(`${HEAD}01${TYPE}a8526573706f6e7365a4626c6f6294007fcc80ccff`);
  expect(bin.toHex()).toBe(`${HEAD}01${TYPE}a8526573706f6e7365a4626c6f62c404007f80ff`);
  for (const [message, form] of [
    [list, 'list'],
    [bin, 'bin'],
  ] as const) {
    const frame = decodeExtensionFrame(message);
    if (typeof frame !== 'object') throw new Error('no frame');
    expect(frame).toEqual(answer);
    expect(blobFormOf(frame, message)).toBe(form);
  }
  const wide: ExtensionFrame = { id: 2n ** 64n - 2n, type: 'Request', blob: new Uint8Array() };
  const bytes = encodeExtensionFrame(wide, 'bin');
  expect(bytes.toHex()).toBe(`${HEAD}cffffffffffffffffe${TYPE}a752657175657374a4626c6f62c400`);
  expect(decodeExtensionFrame(bytes)).toEqual(wide);
});
