import { isIPv6 } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toHex } from './hex.ts';
import { namehash } from './hypermap.ts';
import {
  decodeChainId,
  decodeInstanceAddress,
  decodeIp,
  decodeNetKey,
  decodePort,
  decodeRouters,
  encodeChainId,
  encodeIp,
  encodePort,
  encodeRouters,
} from './notes.ts';

test('HM18 ports', () => {
  expect(encodePort(9000)).toBe('0x2328');
  for (const port of [0, 1, 255, 256, 65_535]) expect(decodePort(encodePort(port)!)).toBe(port);
  for (const port of [-1, 65_536, 1.5, Number.NaN]) expect(encodePort(port)).toBeUndefined();
  for (const data of ['0x', '0x23', '0x232800', 'zz']) expect(decodePort(data)).toBeUndefined();
});

test('HM18 IPv4', () => {
  expect(encodeIp('127.0.0.1')).toBe('0x7f000001');
  expect(decodeIp('0x7f000001')).toBe('127.0.0.1');
  for (const text of ['', '1.2.3', '1.2.3.4.5', '256.1.1.1', '01.2.3.4', 'a.b.c.d', ' 1.2.3.4'])
    expect(encodeIp(text), text).toBeUndefined();
});

test('HM18 IPv6 in every form, and back in the shortest', () => {
  const same = {
    '::1': '::1',
    '::': '::',
    '2001:DB8:0:0:1:0:0:1': '2001:db8::1:0:0:1',
    '2001:db8:0:1:1:1:1:1': '2001:db8:0:1:1:1:1:1',
    '::ffff:10.0.0.1': '::ffff:a00:1',
    'fe80::': 'fe80::',
  };
  for (const [text, shortest] of Object.entries(same)) {
    expect(encodeIp(text)?.length, text).toBe(34);
    expect(decodeIp(encodeIp(text)!), text).toBe(shortest);
  }
  for (const text of [
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    'g::',
    '::12345',
    '1:2:3:4:5:6:7:8::',
    '::1%eth0',
  ])
    expect(encodeIp(text), text).toBeUndefined();
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
      const text = decodeIp(toHex(bytes))!;
      expect(isIPv6(text)).toBe(true);
      expect(encodeIp(text)).toBe(toHex(bytes));
    }),
  );
  fc.assert(fc.property(fc.ipV6(), (text) => encodeIp(text) !== undefined));
  for (const data of ['0x', '0x7f0000', `0x${'00'.repeat(17)}`])
    expect(decodeIp(data)).toBeUndefined();
});

test('HM18 keys and routers', () => {
  expect(decodeNetKey(`0x${'AB'.repeat(32)}`)).toBe('ab'.repeat(32));
  expect(decodeNetKey(`0x${'ab'.repeat(31)}`)).toBeUndefined();
  expect(decodeRouters(encodeRouters(['a.os', 'b.os']))).toEqual([
    namehash('a.os'),
    namehash('b.os'),
  ]);
  expect(decodeRouters('0x')).toEqual([]);
  expect(decodeRouters(`0x${'00'.repeat(33)}`)).toEqual([]);
});

test('HM1 facts that point to a nested instance', () => {
  expect(decodeChainId(encodeChainId(31_338n))).toBe(31_338n);
  expect(decodeChainId('0x7a6a')).toBeUndefined();
  expect(decodeInstanceAddress(`0x${'be'.repeat(20)}`)).toBe(`0x${'be'.repeat(20)}`);
  expect(decodeInstanceAddress('0xbeef')).toBeUndefined();
});
