/** The README's tour, as printed: its fenced `console` blocks are run against a real node, in order. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test, vi } from 'vitest';
import { RunningNode } from '../support/running-node.ts';
import { removeHome } from '../support/remove-home.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const readme = await readFile(join(root, 'README.md'), 'utf8');
const PROMPT = 'fake.os > ';

interface Step {
  readonly kind: 'shell' | 'console';
  readonly command: string;
  /** Output lines that must appear, in order. */
  readonly expected: RegExp[];
}

/** Blocks of the language, without their fences. */
function blocks(language: string): string[] {
  return Array.from(
    readme.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms')),
    (match) => match[1] ?? '',
  );
}

function steps(): Step[] {
  const found: Step[] = [];
  for (const line of blocks('console').join('').split('\n')) {
    if (line.startsWith('$ ')) found.push({ kind: 'shell', command: line.slice(2), expected: [] });
    else if (line.startsWith(PROMPT))
      found.push({ kind: 'console', command: line.slice(PROMPT.length), expected: [] });
    else if (line !== '') found.at(-1)?.expected.push(pattern(line));
  }
  return found;
}

/** A line of expected output; `...` matches anything on that line. */
function pattern(line: string): RegExp {
  const parts = line.split('...').map((part) => part.trim().replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(parts.filter((part) => part !== '').join('.*'));
}

test('the tour of the README works as printed', async () => {
  const home = join(await mkdtemp(join(tmpdir(), 'hyperloom-readme-')), 'home');
  let node: RunningNode | undefined;
  const run = async ({ kind, command, expected }: Step): Promise<void> => {
    if (kind === 'console') {
      if (node === undefined) throw new Error(`no node runs to type ${command} into`);
      const [first, ...rest] = expected;
      await node.type(command, first ?? /./);
      for (const line of rest) await node.until(line);
    } else if (command === 'npm start') {
      // What package.json makes of it, with a home of the test's own.
      node = RunningNode.spawn(['start', home]);
      for (const line of expected) await node.until(line);
    } else if (command.startsWith('kill -9 ')) {
      await shell(command.replace('.hyperloom/dev', home));
      expect((await node?.exited)?.signal).toBe('SIGKILL');
    } else {
      // The port that the page shows is the usual one.
      const [, port = '8080'] = /localhost:(\d+)/.exec(node?.output ?? '') ?? [];
      const works = async (): Promise<void> => {
        const output = await shell(command.replace('localhost:8080', `localhost:${port}`));
        for (const line of expected) expect(output).toMatch(line);
      };
      // Apps bind their paths a moment after the node is up.
      if (command.startsWith('curl ')) await vi.waitFor(works, { timeout: 20_000, interval: 100 });
      else await works();
    }
  };
  try {
    const all = steps();
    expect(all.length).toBeGreaterThan(8);
    for (const step of all) await run(step);
    expect((await node?.end('SIGINT'))?.code).toBe(0);
  } finally {
    await node?.[Symbol.asyncDispose]();
    await removeHome(join(home, '..'));
  }
}, 180_000);

test('npm start is what the tour starts', async () => {
  const text = await readFile(join(root, 'package.json'), 'utf8');
  const { scripts } = JSON.parse(text) as { scripts: Record<string, string> };
  expect(scripts['start']).toBe('exec node bin/hyperloom.mjs start');
  expect(scripts['kit']).toBe('node bin/kit.mjs');
});

test('the process shown is the file named', async () => {
  expect(blocks('ts')).toEqual([await readFile(join(root, 'docs', 'tour', 'hello.ts'), 'utf8')]);
});

test('every file the README links to is there', async () => {
  const links = Array.from(readme.matchAll(/\]\(([^)#]+)\)/g), (match) => match[1] ?? '');
  expect(links.length).toBeGreaterThan(2);
  for (const link of links)
    await expect(readFile(join(root, link), 'utf8'), link).resolves.toBeTruthy();
});

/** Both streams of a shell command run at the repository's root, whatever its exit code. */
async function shell(command: string): Promise<string> {
  const kit = command.replace(/^npm run kit -- /, `"${process.execPath}" bin/kit.mjs `);
  const run = promisify(execFile);
  const { stdout, stderr } = await run('sh', ['-c', `${kit}; true`], { cwd: root });
  return stdout + stderr;
}
