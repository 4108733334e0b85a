/** Who may be connected to: addresses, patterns, and the policy made of them. */
import { BlockList, isIP } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AddressPolicy, parseAllowed } from './address-policy.ts';
import { hostPortOf, meansHost, parseHostPattern } from './host-pattern.ts';
import { isInRange, isPublicIp, parseIp, parseIpRange } from './ip-address.ts';

const isPublic = (text: string): boolean => {
  const address = parseIp(text);
  if (address === undefined) throw new Error(text);
  return isPublicIp(address);
};

const PRIVATE = [
  '0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.254',
  '169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.8 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1',
  '198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255',
  ':: ::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::127.0.0.1 64:ff9b::7f00:1',
  '64:ff9b::10.1.2.3 64:ff9b::a9fe:a9fe 64:ff9b:1::808:808 100::1 2001::1 2001:0:4136::1 2001:db8::1',
  '2002:7f00:1::1 2002:c0a8:1::1 3fff::1 5f00::1 fc00::1 fd12:3456::1 fe80::1 fe80::1%eth0 fec0::1 ff02::1',
]
  .join(' ')
  .split(' ');
const PUBLIC = [
  '1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0',
  '169.253.255.255 172.15.255.255 172.32.0.0 192.167.255.255 192.169.0.0 198.17.255.255 223.255.255.255',
  '2606:4700:4700::1111 2a00:1450::1 ::ffff:8.8.8.8 64:ff9b::8.8.8.8 2001:200::1 2003::1',
]
  .join(' ')
  .split(' ');

test('the internet is public, everything else is not, however it is wrapped', () => {
  expect(PRIVATE.filter(isPublic)).toEqual([]);
  expect(PUBLIC.filter((text) => !isPublic(text))).toEqual([]);
});

test('ranges agree with the block lists of node:net', () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const v4 = fc.ipV4();
  const v6 = fc.ipV6();
  fc.assert(
    fc.property(
      fc.oneof(fc.tuple(v4, v4, fc.nat(32)), fc.tuple(v6, v6, fc.nat(128))),
      ([address, network, bits]) => {
        const family = isIP(network) === 4 ? 'ipv4' : 'ipv6';
        const oracle = new BlockList();
        oracle.addSubnet(network, bits, family);
        const range = parseIpRange(`${network}/${bits}`);
        const parsed = parseIp(address);
        if (range === undefined || parsed === undefined) throw new Error(`${network} ${address}`);
        expect(isInRange(parsed, range)).toBe(oracle.check(address, family));
      },
    ),
    { seed, numRuns: 2000 },
  );
});

test('texts that are no addresses and no ranges', () => {
  for (const text of [
    '',
    'x',
    '1.2.3',
    '01.2.3.4',
    '1.2.3.4.5',
    '0x7f.1',
    '2130706433',
    ':::',
    '[::1]',
  ])
    expect(parseIp(text), text).toBeUndefined();
  for (const text of [
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    '::/129',
    '/8',
    'fe80::1%1/64',
  ])
    expect(parseIpRange(text), text).toBeUndefined();
});

test.each([
  ['api.example.com', 'https://api.example.com/', true],
  ['API.Example.com', 'https://api.example.com/', true],
  ['api.example.com', 'https://api.example.com.:8443/', true],
  ['api.example.com', 'https://xapi.example.com/', false],
  ['api.example.com', 'https://api.example.com.evil.org/', false],
  ['api.example.com:443', 'https://api.example.com/', true],
  ['api.example.com:443', 'http://api.example.com/', false],
  ['api.example.com:80', 'ws://api.example.com/', true],
  ['*.example.org', 'https://a.b.example.org/', true],
  ['*.example.org', 'https://example.org/', false],
  ['*.example.org', 'https://badexample.org/', false],
  ['bücher.example', 'https://xn--bcher-kva.example/', true],
  ['10.0.0.0/8', 'http://10.1.2.3/', true],
  ['10.0.0.0/8', 'http://11.1.2.3/', false],
  ['127.0.0.1', 'http://0x7f.1/', true],
  ['127.0.0.1:8545', 'http://2130706433:8545/', true],
  ['[::1]:8545', 'http://[::1]:8545/', true],
  ['::1', 'http://[0:0::1]/', true],
  ['127.0.0.1', 'http://[::ffff:127.0.0.1]/', true],
])('pattern %s and %s: %s', (pattern, url, meant) => {
  const parsed = parseHostPattern(pattern);
  if (!parsed.ok) throw new Error(parsed.error);
  expect(meansHost(parsed.value, hostPortOf(new URL(url)))).toBe(meant);
});

test('patterns that mean nothing say so', () => {
  for (const text of [
    '',
    '*',
    '*.',
    'a b',
    'http://x',
    'x/y',
    'x:',
    'x:0',
    'x:65536',
    'x:y',
    '[::1',
    'a.*.b',
    '10.0.0.0/40',
    '..',
  ])
    expect(parseHostPattern(text), text).toMatchObject({
      ok: false,
      error: expect.stringContaining('is no host'),
    });
  expect(parseAllowed(['ok.example', '*'])).toMatchObject({ ok: false });
});

function policy(allowed: readonly string[], own: readonly string[] = []): AddressPolicy {
  const parsed = parseAllowed(allowed);
  if (!parsed.ok) throw new Error(parsed.error);
  return new AddressPolicy(parsed.value, { ownAddresses: () => own });
}

test('the policy keeps public addresses, and what is allowed by name, address or range', () => {
  const target = { host: 'db.example', port: 5432 };
  const mixed = ['10.0.0.5', '8.8.8.8', '::1'];
  expect(policy([]).permitted(target, mixed)).toEqual(['8.8.8.8']);
  expect(policy(['db.example']).permitted(target, mixed)).toEqual(mixed);
  expect(policy(['db.example:80']).permitted(target, mixed)).toEqual(['8.8.8.8']);
  expect(policy(['10.0.0.0/8']).permitted(target, mixed)).toEqual(['10.0.0.5', '8.8.8.8']);
  expect(policy(['[::1]:5432']).permitted(target, mixed)).toEqual(['8.8.8.8', '::1']);
  expect(policy([]).permitted(target, ['nonsense'])).toEqual([]);
});

test('the public addresses of this machine are not reached past its firewall', () => {
  const target = { host: 'me.example', port: 80 };
  expect(policy([], ['8.8.4.4', 'fe80::1%eth0']).permitted(target, ['8.8.4.4', '8.8.8.8'])).toEqual(
    ['8.8.8.8'],
  );
  expect(policy(['8.8.4.4'], ['8.8.4.4']).permitted(target, ['8.8.4.4'])).toEqual(['8.8.4.4']);
});

test('a refusal says what the operator can do', () => {
  expect(policy([]).refusal({ host: '::1', port: 80 })).toMatch(/--http-client-allow \[::1\]:80$/);
});
