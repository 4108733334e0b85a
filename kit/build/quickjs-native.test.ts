import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { expect, test } from 'vitest';
import { testNode } from '../../test/support/node.ts';
import { buildComponent } from './component.ts';
import { REPOSITORY } from './paths.ts';
import { NATIVE_INTERFACE, withNative } from './quickjs-native.ts';
import { parseText, witOf } from './wasm-tools.ts';

const SLOW_MS = 120_000;

/** Answers bytes with what they are as text, as JSON, and `!` with what encoding some texts gives. */
const GUEST = `
import { defineProcess } from 'hyperware';
const early = new TextDecoder().decode(new TextEncoder().encode('é'));
export default defineProcess({
  onMessage: ({ body }) => {
    if (body[0] === 33) {
      const texts = ['', 'a', 'é', 'a\\0b', '€', '😀', 'a\\ud800b', 'x'.repeat(70000) + 'é', early];
      return JSON.stringify(texts.map((text) => [...new TextEncoder().encode(text)]));
    }
    let fatal = 'taken';
    try {
      new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
    } catch (error) {
      fatal = error.name;
    }
    return JSON.stringify([new TextDecoder('utf-8', { ignoreBOM: true }).decode(body), fatal]);
  },
});
`;

/** Bytes that begin, continue and break sequences of every length. */
const SAMPLES = [
  ['', '61', 'c3a9', 'e282ac', 'f09f9880', 'efbbbf61', '6100', 'f48fbfbf', 'ed9fbf', 'ee8080'],
  ['ff', 'c3', 'c0af', 'c1bf', 'e0809f', 'e09fbf', 'eda080', 'edbfbf', 'f08fbfbf', 'f4908080'],
  ['f5808080', '80', 'bf', 'e282', 'f09f98', 'c328', 'e228a1', 'e28228', 'f0288cbc', 'f0908c28'],
  [
    '616161616161616161c3',
    '6161616161616161c3a9ff',
    'c3a96161616161616161616180',
    '61616161616161ff',
  ],
]
  .flat()
  .map((hex) => Buffer.from(hex, 'hex'));

test(
  'UTF-8 is done natively in a QuickJS component, as the platform does it, and asks nothing of the host',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'kit-text-'));
    try {
      await writeFile(join(folder, 'guest.ts'), GUEST);
      const component = await buildComponent(join(folder, 'guest.ts'));
      expect(await witOf(component)).not.toContain('hyperloom:');
      await using node = await testNode();
      const process = await node.start('text:test:sys', component);
      const texts = ['', 'a', 'é', 'a\0b', '€', '😀', 'a\ud800b', `${'x'.repeat(70_000)}é`, 'é'];
      expect(JSON.parse((await node.ask(process, '!')).text)).toEqual(
        texts.map((text) => [...new TextEncoder().encode(text)]),
      );
      for (const bytes of SAMPLES) {
        const lenient = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
        const fatal = lenient.includes('\ufffd') ? 'TypeError' : 'taken';
        const { text } = await node.ask(process, bytes);
        expect(JSON.parse(text), bytes.toString('hex')).toEqual([lenient, fatal]);
      }
      // What an interpreted loop over these would cost is some 500 instructions a byte.
      const fuel = (): number => node.kernel.usage().get(process)?.fuel ?? 0;
      const before = fuel();
      await node.ask(process, 'x'.repeat(100_000));
      expect((fuel() - before) / 100_000).toBeLessThan(1_500);
    } finally {
      await rm(folder, { recursive: true });
    }
  },
  SLOW_MS,
);

const hashingGuest = (hash: string, file: string): string => `
import { defineProcess } from 'hyperware';
import { ${hash} } from ${JSON.stringify(join(REPOSITORY, file))};
export default defineProcess({ onMessage: ({ body }) => ${hash}(body) });
`;

test.for([
  {
    ...{ hash: 'sha256', file: 'wit/jobs/sha256.ts', most: 200 },
    expected: (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex'),
  },
  {
    ...{ hash: 'keccak256', file: 'wit/keccak.ts', most: 200 },
    expected: (bytes: Uint8Array) => Buffer.from(keccak_256(bytes)).toString('hex'),
  },
])(
  '$hash in a QuickJS component is the right one, for every length of the last block',
  { timeout: SLOW_MS },
  async ({ hash, file, expected, most }) => {
    const folder = await mkdtemp(join(tmpdir(), 'kit-hash-'));
    try {
      await writeFile(join(folder, 'guest.ts'), hashingGuest(hash, file));
      await using node = await testNode();
      const process = await node.start(
        'hash:test:sys',
        await buildComponent(join(folder, 'guest.ts')),
      );
      for (let length = 0; length < 300; length++) {
        const bytes = randomBytes(length);
        const { body } = await node.ask(process, bytes);
        expect(Buffer.from(body).toString('hex'), `${length}: ${bytes.toString('hex')}`).toBe(
          expected(bytes),
        );
      }
      const fuel = (): number => node.kernel.usage().get(process)?.fuel ?? 0;
      const before = fuel();
      await node.ask(process, new Uint8Array(100_000));
      // Of a byte; interpreted it is at least ten times as much.
      expect((fuel() - before) / 100_000).toBeLessThan(most);
    } finally {
      await rm(folder, { recursive: true });
    }
  },
);

test('a component of another shape is refused by name', async () => {
  const other = await parseText(
    `(component (import "${NATIVE_INTERFACE}" (instance (export "decode-utf8" (func)))))`,
    'other.wat',
  );
  await expect(withNative(other)).rejects.toMatchObject({ code: 'componentize' });
  await expect(withNative(other.subarray(0, -2))).rejects.toMatchObject({ code: 'componentize' });
});
