import {
  chmod,
  mkdir,
  readdir,
  readFile,
  rename,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { Transaction, verifyTypedData } from 'ethers';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Capability } from '../../wit/types.ts';
import { VfsBench, OWNER as VFS_OWNER, READ_D, STRANGER } from '../vfs/bench.testing.ts';
import {
  capability,
  CLIENT,
  CLIENT_SECRET,
  DAY_MS,
  err,
  ESCROW,
  GUEST,
  JOB_ID,
  ROOT,
  SignerBench,
  VOUCHER,
  voucher,
  vouchers,
} from './testing.ts';

/** Of the reference's vectors (compute-market.md §17). */
const VOUCHER_SIGNATURE =
  '0xf32fc4c366c6ac68b44a1cbc80d8395ad9c1345ade751e8bb5566adfe8323edb7677a60053c89ff49ca9fd7036dedecc3ce6c17dafc6a442fa97d9a49b26c8bb1c';
const VOUCHER_DIGEST = '0x4d8bfff26f2b568247a8337b3058369b54007354d47a761717e272db9223ae87';
const SIGNED = { Signature: { digest: VOUCHER_DIGEST, signature: VOUCHER_SIGNATURE } };
const KEY_FILE = `${CLIENT.toLowerCase()}.key`;
const TOKEN = '0x5FbDB2315678afecb367f032d93F642f64180aa3';
const TRANSFER = '0xa9059cbb';

const holding = (...capabilities: readonly Capability[]) => ({ capabilities });
const kindOf = (body: unknown): string => {
  const { Err: error } = body as { Err?: unknown };
  if (error === undefined)
    return typeof body === 'string' ? body : Object.keys(body as object).join();
  return typeof error === 'string' ? error : Object.keys(error as object).join();
};

function transfer(amount: bigint, change: Record<string, unknown> = {}): unknown {
  const words = [BigInt(CLIENT), amount].map((word) => word.toString(16).padStart(64, '0'));
  return {
    SignTransaction: {
      key: 'client',
      transaction: {
        chainId: 8_453,
        nonce: 7,
        maxPriorityFeePerGas: '1',
        maxFeePerGas: '20',
        gasLimit: 60_000,
        to: TOKEN,
        value: '0',
        data: TRANSFER + words.join(''),
        ...change,
      },
    },
  };
}

const transfers = (perDay: string, weiPerDay = '1200000'): Capability =>
  capability({
    key: 'client',
    chainId: 8_453,
    contract: TOKEN,
    calls: [{ selector: TRANSFER, value: 1 }],
    perDay,
    weiPerDay,
  });

