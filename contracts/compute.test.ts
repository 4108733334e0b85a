import {
  Signature,
  TypedDataEncoder,
  Wallet,
  getCreate2Address,
  keccak256 as hashHex,
} from 'ethers';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { VAULT_INIT_HASH } from './abi/constants.ts';
import { intentVaultCode } from './abi/intent-vault.ts';
import {
  STRUCTS,
  bondOf,
  capacityOf,
  deadlineOf,
  digestOf,
  domainSeparator,
  escrowDomain,
  jobIdOf,
  registryDomain,
  saltOf,
  splitOf,
  structHash,
  typeOf,
  typedDataOf,
  vaultOf,
  type ComputeTerms,
  type JobReceipt,
  type StructName,
  type WordType,
} from './compute.ts';
import { personas } from './chain/personas.ts';
import { namehash } from './hypermap.ts';

const ESCROW = '0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512';
const domain = escrowDomain(31_337, ESCROW);
const bytes = (byte: string): string => `0x${byte.repeat(32)}`;
const JOB = '0xbfccfad3edce1f6fc6636f2d823a1e97267734cc2032aba540d6d7d8381d81f6';
const RECEIPT_HASH = '0x56a2c8c19f8483d195a9c8fb9aa0b0488bd2e3f5e9e09daba9da049d7ef543ea';

const terms: ComputeTerms = {
  client: personas.owner.address,
  token: '0x5FbDB2315678afecb367f032d93F642f64180aa3',
  amount: 100_000_000n,
  specHash: '0x393118dda24e63b29652d25b21e6f3594cf46ab39f87cc3756ae82860e76bb3e',
  nodeId: namehash('alice.os'),
  platform: personas.dave.address,
  voucherSigner: `0x${'00'.repeat(20)}`,
  fundBy: 1_735_693_200n,
  deadline: 1_735_700_400n,
  challengeWindow: 600,
  mode: 0,
  salt: saltOf('550e8400-e29b-41d4-a716-446655440000'),
};
const receipt: JobReceipt = {
  jobId: JOB,
  nodeId: terms.nodeId,
  attempt: 0,
  specHash: terms.specHash,
  inputsRoot: bytes('00'),
  outputsRoot: bytes('11'),
  logsRoot: bytes('22'),
  stdoutHash: bytes('33'),
  runtimeHash: bytes('44'),
  usageHash: bytes('55'),
  exitCode: 0,
  status: 0,
  startedAt: 1_735_689_700n,
  finishedAt: 1_735_690_300n,
  claimed: 100_000_000n,
};

/** What ethers wants: one list of members. */
function ethersTypes(name: StructName): Record<string, { name: string; type: string }[]> {
  return {
    [name]: Object.entries<WordType>(STRUCTS[name]).map(([member, type]) => ({
      name: member,
      type,
    })),
  };
}

test('CM3 type hashes of the reference', () => {
  const hashes = {
    ComputeTerms: '0x2c9d8985288bf01895e98a995e66d21f4792009b465a464db28aeba67f0ed48d',
    Acceptance: '0x06502238c82ad9c5c4995daae8a4920e2fb7b8959aaa54751cf775bb4cc71360',
    JobReceipt: '0xa9367c22891ff706bbb2598b9f757b9f6cba84cd648e794067159a5eccb70576',
    Verdict: '0x2b7366610a6723d1de433854911fd2704cb9ad2e51c7d8b4437887fe61840920',
    Resolution: '0xd02da7adf412992abb44b429eae020984f5ada60c37cce41db62f4bf109a9037',
  } as const;
  for (const [name, hash] of Object.entries(hashes))
    expect(hashHex(Buffer.from(typeOf(name as StructName))), name).toBe(hash);
});

