import { keccak256, toUtf8Bytes } from 'ethers';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ERC6551_REGISTRY, HYPERMAP } from './addresses.ts';
import { toHex } from './hex.ts';
import {
  REFERENCE_PROXY_INIT_HASH,
  ROOT_HASH,
  checksummed,
  commitmentOf,
  isFullName,
  labelKind,
  labelhash,
  leaf,
  namehash,
  predictAccount,
} from './hypermap.ts';

/** Reference hypermap, section 18. */
const HASHES = {
  os: '0xdeeac81ae11b64e7cab86d089c306e5d223552a630f02633ce170d2786ff1bbd',
  dev: '0x137d9e4cc0479164d40577620cb3b41b083c6e8dbf58f8523be76d207d6fd8ea',
  hypr: '0x29575a1a0473dcc0e00d7137198ed715215de7bffd92911627d5e008410a5826',
  eth: '0x93cdeb708b7545dc668eb9280176169d1c33cfd8ed6f04690a0bcc88a93fc4ae',
  'alice.os': '0xfc921cbdfda30a7b21ad8f5c9ad542cbb5f6f3d0f8c2831fcd0325d1dbbdce8b',
  'sub.alice.os': '0x6992d5ce4eda59c7a8c92b289293843a217b0bdbbec0a06b131dc4459e8d1a7c',
  '~net-key.alice.os': '0x2612e9785e426e0a457eef342ca955b5000c4bd37d24c42f23f8cc4316a7614f',
  '~ip.alice.os': '0x50aa34421e3be4b2646f203d71756a0a361d9302b75978a9d8db557dc969b024',
  '~ws-port.alice.os': '0x66e14e63252151a88d1dbe7d852939934eda1d12b94f67dddc042f9f0066ba13',
  '~tcp-port.alice.os': '0xe6f74070c2d08396789bea91f719427b8ddd5607321c9f5c605c4b2a7f0b2193',
  '~routers.alice.os': '0x5b2b51199e16e7f2593aaabb72f029c880c649aa43bd1a25473318b48c5b0a2d',
  '!fact.alice.os': '0xbbd366de7895a90b982a78a38b06b23d211d3bfd0426559f688288ca0bc30152',
  'default-router-1.hypr': '0xb98ce7b393f202bef6fd13a6562da313aeae856ed392535277f7713f4467b2cd',
  'base-provider.hypr': '0x482fee0fff43826088489b0e5d957a8c7c8583d487e7b5b07b91957097ae2f9e',
} as const;

test('HM1 names hash to the vectors, and the empty name to zero', () => {
  for (const [name, hash] of Object.entries(HASHES)) expect(namehash(name), name).toBe(hash);
  expect(namehash('')).toBe(ROOT_HASH);
});

test('HM1 a leaf hashes as its full name does', () => {
  expect(leaf(HASHES['alice.os'], '~ip')).toBe(HASHES['~ip.alice.os']);
  expect(leaf(ROOT_HASH, 'os')).toBe(HASHES.os);
  const label = fc.stringMatching(/^[0-9a-z-]{1,63}$/);
  fc.assert(
    fc.property(fc.array(label, { minLength: 1, maxLength: 5 }), (labels) => {
      const down = labels
        .toReversed()
        .reduce<string>((parent, one) => leaf(parent, one), ROOT_HASH);
      expect(namehash(labels.join('.'))).toBe(down);
    }),
  );
  expect(() => leaf('0x12', 'os')).toThrow(RangeError);
});

test('HM1 label hashes are those that filters use', () => {
  expect(labelhash('~net-key')).toBe(
    '0xa5373a61425ed8131f531e016a0201b9a2ede9433815077c8afab1eaa138c07c',
  );
  expect(labelhash('~metadata-hash')).toBe(
    '0x3bfefa8d07f013e9c91fdd2d23e5da7910ebd8d039621491a4fa7fd9aacb7a3a',
  );
});