describe('keys', () => {
  test('F41 keys are made, imported and removed, and addresses are all that is told', async () => {
    await using bench = await SignerBench.make();
    const made = (await bench.root({ CreateKey: { name: 'executor' } })) as { Key: string };
    expect(made.Key).toMatch(/^0x[0-9a-fA-F]{40}$/);
    expect(await bench.import()).toEqual({ Key: CLIENT });
    expect(await bench.root('ListKeys')).toEqual({
      Keys: expect.arrayContaining([made.Key, CLIENT]),
    });
    expect(await bench.import('other')).toEqual(err('KeyExists'));
    expect(await bench.root({ CreateKey: { name: 'executor' } })).toEqual(err('NameTaken'));
    expect(await bench.root({ RemoveKey: { key: 'executor' } })).toBe('Ok');
    expect(await bench.root({ RemoveKey: { key: 'executor' } })).toEqual(err('NoSuchKey'));
    expect(await bench.root('ListKeys')).toEqual({ Keys: [CLIENT] });
    expect(await readdir(bench.file(''))).toEqual([KEY_FILE]);
  });

  test.each([0, 31, 33])('F41 an import of %i bytes is no key', async (length) => {
    await using bench = await SignerBench.make();
    const blob = Buffer.alloc(length, 1);
    expect(kindOf(await bench.root({ ImportKey: { name: null } }, { blob }))).toBe(
      'MalformedRequest',
    );
  });

  test('F41 zero and the order of the curve are no keys', async () => {
    await using bench = await SignerBench.make();
    const order = Buffer.from(
      'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141',
      'hex',
    );
    for (const blob of [Buffer.alloc(32), order])
      expect(kindOf(await bench.root({ ImportKey: { name: null } }, { blob }))).toBe(
        'MalformedRequest',
      );
    expect(await bench.root('ListKeys')).toEqual({ Keys: [] });
  });

  test('F41 only root imports, removes and grants; a key is made by who may make that one', async () => {
    await using bench = await SignerBench.make();
    await bench.import();
    const create = holding(capability({ create: 'executor' }), vouchers('5'));
    const blob = Buffer.alloc(32, 7);
    const grant = { Grant: { process: GUEST, params: { create: 'x' } } };
    for (const body of [{ ImportKey: { name: null } }, { RemoveKey: { key: 'client' } }, grant])
      expect(kindOf(await bench.do(body, { ...create, blob }))).toBe('NotPermitted');
    for (const name of [null, 'other'])
      expect(kindOf(await bench.do({ CreateKey: { name } }, create))).toBe('NotPermitted');
    expect(kindOf(await bench.do({ CreateKey: { name: 'executor' } }, create))).toBe('Key');
  });

  test('F41 who is no root sees the keys that its capabilities name', async () => {
    await using bench = await SignerBench.make();
    await bench.import();
    await bench.root({ CreateKey: { name: null } });
    expect(await bench.do('ListKeys')).toEqual({ Keys: [] });
    expect(await bench.do('ListKeys', holding(vouchers('1')))).toEqual({ Keys: [CLIENT] });
    const byAddress = vouchers('1', { key: CLIENT.toLowerCase() });
    expect(await bench.do('ListKeys', holding(byAddress))).toEqual({ Keys: [CLIENT] });
  });

  test('F41 root grants what is a capability of the signer, and not root', async () => {
    await using bench = await SignerBench.make();
    await bench.import();
    const grant = (process: string, params: unknown) => bench.root({ Grant: { process, params } });
    expect(await grant(GUEST, JSON.parse(vouchers('300').params))).toBe('Ok');
    expect(await bench.do(voucher('273'))).toEqual(SIGNED);
    bench.port.unknown.add('no:such:process');
    expect(await grant('no:such:process', { create: 'x' })).toEqual(err('NoProcess'));
    for (const params of [
      { root: true },
      {},
      null,
      { key: 'client' },
      { create: 'UPPER' },
      { create: CLIENT },
    ])
      expect(kindOf(await grant(GUEST, params))).toBe('MalformedRequest');
  });
});