test('CM3 digests and signatures of the reference', () => {
  expect(domainSeparator(domain)).toBe(
    '0xe5a75d79bad6ac37de9be8391e7e20d7cbcadefa565ce1a9a4ab80e151db45db',
  );
  expect(terms.salt).toBe('0x2f779c94a35dceba72fe536ce28c5fea7566753044cdf9da29f6402ea964b7f9');
  expect(structHash('ComputeTerms', terms)).toBe(
    '0x199c81f213b43b11ff9ae70a56b0651c9764f878a9a649984b26ea7a959f2992',
  );
  expect(jobIdOf(domain, terms)).toBe(JOB);
  const sign = (key: string, digest: string): string =>
    new Wallet(key).signingKey.sign(digest).serialized;
  expect(sign(personas.owner.privateKey, JOB)).toBe(
    '0xab19d502471edaad7d1f78ca6705ff24f8310c0a60e6437d1f280ecd7399f5c824cab47cb66df3587cfe646194995c6456eabfb03bffffc6f3f8096ce0940b461b',
  );
  const acceptance = digestOf(domain, 'Acceptance', {
    jobId: JOB,
    nodeId: terms.nodeId,
    attempt: 0,
    payTo: personas.alice.address,
    price: 100_000_000n,
    expiresAt: 1_735_690_000n,
  });
  expect(acceptance).toBe('0xfc5241a2266d9969aac98fc2d61ffcfa7a816460eb7fe60df6bfc1c77ad7df04');
  expect(sign(personas.bob.privateKey, acceptance)).toBe(
    '0xb0a462b1608df9d86983947a51e4a4cfd85ca91c355afe101fe0cb525159ac3d582a4857ba227f97d6251385604ba0cded101b22248b7f6b3b866a8576b9c9ee1b',
  );
  expect(digestOf(domain, 'JobReceipt', receipt)).toBe(RECEIPT_HASH);
  const failed = { ...receipt, exitCode: -9, status: 3, claimed: 0n };
  expect(digestOf(domain, 'JobReceipt', failed)).toBe(
    '0x3fde9c6415d5fa23222115d18b3e8f0cd7f3deef2c973fce61255618b7e833c2',
  );
  const verdict = {
    jobId: JOB,
    attempt: 0,
    receiptHash: RECEIPT_HASH,
    outcome: 1,
    scoreBps: 10_000,
    checks: 63,
    payout: 100_000_000n,
    issuedAt: 1_735_690_400n,
  };
  expect(digestOf(domain, 'Verdict', verdict)).toBe(
    '0x7fe4de323dc838f1fa561cced83240a87757e7d4554be6ffde392497027bae75',
  );
  const resolution = {
    jobId: JOB,
    receiptHash: RECEIPT_HASH,
    upheld: true,
    payout: 0n,
    slash: 20_000_000n,
    evidenceHash: bytes('66'),
    issuedAt: 1_735_691_000n,
  };
  expect(digestOf(domain, 'Resolution', resolution)).toBe(
    '0x8a3fb793596391bf892fcff6f35b22afd36bde6147a98131bf48148088024065',
  );
});

test('F42 a voucher is for an attempt', () => {
  expect(typeOf('Voucher')).toBe(
    'Voucher(bytes32 jobId,uint32 attempt,uint256 cumulative,uint64 tokensIn,uint64 tokensOut)',
  );
  const voucher = { jobId: JOB, attempt: 0, cumulative: 273n, tokensIn: 12n, tokensOut: 87n };
  const other = digestOf(domain, 'Voucher', { ...voucher, attempt: 1 });
  expect(digestOf(domain, 'Voucher', voucher)).not.toBe(other);
});

test('CM3 digests equal those of ethers, in both domains', () => {
  const arbitraries: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
    address: fc.uint8Array({ minLength: 20, maxLength: 20 }).map(hex),
    bytes32: fc.uint8Array({ minLength: 32, maxLength: 32 }).map(hex),
    bool: fc.boolean(),
    int32: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    uint8: fc.nat(2 ** 8 - 1),
    uint16: fc.nat(2 ** 16 - 1),
    uint32: fc.nat(2 ** 32 - 1),
    uint64: fc.bigInt(0n, 2n ** 64n - 1n),
    uint256: fc.bigInt(0n, 2n ** 256n - 1n),
  };
  for (const name of Object.keys(STRUCTS) as StructName[]) {
    const members = Object.entries<WordType>(STRUCTS[name]);
    const value = fc.record(
      Object.fromEntries(members.map(([member, type]) => [member, arbitraries[type]!])),
    );
    fc.assert(
      fc.property(value, fc.boolean(), (one, registry) => {
        const where = registry ? registryDomain(31_337, ESCROW) : domain;
        expect(digestOf(where, name, one as never)).toBe(
          TypedDataEncoder.hash({ ...where, version: '1' }, ethersTypes(name), one),
        );
      }),
      { numRuns: 30 },
    );
  }
});

