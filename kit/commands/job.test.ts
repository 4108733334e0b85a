/** `kit job` as people run it, against a real market on real modules; its provider ends each job as it starts. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type MarketNode, marketNode } from '../../test/support/market-node.ts';

const KIT = fileURLToPath(new URL('../../bin/kit.mjs', import.meta.url));
/** Two components are built first. */
const STARTS_MS_MAX = 240_000;
const RUNS_MS_MAX = 120_000;

let folder: string;
let market: MarketNode;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kit-job-'));
  market = await marketNode();
  await writeFile(join(folder, 'token'), market.token, { mode: 0o600 });
  await writeFile(join(folder, 'a.txt'), 'hello\n');
}, STARTS_MS_MAX);
afterAll(async () => {
  await market?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function run(...args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(process.execPath, [KIT, 'job', ...args], (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

/** As the owner of the test's node. */
const kit = (command: string, ...args: readonly string[]): Promise<Ran> =>
  run(
    command,
    '--node',
    new URL(market.base).origin,
    '--token-file',
    join(folder, 'token'),
    ...args,
  );

const lines = ({ out }: Ran): Record<string, never>[] =>
  out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, never>);

test(
  'submit says what it costs, sends its files, and follows the job to its end; status, list and logs know it',
  async () => {
    const path = join(folder, 'a.txt');
    const ran = await kit('submit', '--fn', 'noop', path, '--label', 'a first job');
    expect(ran.code, ran.err).toBe(0);
    const [, id = ''] = /^job (0x[0-9a-f]{64})$/m.exec(ran.out) ?? [];
    expect(ran.err).toMatch(/estimated cost 0\.\d+ HYPER .*nothing to pay: the node is yours/);
    expect(ran.err).toMatch(/sending \S+a\.txt, 100 %/);
    expect(ran.err).toMatch(/completed at test\.os/);
    const status = await kit('status', id);
    expect(status.out).toMatch(/what +a first job\nstate +completed\nprovider +test\.os/);
    expect((await kit('list')).out).toContain(`${id}  `);
    expect(await kit('logs', id, '-f')).toMatchObject({ code: 0, out: '' });
    expect((await kit('result', id, '-o', join(folder, 'out'))).out).toBe(
      'the job left no files\n',
    );
    const [shown] = lines(await kit('status', id, '--json'));
    expect(shown).toMatchObject({ jobId: id, state: 'completed', spec: { label: 'a first job' } });
    expect(await kit('cancel', id)).toMatchObject({ code: 1, err: /the job is completed/ });
  },
  RUNS_MS_MAX,
);

test(
  'CM5 the same intent is the same job, another spec under it is refused',
  async () => {
    const submit = (fn: string): Promise<Ran> =>
      kit('submit', '--fn', fn, '--intent', 'one-and-only', '--detach', '--json');
    const ids = [lines(await submit('noop')).at(-1), lines(await submit('noop')).at(-1)];
    expect(ids[0]!['jobId']).toBe(ids[1]!['jobId']);
    expect(lines(await submit('other')).at(-1)).toMatchObject({
      error: { code: 'refused', message: expect.stringMatching(/CONFLICT|INTENT_TAKEN/) },
    });
  },
  RUNS_MS_MAX,
);

test(
  'cost shows an estimate, why nobody can, and prices; --json is for programs',
  async () => {
    const one = await kit('cost', '--fn', 'noop', '--timeout', '3600');
    expect(one).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^estimated cost 0\.\d+ HYPER/),
    });
    const none = await kit('cost', '--fn', 'noop', '--gpu', '1');
    expect(none).toMatchObject({ code: 1, out: expect.stringContaining('it has no such GPU') });
    expect((await kit('cost')).out).toMatch(/^rtx-4090 +7\.5 HYPER an hour/m);
    expect(lines(await kit('cost', '--fn', 'noop', '--json'))[0]).toMatchObject({ class: 'cpu' });
  },
  RUNS_MS_MAX,
);

test(
  'what goes wrong is one sentence with what to do next, and exit code 1',
  async () => {
    const sentence = (why: RegExp): object => ({ code: 1, err: expect.stringMatching(why) });
    expect(await kit('status', '0x12')).toMatchObject(sentence(/^kit: 0x12 is no id of a job/));
    expect(await kit('status', `0x${'1'.repeat(64)}`)).toMatchObject(sentence(/NOT_FOUND/));
    expect(await kit('submit', '--fnn', 'noop')).toMatchObject(sentence(/no flag --fnn/));
    expect(await kit('submit')).toMatchObject(sentence(/what is to be run/));
    expect(await kit('withdraw')).toMatchObject(sentence(/no chain \(NOT_CONFIGURED\)/));
    await writeFile(join(folder, 'bad-token'), 'a.b.c');
    const token = ['--token-file', join(folder, 'bad-token')];
    const node = ['--node', new URL(market.base).origin];
    expect(await run('list', ...node, ...token)).toMatchObject(sentence(/log in again/));
    expect(await run('list', '--node', 'http://127.0.0.1:1', ...token)).toMatchObject(
      sentence(/does not answer; is the node up/),
    );
    const [told] = lines(await run('list', '--node', 'http://127.0.0.1:1', '--json', ...token));
    expect(told).toMatchObject({ error: { code: 'unreachable' } });
  },
  RUNS_MS_MAX,
);
