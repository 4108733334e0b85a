import { describe, expect, test } from 'vitest';
import type { Process } from './index.ts';
import { defineProcess } from './index.ts';
import { type Signer, signer, SignerError, type TypedData } from './signer.ts';
import { FakeSigner } from './testing/fake-signer.ts';
import { TestProcess } from './testing/test-process.ts';

const DATA: TypedData = {
  domain: { name: 'Till', chainId: 1 },
  types: { Receipt: [{ name: 'total', type: 'uint256' }] },
  primaryType: 'Receipt',
  message: { total: 2n ** 200n },
};

async function run<T>(fake: FakeSigner, work: (signer: Signer) => Promise<T>): Promise<T> {
  const results: T[] = [];
  const module = defineProcess<Readonly<Record<string, never>>, undefined>({
    setup: async (process: Process<undefined>) => {
      results.push(await work(signer(process)));
      process.exit();
    },
  });
  await TestProcess.start(module, { peers: { 'signer:distro:sys': fake.peer } });
  if (results.length === 0) throw new Error('the process waits for ever');
  return results[0] as T;
}

describe('hyperware/signer', () => {
  test('F41 keys are made and listed, and what one signs is known again', async () => {
    const fake = new FakeSigner();
    await run(fake, async (signs) => {
      const key = await signs.createKey('till');
      expect(await signs.listKeys()).toEqual([key]);
      const digest = await signs.typedDataDigest(DATA);
      const signature = await signs.signTypedData('till', DATA);
      expect(
        await signs.recover([
          { digest, signature },
          { digest, signature: '0x' },
        ]),
      ).toEqual([key, undefined]);
      expect(await signs.verify([{ digest, signature, address: key }])).toEqual([true]);
    });
    // Numbers over 2^53 arrive whole.
    expect(fake.log.find(({ kind }) => kind === 'SignTypedData')).toMatchObject({
      value: { data: { message: { total: String(2n ** 200n) } } },
    });
  });

  test('F41 transactions go out with what is left out', async () => {
    const fake = new FakeSigner();
    const to = fake.key('contract');
    const signed = await run(fake, (signs) =>
      signs.signTransaction('till', {
        chainId: 1,
        nonce: 2,
        maxFeePerGas: 3n,
        maxPriorityFeePerGas: 1n,
        gasLimit: 21_000,
        to,
      }),
    );
    expect(signed.raw).toMatch(/^0x/);
    expect(fake.log[0]).toMatchObject({
      kind: 'SignTransaction',
      value: { key: 'till', transaction: { to, value: 0n, data: '0x', maxFeePerGas: 3n } },
    });
  });

  test('F41 what is sent is sent once for each id, and its state is read', async () => {
    const fake = new FakeSigner();
    const to = fake.key('contract');
    await run(fake, async (signs) => {
      const first = await signs.send('fund 1', 'till', 31_337, { to });
      expect(first).toMatchObject({ nonce: 0, state: 'pending', block: undefined });
      const data = '0x12';
      const second = await signs.send('fund 2', 'till', 31_337, { to, data, maxFeePerGas: 5n });
      expect(second.nonce).toBe(1);
      expect(await signs.send('fund 1', 'till', 31_337, { to })).toEqual(first);
      const sent = fake.sends.get('fund 1')!;
      fake.sends.set('fund 1', {
        ...sent,
        state: { kind: 'Mined', value: { block: 7, ok: false } },
      });
      expect(await signs.sendState('fund 1')).toEqual({
        ...first,
        state: 'mined',
        block: 7,
        ok: false,
      });
      fake.sends.set('fund 1', { ...sent, state: { kind: 'Superseded' } });
      expect((await signs.sendState('fund 1')).state).toBe('superseded');
      await expect(signs.sendState('none')).rejects.toThrow('NoSuchSend');
    });
    expect(fake.log[1]).toMatchObject({
      value: { id: 'fund 2', transaction: { to, data: '0x12', maxFeePerGas: 5n } },
    });
  });

  test('F41 messages are signed, and logs are hashed', async () => {
    const fake = new FakeSigner();
    const hash = `0x${'ab'.repeat(32)}`;
    fake.logs.set('/p:q/d/log', { root: hash, records: 2, stdoutHash: hash, bytes: 9 });
    await run(fake, async (signs) => {
      const key = await signs.createKey('till');
      const signature = await signs.signMessage('till', new TextEncoder().encode('hi'));
      // keccak256 of "\x19Ethereum Signed Message:\n2hi"
      const digest = await signs.keccak256(
        new TextEncoder().encode('\u0019Ethereum Signed Message:\n2hi'),
      );
      expect(await signs.recover([{ digest, signature }])).toEqual([key]);
      const log = { root: hash, records: 2, stdoutHash: hash, bytes: 9 };
      expect(await signs.logRoot('/p:q/d/log')).toEqual(log);
    });
  });

  test('F41 hashes of bytes, files and folders', async () => {
    const fake = new FakeSigner();
    const hash = `0x${'ab'.repeat(32)}`;
    fake.files.set('/p:q/d/file', { sha256: hash, bytes: 7 });
    fake.trees.set('/p:q/d', { root: hash, files: 1, bytes: 7 });
    await run(fake, async (signs) => {
      expect(await signs.keccak256(new Uint8Array())).toMatch(/^0xc5d24601/);
      expect(await signs.sha256('/p:q/d/file')).toEqual({ sha256: hash, bytes: 7 });
      expect(await signs.merkleRoot('/p:q/d')).toEqual({ root: hash, files: 1, bytes: 7 });
    });
  });

  test('F41 refusals have the code of the module, and budgets are numbers', async () => {
    const fake = new FakeSigner();
    fake.refuse = ({ kind }) =>
      kind === 'SignTypedData'
        ? { kind: 'OverBudget', value: { asked: 5n, left: 1n, perDay: 9n } }
        : undefined;
    fake.budgets = [{ params: '{}', spent: 8n, perDay: 9n }];
    await run(fake, async (signs) => {
      const refused: unknown = await signs
        .signTypedData('till', DATA)
        .catch((error: unknown) => error);
      expect(refused).toBeInstanceOf(SignerError);
      expect(refused).toMatchObject({
        code: 'OverBudget',
        detail: '{"asked":"5","left":"1","perDay":"9"}',
      });
      expect(await signs.budgets()).toEqual([{ params: '{}', spent: 8n, perDay: 9n }]);
      await expect(signs.merkleRoot('/x:y/z')).rejects.toMatchObject({ code: 'NoReadCap' });
    });
  });
});
