import { describe, expect, test } from 'vitest';
import { address } from '../wit/address.ts';
import { CapabilitySigner, signedBytes } from './capability-signature.ts';

const seed = Uint8Array.from({ length: 32 }, (_, index) => index);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

const vectors = [
  {
    name: 'TV1',
    capability: { issuer: address('fake.os@kernel:distro:sys'), params: '"network"' },
    bytes: '92b966616b652e6f73406b65726e656c3a64697374726f3a737973a9226e6574776f726b22',
    signature:
      'aefdd719a17f2315372370fb049218ff122a6ef9f2b14d1e0957357e74398c5a818c6d4d1254b00d93480acc6dfbc511be56a894c08ca265f6e3d1852fc2ef09',
  },
  {
    name: 'TV2',
    capability: {
      issuer: address('fake.os@vfs:distro:sys'),
      params: '{"drive":"/chess:sys/pkg","kind":"read"}',
    },
    bytes:
      '92b666616b652e6f73407666733a64697374726f3a737973d9287b226472697665223a222f63686573733a7379732f706b67222c226b696e64223a2272656164227d',
    signature:
      'd00d09b85e03aa35087d6f4bbbb693c44e007f16c545d732aca51bb95f15f051cd5d66ad981503c8152bfb0127ef86146d76d184a106bdae8f0a822e83e08a0d',
  },
];

describe('K61 signatures', () => {
  const signer = new CapabilitySigner(seed);
  for (const { name, capability, bytes, signature } of vectors) {
    test(`K61 ${name}`, () => {
      expect(hex(signedBytes(capability))).toBe(bytes);
      expect(hex(signer.sign(capability))).toBe(signature);
      expect(signer.verifies(capability, Buffer.from(signature, 'hex'))).toBe(true);
    });
  }

  test('K61 the public key of the vectors', () => {
    expect(hex(signer.publicKey())).toBe(
      '03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8',
    );
  });

  test('K61 another text, a flipped bit or a short signature does not verify', () => {
    const [{ capability, signature }] = vectors as [(typeof vectors)[0]];
    const good = Buffer.from(signature, 'hex');
    const flipped = Buffer.from(good);
    flipped[10] = (flipped[10] ?? 0) ^ 1;
    expect(signer.verifies(capability, flipped)).toBe(false);
    expect(signer.verifies(capability, good.subarray(0, 63))).toBe(false);
    expect(signer.verifies({ ...capability, params: ' "network"' }, good)).toBe(false);
  });

  test('K61 the string heads change at 32, 256 and 65,536 bytes', () => {
    const head = (length: number): string => {
      const bytes = signedBytes({ issuer: address('n@a:b:c'), params: 'x'.repeat(length) });
      return hex(bytes.subarray(1 + 8, 1 + 8 + 5));
    };
    expect(head(31)).toMatch(/^bf78/);
    expect(head(32)).toMatch(/^d92078/);
    expect(head(255)).toMatch(/^d9ff78/);
    expect(head(256)).toMatch(/^da010078/);
    expect(head(65_535)).toMatch(/^daffff78/);
    expect(head(65_536)).toBe('db00010000');
  });

  test('K61 a seed of another length is refused', () => {
    expect(() => new CapabilitySigner(new Uint8Array(31))).toThrow(/32 bytes/);
  });
});
