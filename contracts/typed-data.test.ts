import fc from 'fast-check';
import { TypedDataEncoder } from 'ethers';
import { describe, expect, test } from 'vitest';
import type { JsonValue } from '../wit/json.ts';
import { toHex } from './hex.ts';
import {
  domainSeparator,
  hashTypedData,
  type StructTypes,
  type TypedData,
  VALUES_MAX,
} from './typed-data.ts';

const types = (structs: Record<string, Record<string, string>>): StructTypes =>
  new Map(
    Object.entries(structs).map(([name, members]) => [
      name,
      Object.entries(members).map(([member, type]) => ({ name: member, type })),
    ]),
  );

/** The example of the standard. */
const MAIL: TypedData = {
  domain: {
    name: 'Ether Mail',
    version: '1',
    chainId: 1,
    verifyingContract: '0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC',
  },
  types: types({
    EIP712Domain: {
      name: 'string',
      version: 'string',
      chainId: 'uint256',
      verifyingContract: 'address',
    },
    Person: { name: 'string', wallet: 'address' },
    Mail: { from: 'Person', to: 'Person', contents: 'string' },
  }),
  primaryType: 'Mail',
  message: {
    from: { name: 'Cow', wallet: '0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826' },
    to: { name: 'Bob', wallet: '0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB' },
    contents: 'Hello, Bob!',
  },
};

const ESCROW = {
  name: 'HypernodeEscrow',
  version: '1',
  chainId: 31_337,
  verifyingContract: '0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512',
};

function hashed(data: TypedData): {
  digest: string;
  domainSeparator: string;
  structHash: string;
  encodedType: string;
} {
  const hashes = hashTypedData(data);
  if (!hashes.ok) throw new Error(hashes.error);
  const { digest, structHash, encodedType } = hashes.value;
  return {
    digest: toHex(digest),
    domainSeparator: toHex(hashes.value.domainSeparator),
    structHash: toHex(structHash),
    encodedType,
  };
}

const refusal = (change: Partial<TypedData>): string | undefined => {
  const hashes = hashTypedData({ ...MAIL, ...change });
  return hashes.ok ? undefined : hashes.error;
};

