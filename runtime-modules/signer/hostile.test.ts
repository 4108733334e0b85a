/** Bodies that were made to harm. */
import { chmod } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  holding,
  CLIENT,
  CLIENT_SECRET,
  ROOT,
  SignerBench,
  voucher,
  vouchers,
  kindOf,
  KEY_FILE,
} from './testing.ts';

describe('hostile', () => {
  test('F41 other nodes are not answered', async () => {
    await using bench = await SignerBench.make();
    await bench.import();
    for (const body of ['ListKeys', voucher('1'), 'Keccak256'])
      expect(
        await bench.do(body, { from: 'mallory.os@pay:shop:alice.os', capabilities: [ROOT] }),
      ).toBeUndefined();
  });

  test('F41 any body gets an answer, and none signs', async () => {
    await using bench = await SignerBench.make();
    await bench.import();
    const part = fc.oneof(
      fc.json().map((text): unknown => JSON.parse(text)),
      fc.constantFrom<unknown>(CLIENT, 'client', '0x', {}, [], null, 1e300),
    );
    const kinds = [
      'CreateKey',
      'ImportKey',
      'RemoveKey',
      'ListKeys',
      'Grant',
      'Budgets',
      'Keccak256',
      'TypedDataDigest',
      'SignTypedData',
      'SignTransaction',
      'SignMessage',
      'Send',
      'SendState',
      'ForgetSends',
      'Recover',
      'Verify',
      'Sha256',
      'MerkleRoot',
      'LogRoot',
    ];
    const body = fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc.tuple(fc.constantFrom(...kinds), part).map(([kind, value]) => ({ [kind]: value })),
      fc.tuple(part, part, part).map(([domain, types, message]) => ({
        SignTypedData: {
          key: 'client',
          data: { domain, types, primaryType: 'Voucher', message },
        },
      })),
    );
    await fc.assert(
      fc.asyncProperty(body, fc.boolean(), async (made, blob) => {
        const answer = await bench.do(made, {
          ...holding(vouchers('500')),
          ...(blob ? { blob: 'x' } : {}),
        });
        expect(answer).toBeDefined();
        expect(['Signature', 'Transaction', 'Key', 'Sent']).not.toContain(kindOf(answer));
      }),
      { numRuns: 300 },
    );
    expect(kindOf(await bench.do(new Uint8Array(70_000)))).toBe('MalformedRequest');
  });

  test('F41 no answer and no line holds a key', async () => {
    await using bench = await SignerBench.make();
    const said: unknown[] = [
      await bench.import(),
      await bench.root('ListKeys'),
      await bench.do(voucher('1')),
    ];
    await chmod(bench.file(KEY_FILE), 0o600);
    said.push(bench.port.prints, await bench.import());
    expect(JSON.stringify(said).toLowerCase()).not.toContain(CLIENT_SECRET.slice(0, 16));
  });
});
