import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { LIMITS_PAGE, limitsPage } from './limits-page.ts';

test('docs/limits.md says what the code says (else: node test/limits-page.ts)', async () => {
  const { text, missing } = await limitsPage();
  expect(missing).toEqual([]);
  expect(await readFile(LIMITS_PAGE, 'utf8')).toBe(text);
  expect(text).toContain('| `MAILBOX_MESSAGES_MAX` | `1_000` |');
});