test('HM2 labels that name, note, state a fact, or nothing', () => {
  for (const label of ['a', '-a', 'a-', '0', '-', 'a'.repeat(63)])
    expect(labelKind(label), label).toBe('name');
  for (const label of ['~a', '~-', `~${'a'.repeat(62)}`]) expect(labelKind(label)).toBe('note');
  expect(labelKind('!a')).toBe('fact');
  for (const label of ['', 'A', 'a_b', 'a.b', 'ä', 'a\n', 'a'.repeat(64), '~', '!', '~~a', 'a~'])
    expect(labelKind(label), label).toBeUndefined();
  expect(labelKind(`~${'a'.repeat(63)}`)).toBeUndefined();
});

test('HM2 full names: only the first label is a note or fact', () => {
  for (const name of ['os', 'alice.os', '~ip.alice.os', '!f.os'])
    expect(isFullName(name)).toBe(true);
  for (const name of ['', '.os', 'a..os', 'alice.~ip.os', 'Alice.os', 'os.'])
    expect(isFullName(name), name).toBe(false);
});

test('HM13 F36 with the init hash of the reference, accounts are at the vectors', () => {
  const vectors = [
    [
      '',
      '0x157AB34BE9584FEFD9420eFCd72F689E9917f051',
      '0x809A598d9883f2Fb6B77382eBfC9473Fd6A857c9',
      '0x513e2bcd5dfE03C74866Ef7F67A1c68ebe19f290',
    ],
    [
      'os',
      '0x0df6BDeE3e7107421d56BEF382546f581e55b3DE',
      '0x9b3853358ede717fc7D4806cF75d7A4d4517A9C9',
      '0x763Ae1AB24c4322b8933E58d76d8D9286f6C0162',
    ],
    [
      'hypr',
      '0x63A32134754e1136CeBb3348a31006A281AF1Ab5',
      '0x9d811Ed632B0E708987f17581641AcAb5Cb4beC1',
      '0xf68813eEA6fDA6bb57f63AC3A65770e0D726cB9B',
    ],
    [
      'alice.os',
      '0x6B1C6a3C5ADe935412a3f324E25d88acAC197411',
      '0x75BD5562ABcaC226b6AcB643Df0deCedf7e7c593',
      '0x93e68A1C72433751372a08B74aaC5e26BC4f9cde',
    ],
    [
      'sub.alice.os',
      '0xf7F26F19f59FCc580B77d0207ab74fD79151D91E',
      '0xc7eEA3c8cD3FD5b606298a86E1C86858A031c830',
      '0xc016987b23eAd99DbfE33fF24Ee24C323eCeF01f',
    ],
  ] as const;
  for (const [name, proxy, onFake, onBase] of vectors) {
    const at = (chainId: number): ReturnType<typeof predictAccount> =>
      predictAccount(
        {
          hypermap: HYPERMAP,
          registry: ERC6551_REGISTRY,
          chainId,
          proxyInitHash: REFERENCE_PROXY_INIT_HASH,
        },
        namehash(name),
      );
    expect(at(31_337), name).toEqual({ proxy, tba: onFake });
    expect(at(8453), name).toEqual({ proxy, tba: onBase });
  }
});

test('HM16 the commitment of the vector', () => {
  expect(commitmentOf('longname9', '0x70997970C51812dc3A010C7d01b50e0d17dc79C8')).toBe(
    '0x2254401887cf2912d20b03e17b6bce91a7039783f199c712268c0f338472ff03',
  );
  // Labels of a whole word and of more than one are padded as the contract's ABI does.
  expect(commitmentOf('a'.repeat(32), HYPERMAP)).not.toBe(commitmentOf('a'.repeat(33), HYPERMAP));
});

test('HM13 addresses are checksummed as EIP-55 says', () => {
  expect(checksummed(HYPERMAP.toLowerCase())).toBe(HYPERMAP);
  expect(toHex(Uint8Array.of(0, 15, 255))).toBe('0x000fff');
  expect(labelhash('ä')).toBe(keccak256(toUtf8Bytes('ä')));
});
