import { expect, test } from 'vitest';
import { run } from './fuel.ts';
import { ratioOf, SMOKE } from './row.ts';

test('F14 five named kernels give the same results with fuel, and are measured beside themselves', async () => {
  const rows = await run(SMOKE);
  expect(rows.map((row) => row.name)).toEqual(
    ['fib', 'copy', 'sum', 'hash', 'interpreter', 'mean'].map((name) => `kernel.fuel.${name}`),
  );
  for (const row of rows.slice(0, -1)) expect(ratioOf(row)).toBeGreaterThan(0);
});