describe('on disk', () => {
  test('F41 key files are for the owner only, hold no key, and survive a restart', async () => {
    await using first = await SignerBench.make();
    await first.import();
    expect((await stat(first.file(''))).mode & 0o777).toBe(0o700);
    expect((await stat(first.file(KEY_FILE))).mode & 0o777).toBe(0o600);
    const content = await readFile(first.file(KEY_FILE));
    for (const spelling of ['latin1', 'hex', 'base64'] as const)
      expect(content.toString('latin1').toLowerCase()).not.toContain(
        Buffer.from(CLIENT_SECRET, 'hex').toString(spelling).toLowerCase().slice(0, 24),
      );
    await using second = await first.again();
    expect(await second.do(voucher('273'), holding(vouchers('300')))).toEqual(SIGNED);
    expect(second.port.prints.filter(({ verbosity }) => verbosity === 0)).toEqual([]);
  });

  test('F41 any change to a key file is noticed: it is moved aside and the owner told', async () => {
    const original = await (async () => {
      await using bench = await SignerBench.make();
      await bench.import();
      return readFile(bench.file(KEY_FILE));
    })();
    await fc.assert(
      fc.asyncProperty(
        fc.nat(original.length - 1),
        fc.integer({ min: 1, max: 255 }),
        async (at, change) => {
          const bytes = Uint8Array.from(original);
          bytes[at]! ^= change;
          await using bench = await withKeyFile(bytes);
          const signed = await bench.do(voucher('273'), holding(vouchers('300')));
          // A changed seal makes it another keyfile's key: kept where it is, and of no use.
          const locked = kindOf(signed) === 'KeyLocked';
          expect(['NoSuchKey', 'KeyLocked']).toContain(kindOf(signed));
          expect(bench.port.prints[0]).toMatchObject({ verbosity: 0 });
          expect((await readdir(bench.file(''))).includes(KEY_FILE)).toBe(locked);
          if (!locked) expect(await readdir(bench.file('.damaged'))).toHaveLength(1);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('F41 a key file under the name of another key, a cut one and an endless one are moved aside', async () => {
    await using first = await SignerBench.make();
    await first.import();
    const other = `0x${'11'.repeat(20)}.key`;
    await rename(first.file(KEY_FILE), first.file(other));
    await writeFile(first.file(`0x${'22'.repeat(20)}.key`), '');
    await writeFile(first.file(`0x${'33'.repeat(20)}.key`), ' '.repeat(10_000));
    await using second = await first.again();
    expect(await second.root('ListKeys')).toEqual({ Keys: [] });
    expect(await readdir(second.file('.damaged'))).toHaveLength(3);
    const lines = second.port.prints.filter(({ verbosity }) => verbosity === 0);
    expect(lines).toHaveLength(3);
    expect(lines[0]?.text).toContain('It is kept as');
  });

  test('F41 under another file key keys are of no use, stay where they are, and work again under their own', async () => {
    await using first = await SignerBench.make();
    await first.import();
    await using other = await first.again({ fileKey: 2 });
    expect(await other.do(voucher('273'), holding(vouchers('300')))).toEqual(err('KeyLocked'));
    expect(other.port.prints[0]?.text).toContain('sealed under another keyfile');
    expect(await other.root('ListKeys')).toEqual({ Keys: [CLIENT] });
    await using third = await other.again();
    expect(await third.do(voucher('273'), holding(vouchers('300')))).toEqual(SIGNED);
  });

  test('F41 what a crash left half-written is replaced', async () => {
    await using first = await SignerBench.make();
    await first.root('ListKeys');
    await writeFile(first.file(`${KEY_FILE}.new`), 'half');
    await first.import();
    expect((await readdir(first.file(''))).filter((name) => name.endsWith('.new'))).toEqual([]);
  });

  test('F41 a folder that cannot be used is an error of each request, told to the owner once', async () => {
    await using first = await SignerBench.make();
    await first.import();
    await first.module[Symbol.asyncDispose]();
    await mkdir(first.file('0xbad.key'));
    await using second = await first.again();
    expect(kindOf(await second.root('ListKeys'))).toBe('IOError');
    expect(second.port.prints.filter(({ verbosity }) => verbosity === 0)).toHaveLength(1);
  });
});

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

describe('value per day', () => {
  test('F41 the limit counts what was signed, and the next day begins anew', async () => {
    await using bench = await SignerBench.make();
    await bench.import();
    const held = holding(vouchers('500'));
    expect(await bench.do(voucher('273'), held)).toEqual(SIGNED);
    expect(await bench.do(voucher('273'), held)).toEqual(
      err({ OverBudget: { asked: '273', left: '227', perDay: '500' } }),
    );
    expect(await bench.do('Budgets', held)).toEqual({
      Budgets: [{ params: vouchers('500').params, spent: '273', perDay: '500' }],
    });
    bench.nowMs += DAY_MS / 2;
    expect(await bench.do(voucher('273'), held)).toEqual(SIGNED);
    // A clock that goes back gives nothing back.
    bench.nowMs -= DAY_MS;
    expect(kindOf(await bench.do(voucher('273'), held))).toBe('OverBudget');
  });

  test('F41 it is on disk before the signature leaves: a restart passes no limit', async () => {
    await using first = await SignerBench.make();
    await first.import();
    const held = holding(vouchers('500'));
    await first.do(voucher('273'), held);
    // As a crash right now would leave it.
    expect(await readFile(first.file('budgets'), 'utf8')).toContain('273');
    await using second = await first.again();
    expect(kindOf(await second.do(voucher('273'), held))).toBe('OverBudget');
    expect(kindOf(await second.do(voucher('227'), held))).toBe('Signature');
    await using third = await second.again();
    expect(kindOf(await third.do(voucher('1'), held))).toBe('OverBudget');
    expect((await stat(third.file('budgets'))).mode & 0o777).toBe(0o600);
  });

  test('F41 requests at once do not pass it, whoever of its holders asks', async () => {
    await using bench = await SignerBench.make();
    await bench.import();
    const held = holding(vouchers('1000'));
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, index) =>
        bench.do(voucher('100'), { ...held, from: `p${index}:shop:alice.os` }),
      ),
    );
    expect(answers.map(kindOf).filter((kind) => kind === 'Signature')).toHaveLength(10);
    expect(answers.map(kindOf).filter((kind) => kind === 'OverBudget')).toHaveLength(20);
    await using next = await bench.again();
    expect(kindOf(await next.do(voucher('1'), held))).toBe('OverBudget');
  });

  test('F41 a second capability is drawn on when the first has too little, the same written otherwise is no second', async () => {
    await using bench = await SignerBench.make();
    await bench.import();
    const held = holding(vouchers('100'), vouchers('300'));
    expect(kindOf(await bench.do(voucher('273'), held))).toBe('Signature');
    expect(kindOf(await bench.do(voucher('100'), held))).toBe('Signature');
    expect(kindOf(await bench.do(voucher('28'), held))).toBe('OverBudget');
    const same = { ...vouchers('100'), params: vouchers('100').params.replaceAll('":', '": ') };
    expect(kindOf(await bench.do(voucher('1'), holding(same)))).toBe('OverBudget');
  });

  test('F41 F42 of an amount that grows only the growth counts, for each job, on any day, whoever asks and after a restart', async () => {
    await using first = await SignerBench.make();
    await first.import();
    const types = [{ type: VOUCHER, value: 'cumulative', per: ['jobId'] }];
    const held = holding(vouchers('500', { types }));
    const left = async (bench: SignerBench): Promise<unknown> => bench.do('Budgets', held);
    for (const sum of ['100', '273', '250', '0x111', 273])
      expect(kindOf(await first.do(voucher(sum), held))).toBe('Signature');
    expect(await left(first)).toMatchObject({ Budgets: [{ spent: '273' }] });
    expect(
      kindOf(
        await first.do(voucher('500', { jobId: JOB_ID.toUpperCase().replace('X', 'x') }), held),
      ),
    ).toBe('Signature');
    expect(await left(first)).toMatchObject({ Budgets: [{ spent: '500' }] });
    await using second = await first.again();
    expect(kindOf(await second.do(voucher('500'), held))).toBe('Signature');
    expect(await second.do(voucher('501'), held)).toEqual(
      err({ OverBudget: { asked: '1', left: '0', perDay: '500' } }),
    );
    second.nowMs += DAY_MS;
    expect(kindOf(await second.do(voucher('600'), held))).toBe('Signature');
    expect(kindOf(await second.do(voucher('400', { jobId: `0x${'01'.repeat(32)}` }), held))).toBe(
      'Signature',
    );
    expect(await left(second)).toMatchObject({ Budgets: [{ spent: '500' }] });
  });

  test('F41 what grew and could not be written is not signed, nor is it later before it is on disk', async () => {
    await using bench = await SignerBench.make();
    await bench.import();
    const types = [{ type: VOUCHER, value: 'cumulative', per: ['jobId'] }];
    const held = holding(vouchers('300', { types }));
    await mkdir(bench.file('budgets'));
    for (const sum of ['273', '273', '100'])
      expect(kindOf(await bench.do(voucher(sum), held))).toBe('IOError');
    await rename(bench.file('budgets'), bench.file('gone'));
    const both = await Promise.all([
      bench.do(voucher('273'), held),
      bench.do(voucher('273'), held),
    ]);
    expect(both).toEqual([SIGNED, SIGNED]);
    await using next = await bench.again();
    expect(await next.do('Budgets', held)).toMatchObject({ Budgets: [{ spent: '273' }] });
  });

  test.each<unknown>([[], 'jobId', ['total'], [1], ['jobId', 'jobID']])(
    'F41 a capability that counts growth per %j allows nothing',
    async (per) => {
      await using bench = await SignerBench.make();
      await bench.import();
      const types = [{ type: VOUCHER, value: 'cumulative', per }] as never;
      const held = holding(vouchers('300', { types }));
      expect(kindOf(await bench.do(voucher('1'), held))).toBe('NotPermitted');
    },
  );

  test('F41 what cannot be written is not signed and not counted', async () => {
    await using bench = await SignerBench.make();
    await bench.import();
    const held = holding(vouchers('300'));
    await mkdir(bench.file('budgets'));
    await writeFile(bench.file('budgets/in-the-way'), '');
    expect(kindOf(await bench.do(voucher('273'), held))).toBe('IOError');
    await rename(bench.file('budgets'), bench.file('gone'));
    expect(await bench.do(voucher('273'), held)).toEqual(SIGNED);
  });

  test('F41 a record that was changed counts as all spent until tomorrow, also after a restart', async () => {
    await using first = await SignerBench.make();
    await first.import();
    const held = holding(vouchers('500'));
    await first.do(voucher('273'), held);
    const record = await readFile(first.file('budgets'), 'utf8');
    await writeFile(first.file('budgets'), record.replace('273', '000'));
    await using second = await first.again();
    expect(await second.do(voucher('1'), held)).toEqual(err('BudgetsUnknown'));
    expect(second.port.prints[0]).toMatchObject({ verbosity: 0 });
    expect(await readdir(second.file('.damaged'))).toHaveLength(1);
    await using third = await second.again();
    expect(await third.do(voucher('1'), held)).toEqual(err('BudgetsUnknown'));
    third.nowMs += DAY_MS;
    expect(kindOf(await third.do(voucher('1'), held))).toBe('Signature');
  });

  test('F41 a key that is not there costs nothing', async () => {
    await using bench = await SignerBench.make();
    const held = holding(vouchers('500'));
    expect(await bench.do(voucher('273'), held)).toEqual(err('NoSuchKey'));
    expect(await bench.do('Budgets', held)).toMatchObject({ Budgets: [{ spent: '0' }] });
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

describe('hashes and signatures', () => {
  test('F41 signers are recovered, and only signatures that contracts take are any', async () => {
    await using bench = await SignerBench.make();
    const digest = VOUCHER_DIGEST;
    const s = BigInt(`0x${VOUCHER_SIGNATURE.slice(66, 130)}`);
    const order = BigInt('0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141');
    const malleable = `${VOUCHER_SIGNATURE.slice(0, 66)}${(order - s).toString(16).padStart(64, '0')}1b`;
    const none = [
      '0x',
      malleable,
      `${VOUCHER_SIGNATURE.slice(0, -2)}01`,
      `${VOUCHER_SIGNATURE}00`,
      `0x${'00'.repeat(64)}1b`,
      `0x${'ff'.repeat(64)}1b`,
    ];
    const signed = [VOUCHER_SIGNATURE, ...none].map((signature) => ({ digest, signature }));
    expect(await bench.do({ Recover: signed })).toEqual({
      Addresses: [CLIENT, ...none.map(() => null)],
    });
    const verify = [
      { digest, signature: VOUCHER_SIGNATURE, address: CLIENT.toLowerCase() },
      { digest, signature: VOUCHER_SIGNATURE, address: TOKEN },
      { digest: JOB_ID, signature: VOUCHER_SIGNATURE, address: CLIENT },
      { digest, signature: malleable, address: CLIENT },
    ];
    expect(await bench.do({ Verify: verify })).toEqual({ Verified: [true, false, false, false] });
    const many = Array.from({ length: 257 }, () => signed[0]);
    expect(kindOf(await bench.do({ Recover: many }))).toBe('MalformedRequest');
  });

  test('F41 keccak256 of a blob', async () => {
    await using bench = await SignerBench.make();
    expect(await bench.do('Keccak256')).toEqual({
      Hash: '0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470',
    });
    expect(await bench.do('Keccak256', { blob: 'transfer(address,uint256)' })).toEqual({
      Hash: expect.stringMatching(/^0xa9059cbb/),
    });
  });

  test('F41 files of vfs are hashed, and folders as the reference commits to them', async () => {
    await using files = await VfsBench.make();
    const hashes = files.hashes;
    await files.do('/p:q/d/out/model', 'CreateDirAll');
    await files.write('/p:q/d/out/metrics.json', '{"loss":0.25}');
    await files.write('/p:q/d/out/model/weights.bin', Uint8Array.of(0, 1, 2, 3));
    await files.write('/p:q/d/out/result.txt', 'hello\n');
    await using bench = await SignerBench.make({ files: hashes });
    const from = VFS_OWNER;
    expect(await bench.do({ MerkleRoot: { path: '/p:q/d/out' } }, { from })).toEqual({
      Root: {
        root: '0xb7b9ab5295259ff384e9c0002b2eb8d458aa02d7594cd0ae9e4010b441d4dffd',
        files: 3,
        bytes: 23,
      },
    });
    expect(await bench.do({ Sha256: { path: '/p:q/d/out/result.txt' } }, { from })).toEqual({
      FileHash: {
        sha256: '0x5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03',
        bytes: 6,
      },
    });
    const stranger = { from: STRANGER };
    expect(await bench.do({ Sha256: { path: '/p:q/d/out/result.txt' } }, stranger)).toEqual(
      err('NoReadCap'),
    );
    expect(await bench.do({ MerkleRoot: { path: '/p:q/d/out' } }, stranger)).toEqual(
      err('NoReadCap'),
    );
    expect(
      kindOf(
        await bench.do(
          { MerkleRoot: { path: '/p:q/d/out' } },
          { ...stranger, capabilities: [READ_D] },
        ),
      ),
    ).toBe('Root');
    expect(kindOf(await bench.do({ Sha256: { path: '/p:q/d/none' } }, { from }))).toBe('IOError');
    expect(kindOf(await bench.do({ Sha256: { path: '/p:q/d/out' } }, { from }))).toBe('IOError');
    expect(kindOf(await bench.do({ Sha256: { path: '/../p:q' } }, { from }))).toBe(
      'MalformedRequest',
    );
    await symlink('/etc/passwd', files.disk('p:q/d/out/model/link'));
    expect(await bench.do({ MerkleRoot: { path: '/p:q/d/out' } }, { from })).toEqual(
      err({ BadTree: 'model/link is no file and no folder' }),
    );
    expect(kindOf(await bench.do({ Sha256: { path: '/p:q/d/out/model/link' } }, { from }))).toBe(
      'IOError',
    );
  });
});

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
      'Recover',
      'Verify',
      'Sha256',
      'MerkleRoot',
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
        expect(['Signature', 'Transaction', 'Key']).not.toContain(kindOf(answer));
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

async function withKeyFile(bytes: Uint8Array): Promise<SignerBench> {
  const first = await SignerBench.make();
  await first.root('ListKeys');
  await writeFile(first.file(KEY_FILE), bytes);
  return first.again();
}
