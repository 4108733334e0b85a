import { AbiCoder, Interface, hexlify, toUtf8Bytes } from 'ethers';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hyperAccountAbi } from './abi/hyper-account.ts';
import { hyperAccount9CharCommitMinterAbi } from './abi/hyper-account9-char-commit-minter.ts';
import { hypermapAbi } from './abi/hypermap.ts';
import { multicall3Abi } from './abi/multicall3.ts';
import { HYPERMAP, HYPER_ACCOUNT, MULTICALL3, OWNER } from './addresses.ts';
import {
  SELECTORS,
  decodeAddress,
  decodeGet,
  encodeAggregate,
  encodeCommit,
  encodeExecute,
  encodeFact,
  encodeGene,
  encodeGet,
  encodeInitialize,
  encodeMint,
  encodeNote,
  encodeTbaOf,
} from './calls.ts';
import { namehash } from './hypermap.ts';

const hypermap = new Interface(hypermapAbi);
const account = new Interface(hyperAccountAbi);
const minter = new Interface(hyperAccount9CharCommitMinterAbi);
const multicall = new Interface(multicall3Abi);
const coder = AbiCoder.defaultAbiCoder();
const text = (label: string): string => hexlify(toUtf8Bytes(label));

const bytes = fc.uint8Array({ maxLength: 100 }).map((value) => hexlify(value));

test('HM3 selectors are those of the reference and of our ABI', () => {
  const signatures = {
    get: hypermap.getFunction('get(bytes32)'),
    mint: hypermap.getFunction('mint(address,bytes,bytes,address)'),
    note: hypermap.getFunction('note'),
    fact: hypermap.getFunction('fact'),
    gene: hypermap.getFunction('gene'),
    tbaOf: hypermap.getFunction('tbaOf(bytes32)'),
    ownerOf: hypermap.getFunction('ownerOf'),
    execute: account.getFunction('execute(address,uint256,bytes,uint8)'),
    token: account.getFunction('token'),
    initialize: minter.getFunction('initialize'),
    aggregate: multicall.getFunction('aggregate'),
    commit: minter.getFunction('commit'),
    getCommit: minter.getFunction('getCommit'),
  };
  for (const [name, fragment] of Object.entries(signatures))
    expect(`0x${SELECTORS[name as keyof typeof SELECTORS]}`, name).toBe(fragment?.selector);
});

test('HM3 every function, event and error of the reference is in our ABIs', () => {
  const selectors = new Set<string>();
  for (const known of [hypermap, account, minter]) {
    known.forEachFunction((fragment) => selectors.add(fragment.selector));
    known.forEachError((fragment) => selectors.add(fragment.selector));
  }
  const expected =
    '0x8eaa6ac0 0x094cefed 0x7788b5a8 0xe852398b 0x74e08829 0x27244d1e 0x2124b692 0x0ae186a8 0xedc16084 0xc4d66de8 ' +
    // The forms that the reference's process library declares.
    '0xac0c10af 0xbfa0ee74 ' +
    '0x51945447 0xca3b98bb 0xfc0c546a 0x523e3260 0x1626ba7e 0x6d70f7ae 0xb0d691fe 0x19822f7c 0xd087d288 0xc19d93fb 0x8129fc1c ' +
    '0xf14fcbc8 0x8784ea96 0x32556b4d ' +
    '0x3813fcca 0xd202940c 0xa542ed9c 0x01b37205 0xf3dda333 0x64a0ae92 0x7e273289 0xe2517d3f 0xf92ee8a9 ' +
    '0xd1544b7c 0x9e8ddd6d 0x716dbcc9 0x5f55f6c4';
  expect(expected.split(' ').filter((selector) => !selectors.has(selector))).toEqual([]);
});

test('HM5 HM8 HM9 calls are encoded as an ABI library does', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[0-9a-z-]{1,63}$/), bytes, (label, data) => {
      expect(
        encodeMint({ who: OWNER, label, initialization: data, implementation: HYPER_ACCOUNT }),
      ).toBe(
        hypermap.encodeFunctionData('mint(address,bytes,bytes,address)', [
          OWNER,
          text(label),
          data,
          HYPER_ACCOUNT,
        ]),
      );
      expect(encodeNote(`~${label}`, data)).toBe(
        hypermap.encodeFunctionData('note', [text(`~${label}`), data]),
      );
      expect(encodeFact(`!${label}`, data)).toBe(
        hypermap.encodeFunctionData('fact', [text(`!${label}`), data]),
      );
    }),
  );
  expect(encodeGene(HYPER_ACCOUNT)).toBe(hypermap.encodeFunctionData('gene', [HYPER_ACCOUNT]));
  const hash = namehash('alice.os');
  expect(encodeGet(hash)).toBe(hypermap.encodeFunctionData('get', [hash]));
  expect(encodeTbaOf(hash)).toBe(hypermap.encodeFunctionData('tbaOf(bytes32)', [hash]));
  expect(encodeCommit(hash)).toBe(minter.encodeFunctionData('commit', [hash]));
  expect(encodeInitialize()).toBe(minter.encodeFunctionData('initialize'));
});

test('HM6 HM12 execute and aggregate are encoded as an ABI library does', () => {
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 5 }), fc.bigInt(0n, 2n ** 256n - 1n), (all, value) => {
      const calls = all.map((data) => ({ to: HYPERMAP, data }));
      const data = encodeAggregate(calls);
      expect(data).toBe(
        multicall.encodeFunctionData('aggregate', [calls.map((one) => [one.to, one.data])]),
      );
      expect(encodeExecute({ to: MULTICALL3, value, data, operation: 1 })).toBe(
        account.encodeFunctionData('execute(address,uint256,bytes,uint8)', [
          MULTICALL3,
          value,
          data,
          1,
        ]),
      );
    }),
  );
});

test('HM5 what is no address, hash or hex is a mistake of the caller', () => {
  expect(() => encodeGet('0x12')).toThrow(RangeError);
  expect(() => encodeGene('alice.os')).toThrow(RangeError);
  expect(() => encodeNote('~x', '0x123')).toThrow(RangeError);
  expect(() => encodeNote('~x', 'zz')).toThrow(RangeError);
});

test('HM3 answers of get are decoded, whatever they hold', () => {
  fc.assert(
    fc.property(bytes, (data) => {
      const answer = coder.encode(['address', 'address', 'bytes'], [OWNER, HYPERMAP, data]);
      expect(decodeGet(answer)).toEqual({
        ok: true,
        value: { tba: OWNER.toLowerCase(), owner: HYPERMAP.toLowerCase(), data },
      });
    }),
  );
  expect(decodeAddress(coder.encode(['address'], [OWNER]))).toBe(OWNER.toLowerCase());
});

test('F35 answers of get that are none are refused', () => {
  const answer = coder.encode(['address', 'address', 'bytes'], [OWNER, HYPERMAP, '0x1234']);
  for (let cut = 0; cut < answer.length - 60; cut += 7)
    expect(decodeGet(answer.slice(0, cut)).ok, `${cut} characters`).toBe(false);
  const wide = answer.replace('0x000000000000000000000000', '0x000000000000000000000001');
  expect(decodeGet(wide).ok).toBe(false);
  fc.assert(fc.property(fc.string(), (junk) => !decodeGet(junk).ok));
  expect(decodeAddress('0x')).toBeUndefined();
});
