/** docs/identity.md, as printed: its `console` blocks are run in order, against one development chain. */
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Chain, startChain } from '../../contracts/chain/chain.ts';
import { personas } from '../../contracts/chain/personas.ts';
import { RunningNode } from '../support/running-node.ts';
import { removeHome } from '../support/remove-home.ts';

const DOC = new URL('../../docs/identity.md', import.meta.url);
/** What the page says, in place of a port that is free. */
const PORT = '18545';
const PROMPT = 'alice.os > ';
/** Words after which a path of the reader's follows. */
const FILES = ['wallet.key', 'password', 'new-password', 'alice.keys'];

interface Step {
  readonly kind: 'shell' | 'console';
  readonly command: string;
  readonly expected: RegExp[];
}

let chain: Chain;
let folder: string;
beforeAll(async () => {
  chain = await startChain();
  folder = await mkdtemp(join(tmpdir(), 'hyperloom-identity-docs-'));
  await mkdir(join(folder, 'try'));
  const secret = (name: string, text: string): Promise<void> =>
    writeFile(join(folder, name), `${text}\n`, { mode: 0o600 });
  await secret('wallet.key', personas.alice.privateKey);
  await secret('password', 'correct horse');
  await secret('new-password', 'battery staple');
});
afterAll(async () => {
  await chain.close();
  await removeHome(folder);
});

async function steps(): Promise<Step[]> {
  const text = await readFile(DOC, 'utf8');
  const blocks = Array.from(text.matchAll(/^```console\n(.*?)^```/gms), (match) => match[1] ?? '');
  const found: Step[] = [];
  for (const line of blocks.join('').split('\n')) {
    if (line.startsWith('$ ')) found.push({ kind: 'shell', command: line.slice(2), expected: [] });
    else if (line.startsWith(PROMPT))
      found.push({ kind: 'console', command: line.slice(PROMPT.length), expected: [] });
    else if (line !== '') found.at(-1)?.expected.push(pattern(line));
  }
  return found;
}

/** `...` matches anything on that line. */
function pattern(line: string): RegExp {
  const parts = line.split('...').map((part) => part.trim().replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(parts.filter((part) => part !== '').join('.*'));
}

/** The words of a command, with the reader's files in the test's folder and the chain at its port. */
function argumentsOf(command: string): string[] {
  return command
    .replace(/ &$/, '')
    .split(' ')
    .slice(1)
    .map((word) => (FILES.includes(word) || word.startsWith('try/') ? join(folder, word) : word))
    .map((word) => (word === PORT ? String(chain.port) : word));
}

/** What stands there with a path of the reader's, with the test's. */
function withFolder(expected: RegExp): RegExp {
  return new RegExp(expected.source.replace(/^(try\/|alice\\\.keys)/, '.*$1'));
}

test('every command of the page on names and keys works as printed', async () => {
  const all = await steps();
  expect(all.length).toBeGreaterThan(15);
  expect(all.filter(({ expected }) => expected.length === 0)).toEqual([]);
  let node: RunningNode | undefined;
  try {
    for (const { kind, command, expected } of all) {
      if (kind === 'console') {
        await node?.type(command, expected[0]!);
        continue;
      }
      expect(command, 'is a command of this program').toMatch(/^hyperloom /);
      // One node at a time is enough here, and the chain is there already.
      if (node !== undefined) await node.end('SIGTERM');
      const args = argumentsOf(command);
      const stays = args[0]!.startsWith(folder);
      node = RunningNode.spawn(stays ? [...args, '--port', '0'] : args);
      for (const line of expected) await node.until(withFolder(line));
      if (stays) continue;
      await node.exited;
      node = undefined;
    }
  } finally {
    await node?.[Symbol.asyncDispose]();
  }
}, 240_000);

test('every file the page names is there', async () => {
  const text = await readFile(DOC, 'utf8');
  const named = Array.from(
    text.matchAll(/`((?:contracts|test|docs)\/[\w./-]+)`/g),
    (match) => match[1]!,
  );
  expect(named.length).toBeGreaterThan(1);
  for (const path of named)
    await expect(readFile(new URL(`../${path}`, DOC), 'utf8'), path).resolves.toBeTruthy();
});
