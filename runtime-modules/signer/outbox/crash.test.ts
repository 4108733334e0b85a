import { spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { startChain } from '../../../contracts/chain/chain.ts';
import { CLIENT, SignerBench } from '../testing.ts';
import { EthBench, looking, payee, sending, sent, stateOf } from './testing.ts';

const ROUNDS = 7;

test('F41 kill -9 at any instant uses no nonce twice, leaves none out, and sends nothing twice', async () => {
  await using chain = await startChain();
  await using bench = await SignerBench.make();
  await bench.import();
  await bench.module[Symbol.asyncDispose]();
  const sender = fileURLToPath(new URL('./sender.testing.ts', import.meta.url));
  /** Number, nonce and hash of what was answered. */
  const answered: (readonly [number, number, string])[] = [];
  let started = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    // Blocks come when the test says so in every other round: what is killed then is pending.
    await chain.rpc.request('evm_setAutomine', round % 2 === 0);
    const child = spawn(
      process.execPath,
      [sender, bench.home, chain.webSocketUrl, String(started)],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    let kill: NodeJS.Timeout | undefined;
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      said += chunk;
      kill ??= setTimeout(() => child.kill('SIGKILL'), Math.random() * 150);
    });
    await new Promise((resolve) => child.once('close', resolve));
    clearTimeout(kill);
    expect(child.signalCode).toBe('SIGKILL');
    for (const line of said.split('\n').slice(0, -1)) {
      const [number = '', nonce = '', hash = ''] = line.split(' ');
      answered.push([Number(number), Number(nonce), hash]);
    }
    // Three were under way at most; whoever asked for them asks again under the same id.
    started = Math.max(...answered.map(([number]) => number)) + 4;
  }
  await chain.rpc.request('evm_setAutomine', true);
  await chain.rpc.request('evm_mine');
  await using eth = await EthBench.make(chain.webSocketUrl);
  const last = await SignerBench.make({ home: bench.home });
  eth.serve(last);
  for (let number = 0; number < started; number += 1)
    await sent(last, sending(`${number}`, { to: payee(number) }));
  const states = async () =>
    Promise.all(Array.from({ length: started }, (_, number) => stateOf(last, `${number}`)));
  await looking(last, async () => (await states()).every(({ state }) => typeof state === 'object'));
  const all = await states();
  await last.module[Symbol.asyncDispose]();
  expect(last.port.prints).toEqual([]);
  // Every id was paid once.
  const paid = await chain.rpc.batch(
    all.map((_, number) => ['eth_getBalance', payee(number), 'latest'] as const),
  );
  expect(paid.map(Number)).toEqual(all.map(() => 1));
  // Every nonce was used once, by what was told at the time.
  expect(all.map(({ nonce }) => nonce).toSorted((a, b) => a - b)).toEqual(
    all.map((_, index) => all.reduce((least, { nonce }) => Math.min(least, nonce), 1e9) + index),
  );
  for (const [number, nonce, hash] of answered) expect(all[number]).toMatchObject({ nonce, hash });
  expect(Number(await chain.rpc.request('eth_getTransactionCount', CLIENT, 'latest'))).toBe(
    Math.max(...all.map(({ nonce }) => nonce)) + 1,
  );
  expect((await readdir(bench.file('sends'))).length).toBe(started);
  expect(answered.length).toBeGreaterThan(ROUNDS);
}, 120_000);
