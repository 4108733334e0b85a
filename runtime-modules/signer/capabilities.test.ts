/** What a capability allows, form by form. */
import { hashMessage, Transaction, verifyMessage, verifyTypedData } from 'ethers';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  capability,
  CLIENT,
  GUEST,
  err,
  ESCROW,
  JOB_ID,
  SignerBench,
  VOUCHER,
  voucher,
  vouchers,
  holding,
  kindOf,
  transfer,
  transfers,
  SIGNED,
  TOKEN,
  TRANSFER,
  VOUCHER_SIGNATURE,
  VOUCHER_DIGEST,
} from './testing.ts';

describe('typed data', () => {
  test('F41 CM3 a voucher is signed as the reference signs it, and ethers agrees', async () => {
    await using bench = await SignerBench.make();
    await bench.import();
    const signed = await bench.do(voucher('273'), holding(vouchers('300')));
    expect(signed).toEqual(SIGNED);
    const message = { jobId: JOB_ID, cumulative: 273, seq: 1, tokensIn: 12, tokensOut: 87 };
    const types = {
      Voucher: VOUCHER.slice(8, -1)
        .split(',')
        .map((member) => ({ type: member.split(' ')[0]!, name: member.split(' ')[1]! })),
    };
    expect(verifyTypedData(ESCROW, types, message, VOUCHER_SIGNATURE)).toBe(CLIENT);
  });

  test('F41 only the domain, type and key of the capability are signed', async () => {
    await using bench = await SignerBench.make();
    await bench.import();
    await bench.root({ CreateKey: { name: 'other' } });
    const asked = [
      voucher('1', { domain: { ...ESCROW, chainId: 1 } }),
      voucher('1', { domain: { ...ESCROW, verifyingContract: TOKEN } }),
      voucher('1', { domain: { name: ESCROW.name } }),
      voucher('1', { type: 'Permit' }),
      voucher('1', { key: 'other' }),
      voucher('1', { key: CLIENT }),
    ];
    for (const body of asked)
      expect(kindOf(await bench.do(body, holding(vouchers('300'))))).toBe('NotPermitted');
    expect(kindOf(await bench.do(voucher('1')))).toBe('NotPermitted');
    expect(kindOf(await bench.root(voucher('1', { key: CLIENT })))).toBe('Signature');
  });

  test.each<[string, Record<string, unknown>]>([
    ['a misspelt limit', { perday: '1' }],
    ['an amount that is a number', { perDay: 1 }],
    ['an amount with a sign', { perDay: '-1' }],
    ['a limit that nothing counts against', { types: [{ type: VOUCHER }] }],
    ['a count of no member', { types: [{ type: VOUCHER, value: 'total' }] }],
    ['a count of what is no number', { types: [{ type: VOUCHER, value: 'jobId' }] }],
    ['no types', { types: [] }],
    [
      'a type twice',
      {
        types: [
          { type: VOUCHER, value: 'cumulative' },
          { type: VOUCHER, value: 'seq' },
        ],
      },
    ],
    ['a domain that is none', { domain: {} }],
    ['no key', { key: null }],
  ])('F41 a capability with %s allows nothing', async (_name, change) => {
    await using bench = await SignerBench.make();
    await bench.import();
    const params = { ...(JSON.parse(vouchers('300').params) as object), ...change };
    expect(kindOf(await bench.do(voucher('1'), holding(capability(params as never))))).toBe(
      'NotPermitted',
    );
  });

  test('F41 a count without a limit allows nothing, a type that costs nothing needs none', async () => {
    await using bench = await SignerBench.make();
    await bench.import();
    const of = (types: readonly unknown[]) =>
      holding(capability({ key: 'client', domain: ESCROW, types } as never));
    expect(kindOf(await bench.do(voucher('1'), of([{ type: VOUCHER, value: 'cumulative' }])))).toBe(
      'NotPermitted',
    );
    expect(kindOf(await bench.do(voucher('1'), of([{ type: VOUCHER }])))).toBe('Signature');
  });

  test('F41 digests need no capability, and what is no typed data is told why', async () => {
    await using bench = await SignerBench.make();
    const { data } = (voucher('273') as { SignTypedData: { data: object } }).SignTypedData;
    expect(await bench.do({ TypedDataDigest: data })).toEqual({ Hash: VOUCHER_DIGEST });
    expect(await bench.do({ TypedDataDigest: { ...data, message: {} } })).toEqual(
      err({ BadTypedData: 'message: jobId is missing' }),
    );
  });
});