test('CM3 what a wallet is asked to sign is the same digest', async () => {
  const wallet = new Wallet(personas.owner.privateKey);
  const asked = JSON.parse(JSON.stringify(typedDataOf(domain, 'ComputeTerms', terms))) as {
    domain: object;
    types: Record<string, { name: string; type: string }[]>;
    message: Record<string, unknown>;
  };
  delete asked.types['EIP712Domain'];
  const signed = await wallet.signTypedData(asked.domain, asked.types, asked.message);
  expect(Signature.from(signed).serialized).toBe(
    wallet.signingKey.sign(jobIdOf(domain, terms)).serialized,
  );
});

test('CM3 what is not of its type is refused, and nothing is cut', () => {
  const wrong: readonly Partial<ComputeTerms>[] = [
    { client: '0x12' },
    { specHash: `0x${'zz'.repeat(32)}` },
    { mode: 256 },
    { mode: -1 },
    { mode: 0.5 },
    { fundBy: 2n ** 64n },
    { amount: -1n },
    { challengeWindow: '600' as never },
    { salt: undefined as never },
  ];
  for (const part of wrong)
    expect(() => jobIdOf(domain, { ...terms, ...part }), JSON.stringify(Object.keys(part))).toThrow(
      RangeError,
    );
  expect(() => digestOf(domain, 'JobReceipt', { ...receipt, exitCode: 2 ** 31 })).toThrow(
    RangeError,
  );
});

test('CM4 vaults are where CREATE2 makes them', () => {
  expect(
    vaultOf(ESCROW, JOB, '0xc688f92bc1557ca1b3c5a2e10c354abf09210aebb62fadc4b62310122f8d377b'),
  ).toBe('0x9495DdfABd2DC6Fc33F49264c2f3E3c699B80a93');
  expect(VAULT_INIT_HASH).toBe(hashHex(intentVaultCode.creation));
  expect(vaultOf(ESCROW, JOB, VAULT_INIT_HASH)).toBe(
    getCreate2Address(ESCROW, JOB, VAULT_INIT_HASH),
  );
});

test('CM30 the fee table', () => {
  const table = [
    [0n, 0n, 0n, 0n],
    [1n, 1n, 0n, 0n],
    [10n, 9n, 1n, 0n],
    [19n, 18n, 1n, 0n],
    [20n, 17n, 2n, 1n],
    [99n, 86n, 9n, 4n],
    [101n, 86n, 10n, 5n],
    [273n, 233n, 27n, 13n],
    [123_456_789n, 104_938_272n, 12_345_678n, 6_172_839n],
  ] as const;
  for (const [payout, provider, protocolFee, platformFee] of table)
    expect(splitOf(payout)).toEqual({ provider, protocolFee, platformFee });
});

test('F43 a deadline has time for every attempt and two audits, to the full minute', () => {
  // 3 (300 + 900 + 135) + 2 (300 + 900) + 600 + 900
  expect(deadlineOf(15n, 3, 300)).toBe(7_920n);
  expect(deadlineOf(16n, 3, 300)).toBe(7_980n);
});

test('CM27 what a dispute costs', () => {
  expect(bondOf(100_000_000n, 1_000_000n)).toBe(5_000_000n);
  expect(bondOf(1_000n, 1_000_000n)).toBe(1_000_000n);
  expect(bondOf(39n, 0n)).toBe(1n);
});

test('F38 slots, and what one job may cost', () => {
  const hyper = 1_000_000n;
  expect(capacityOf(100n * hyper - 1n)).toEqual({ slots: 0n, reservation: 0n });
  expect(capacityOf(100n * hyper)).toEqual({ slots: 1n, reservation: 100n * hyper });
  expect(capacityOf(1_000n * hyper)).toEqual({ slots: 3n, reservation: 333_333_333n });
  expect(capacityOf(10_000n * hyper)).toEqual({ slots: 10n, reservation: 1_000n * hyper });
  expect(capacityOf(100_000n * hyper)).toEqual({ slots: 100n, reservation: 1_000n * hyper });
});

function hex(value: Uint8Array): string {
  return `0x${Buffer.from(value).toString('hex')}`;
}
