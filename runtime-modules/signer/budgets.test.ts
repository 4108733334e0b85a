/** Value per day. */
import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import {
  DAY_MS,
  err,
  JOB_ID,
  SignerBench,
  VOUCHER,
  voucher,
  vouchers,
  holding,
  kindOf,
  SIGNED,
} from './testing.ts';

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
