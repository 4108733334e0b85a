import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { SignerBench, vouchers } from './testing.ts';

test('F41 kill -9 at any instant forgets no signature that left, and damages nothing', async () => {
  await using bench = await SignerBench.make();
  await bench.import();
  const writer = fileURLToPath(new URL('./writer.testing.ts', import.meta.url));
  let left = 0;
  for (let round = 0; round < 8; round += 1) {
    const child = spawn(process.execPath, [writer, bench.home], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let kill: NodeJS.Timeout | undefined;
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      left += chunk.length;
      kill ??= setTimeout(() => child.kill('SIGKILL'), Math.random() * 60);
    });
    await new Promise((resolve) => child.once('close', resolve));
    clearTimeout(kill);
    expect(child.signalCode).toBe('SIGKILL');
    const next = await SignerBench.make({ home: bench.home });
    const held = { capabilities: [vouchers('1000000')] };
    const answer = (await next.do('Budgets', held)) as { Budgets: { spent: string }[] };
    const spent = Number(answer.Budgets[0]?.spent);
    await next.module[Symbol.asyncDispose]();
    expect(next.port.prints).toEqual([]);
    // More may be counted than left: what was on disk and not said, four at most each time.
    expect(spent).toBeGreaterThanOrEqual(left);
    expect(spent).toBeLessThanOrEqual(left + 4 * (round + 1));
  }
  expect(left).toBeGreaterThan(20);
}, 120_000);