describe('transactions', () => {
  test('F41 a transaction is signed as ethers reads it', async () => {
    await using bench = await SignerBench.make();
    await bench.import();
    const answer = (await bench.do(transfer(250n), holding(transfers('250')))) as {
      Transaction: { raw: string; hash: string };
    };
    const read = Transaction.from(answer.Transaction.raw);
    expect(read).toMatchObject({
      from: CLIENT,
      to: TOKEN,
      nonce: 7,
      chainId: 8_453n,
      gasLimit: 60_000n,
      maxFeePerGas: 20n,
      maxPriorityFeePerGas: 1n,
      value: 0n,
      type: 2,
      hash: answer.Transaction.hash,
      accessList: [],
    });
  });

  test('F41 root signs any, and ethers reads them all', async () => {
    await using bench = await SignerBench.make();
    await bench.import();
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 300 }),
        fc.bigInt({ min: 0n, max: 2n ** 96n }),
        fc.nat(),
        fc.bigInt({ min: 0n, max: 2n ** 53n - 1n }),
        async (data, value, nonce, gasLimit) => {
          const change = {
            data: `0x${Buffer.from(data).toString('hex')}`,
            value: String(value),
            nonce,
            gasLimit: Number(gasLimit),
          };
          const answer = (await bench.root(transfer(0n, change))) as {
            Transaction: { raw: string };
          };
          const read = Transaction.from(answer.Transaction.raw);
          expect(read).toMatchObject({ from: CLIENT, data: change.data, value, nonce, gasLimit });
        },
      ),
      { numRuns: 60 },
    );
  });

  test.each<[string, Record<string, unknown>]>([
    ['another chain', { chainId: 1 }],
    ['another contract', { to: CLIENT }],
    ['another selector', { data: '0x095ea7b3' }],
    ['no selector', { data: '0x' }],
    ['half a selector', { data: '0xa905' }],
    ['an argument that is not there', { data: TRANSFER + '00'.repeat(40) }],
  ])('F41 not signed: %s', async (_name, change) => {
    await using bench = await SignerBench.make();
    await bench.import();
    expect(kindOf(await bench.do(transfer(1n, change), holding(transfers('250'))))).toBe(
      'NotPermitted',
    );
  });

  test('F41 amount, value and highest fee are limited, each by its own figure', async () => {
    await using bench = await SignerBench.make();
    await bench.import();
    const held = holding(transfers('250', '2500000'));
    const budget = async (body: unknown) => (await bench.do(body, held)) as object;
    expect(await budget(transfer(251n))).toEqual(
      err({ OverBudget: { asked: '251', left: '250', perDay: '250' } }),
    );
    expect(await budget(transfer(1n, { maxFeePerGas: '42' }))).toMatchObject(
      err({ OverBudget: { asked: '2520000' } }),
    );
    expect(await budget(transfer(1n, { value: '1300001' }))).toMatchObject(
      err({ OverBudget: { asked: '2500001' } }),
    );
    expect(kindOf(await budget(transfer(100n)))).toBe('Transaction');
    expect(kindOf(await budget(transfer(100n)))).toBe('Transaction');
    // The fees of two are 2,400,000: a third finds no room, though the amount would.
    expect(await budget(transfer(1n))).toEqual(
      err({ OverBudget: { asked: '1200000', left: '100000', perDay: '2500000' } }),
    );
    expect(await bench.do('Budgets', held)).toMatchObject({
      Budgets: [{ spent: '2400000' }, { spent: '200' }],
    });
  });

  test('F41 a plain transfer needs a capability that says so', async () => {
    await using bench = await SignerBench.make();
    await bench.import();
    const plain = (selector: string) =>
      holding(
        capability({
          key: 'client',
          chainId: 8_453,
          contract: TOKEN,
          calls: [{ selector }],
          weiPerDay: '9999999',
        }),
      );
    expect(kindOf(await bench.do(transfer(0n, { data: '0x' }), plain('0x')))).toBe('Transaction');
    expect(kindOf(await bench.do(transfer(0n), plain('0x')))).toBe('NotPermitted');
  });
});