describe('F41 EIP-712', () => {
  test('F41 the example of the standard has its published hashes', () => {
    expect(hashed(MAIL)).toEqual({
      encodedType: 'Mail(Person from,Person to,string contents)Person(string name,address wallet)',
      domainSeparator: '0xf2cee375fa42b42143804025fc449deafd50cc031ca257e0b194a650a912090f',
      structHash: '0xc52c0ee5d84264471806290a3f2c4cecfc5490626bf912d01f240d7a274b371e',
      digest: '0xbe609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2',
    });
  });

  test('F41 CM3 the escrow digests of the reference come out, a negative number among them', () => {
    expect(domainSeparator(ESCROW)).toMatchObject({ ok: true });
    const jobId = '0xbfccfad3edce1f6fc6636f2d823a1e97267734cc2032aba540d6d7d8381d81f6';
    const verdict = hashed({
      domain: ESCROW,
      types: types({
        Verdict: {
          jobId: 'bytes32',
          attempt: 'uint32',
          receiptHash: 'bytes32',
          outcome: 'uint8',
          scoreBps: 'uint16',
          checks: 'uint16',
          payout: 'uint256',
          issuedAt: 'uint64',
        },
      }),
      primaryType: 'Verdict',
      message: {
        jobId,
        attempt: 0,
        outcome: 1,
        scoreBps: 10_000,
        checks: 63,
        payout: '100000000',
        issuedAt: 1_735_690_400,
        receiptHash: '0x56a2c8c19f8483d195a9c8fb9aa0b0488bd2e3f5e9e09daba9da049d7ef543ea',
      },
    });
    expect(verdict.domainSeparator).toBe(
      '0xe5a75d79bad6ac37de9be8391e7e20d7cbcadefa565ce1a9a4ab80e151db45db',
    );
    expect(verdict.digest).toBe(
      '0x7fe4de323dc838f1fa561cced83240a87757e7d4554be6ffde392497027bae75',
    );
    const voucher = hashed({
      domain: ESCROW,
      types: types({
        Voucher: {
          jobId: 'bytes32',
          cumulative: 'uint256',
          seq: 'uint64',
          tokensIn: 'uint64',
          tokensOut: 'uint64',
        },
      }),
      primaryType: 'Voucher',
      message: { jobId, cumulative: '273', seq: 1, tokensIn: 12, tokensOut: 87 },
    });
    expect(voucher.digest).toBe(
      '0x4d8bfff26f2b568247a8337b3058369b54007354d47a761717e272db9223ae87',
    );
  });

  test('F41 it agrees with ethers on made-up types and values', () => {
    const hex = (length: number): fc.Arbitrary<string> =>
      fc.uint8Array({ minLength: length, maxLength: length }).map(toHex);
    const leaf = fc.constantFrom<readonly [string, fc.Arbitrary<JsonValue>]>(
      ['uint256', fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }).map(String)],
      ['int32', fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })],
      ['uint8', fc.nat(255)],
      ['bool', fc.boolean()],
      ['string', fc.string({ unit: 'grapheme' })],
      ['bytes', fc.uint8Array({ maxLength: 80 }).map(toHex)],
      ['bytes5', hex(5)],
      ['address', hex(20)],
      ['int64[2]', fc.array(fc.integer(), { minLength: 2, maxLength: 2 })],
      ['bytes32[][]', fc.array(fc.array(hex(32), { maxLength: 3 }), { maxLength: 3 })],
    );
    const member = leaf.chain(([type, values]) => values.map((value) => ({ type, value })));
    fc.assert(
      fc.property(
        fc.array(member, { maxLength: 6 }),
        fc.array(member, { minLength: 1, maxLength: 4 }),
        (outer, inner) => {
          const struct = (list: readonly { type: string; value: JsonValue }[]) => ({
            type: list.map(({ type }, index) => ({ name: `m${index}`, type })),
            value: Object.fromEntries(list.map(({ value }, index) => [`m${index}`, value])),
          });
          const [a, b] = [struct(outer), struct(inner)];
          const all = { Outer: [...a.type, { name: 'inner', type: 'Inner[]' }], Inner: b.type };
          const message = { ...a.value, inner: [b.value, b.value] };
          const ours = hashed({
            domain: ESCROW,
            types: new Map(Object.entries(all)),
            primaryType: 'Outer',
            message,
          });
          expect(ours.digest).toBe(TypedDataEncoder.hash(ESCROW, all, message));
        },
      ),
      { numRuns: 150 },
    );
  });

  test.each<[string, Partial<TypedData>, RegExp]>([
    [
      'a member too many',
      { message: { ...(MAIL.message as object), more: 1 } },
      /"more" is not of its type/,
    ],
    ['a member too few', { message: { contents: '' } }, /from is missing/],
    ['no object', { message: [] }, /expected an object/],
    ['no such type', { primaryType: 'Nothing' }, /no type "Nothing"/],
    ['an inherited name', { primaryType: '__proto__' }, /no type/],
    [
      'a struct called as a number',
      { types: types({ uint256: { a: 'bool' } }) },
      /cannot name a struct/,
    ],
    ['an alias', { types: types({ Mail: { a: 'uint' } }) }, /no type "uint"/],
    ['a width that is none', { types: types({ Mail: { a: 'uint12' } }) }, /no type/],
    ['bytes of 33', { types: types({ Mail: { a: 'bytes33' } }) }, /no type/],
    [
      'a member name that makes another type',
      { types: types({ Mail: { 'a,bool b': 'bool' } }) },
      /cannot name a member/,
    ],
    ['a domain of nothing', { domain: {} }, /it has no member/],
    ['a domain with more', { domain: { name: 'x', owner: 'y' } }, /EIP712Domain|not of its type/],
    ['a domain other than declared', { domain: { name: 'x' } }, /EIP712Domain/],
  ])('F41 refused: %s', (_name, change, why) => {
    expect(refusal(change)).toMatch(why);
  });

  test.each<[string, JsonValue]>([
    ['uint8', 256],
    ['uint8', -1],
    ['uint8', '1.5'],
    ['uint8', ''],
    ['uint8', '0x'],
    ['uint8', ' 1'],
    ['int8', 128],
    ['uint256', '1'.repeat(200)],
    ['bool', 1],
    ['address', '0x00'],
    ['bytes3', '0x0011'],
    ['bytes', 'x'],
    ['string', 4],
    ['bool[]', {}],
    ['bool[2]', [true]],
    ['uint8', null],
  ])('F41 refused: %s of %j', (type, value) => {
    expect(refusal({ types: types({ Mail: { a: type } }), message: { a: value } })).toMatch(
      /expected/,
    );
  });

  test('F41 what would take long to hash is refused, and a type may hold itself', () => {
    const list = {
      types: types({ Mail: { a: 'bool[]' } }),
      message: { a: Array(VALUES_MAX + 1).fill(true) },
    };
    expect(refusal(list)).toMatch(/more than 1000 values/);
    const many = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`S${i}`, { a: 'bool' }]));
    expect(refusal({ types: types(many) })).toMatch(/more than 24 structs/);
    expect(refusal({ types: types({ Mail: { a: `bool${'[]'.repeat(10_000)}` } }) })).toMatch(
      /too long/,
    );
    const node = types({ Mail: { next: 'Mail[]' } });
    expect(refusal({ types: node, message: { next: [{ next: [] }] } })).toBeUndefined();
  });
});