describe('messages', () => {
  const ad = (tag = 'hn/ad/v1'): string =>
    `0x${Buffer.from(`${tag}\0`).toString('hex')}${'ab'.repeat(32)}`;
  const message = (bytes = ad(), key = 'client'): unknown => ({
    SignMessage: { key, message: bytes },
  });
  const ads = (...tags: readonly unknown[]) =>
    holding(capability({ key: 'client', messages: tags } as never));

  test('F41 an ad is signed as wallets sign messages (EIP-191), and ethers agrees', async () => {
    await using bench = await SignerBench.make();
    await bench.import();
    const answer = (await bench.do(message(), ads('hn/ad/v1'))) as {
      Signature: { digest: string; signature: string };
    };
    const { digest, signature } = answer.Signature;
    expect(verifyMessage(Buffer.from(ad().slice(2), 'hex'), signature)).toBe(CLIENT);
    expect(hashMessage(Buffer.from(ad().slice(2), 'hex'))).toBe(digest);
    // It costs nothing, and is no typed data and no transaction.
    expect(await bench.do('Budgets', ads('hn/ad/v1'))).toEqual({ Budgets: [] });
    expect(kindOf(await bench.do(voucher('1'), ads('hn/ad/v1')))).toBe('NotPermitted');
    expect(kindOf(await bench.do(transfer(1n), ads('hn/ad/v1')))).toBe('NotPermitted');
  });

  test.each<[string, string]>([
    ['another tag', ad('hn/bid/v1')],
    ['a tag that goes on', ad('hn/ad/v10')],
    ['a tag cut short', ad('hn/ad')],
    ['a tag without its zero', `0x${Buffer.from('hn/ad/v1').toString('hex')}`],
    ['something before the tag', ad(' hn/ad/v1')],
    ['a tag that is not text', `0x${Buffer.from('hn/ad/v1').toString('hex')}ff00`],
    ['nothing', '0x'],
    ['a zero', '0x00'],
  ])('F41 not signed: %s', async (_name, bytes) => {
    await using bench = await SignerBench.make();
    await bench.import();
    expect(kindOf(await bench.do(message(bytes), ads('hn/ad/v1')))).toBe('NotPermitted');
    expect(kindOf(await bench.root(message(bytes)))).toBe('Signature');
  });

  test.each<[string, readonly unknown[]]>([
    ['no tags', []],
    ['an empty tag', ['']],
    ['a tag with a zero', ['hn/ad/v1\0']],
    ['a tag with a space', ['hn ad']],
    ['a tag that is a number', [1]],
    ['a good tag and a bad one', ['hn/ad/v1', null]],
    ['an endless tag', ['x'.repeat(129)]],
    ['65 tags', Array.from({ length: 65 }, (_, index) => `hn/${index}`)],
  ])('F41 a capability with %s allows nothing', async (_name, tags) => {
    await using bench = await SignerBench.make();
    await bench.import();
    expect(kindOf(await bench.do(message(), ads(...tags)))).toBe('NotPermitted');
  });

  test('F41 only with the key of the capability, and not without end', async () => {
    await using bench = await SignerBench.make();
    await bench.import();
    await bench.root({ CreateKey: { name: 'other' } });
    expect(kindOf(await bench.do(message(ad(), 'other'), ads('hn/ad/v1')))).toBe('NotPermitted');
    const long = `${ad()}${'00'.repeat(16 * 1024)}`;
    expect(kindOf(await bench.root(message(long)))).toBe('MalformedRequest');
    expect(
      kindOf(
        await bench.root({
          Grant: { process: GUEST, params: { key: 'client', messages: ['hn/ad/v1'] } },
        }),
      ),
    ).toBe('Ok');
    expect(kindOf(await bench.do(message()))).toBe('Signature');
  });
});
