/** What is chosen on a machine, and what of it the operator reads: GPUs for containers (compute-market.md §9.2, §11). */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { closeDockerEngine, dockerEngine } from '../../../test/support/docker.ts';
import { hostTools, type Tools } from '../detect/tool.ts';
import { chooseRunners, type RunnerChoice } from './choose.ts';

const LONG = 90_000;
let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'hl-choose-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));
afterAll(closeDockerEngine);

const csv = readFileSync(join(import.meta.dirname, '../detect/fixtures/rtx-4090.csv'), 'utf8');
/** Tools that list a GPU, and those that list none. */
const listed: Tools = (name, args) =>
  Promise.resolve(
    name === 'nvidia-smi' && args[0]?.startsWith('--query-gpu=') === true
      ? { kind: 'ran', code: 0, stdout: csv, stderr: '' }
      : { kind: 'missing' },
  );
const none: Tools = () => Promise.resolve({ kind: 'missing' });

/** What it says of GPUs, and whether containers have them. */
async function chosen(choice: Partial<RunnerChoice>): Promise<[string[], unknown]> {
  const made = await chooseRunners({ home, images: [], commands: false, ...choice });
  await made[Symbol.asyncDispose]();
  const container = made.runners.get('container')?.describe() as { gpu?: boolean } | undefined;
  return [made.missing.filter((line) => line.includes('GPU:')), container?.gpu];
}

test(
  'containers have GPUs where one was seen in one, and what is missing is said',
  { timeout: LONG },
  async (context) => {
    const engine = await dockerEngine(context);
    const host = engine.host === undefined ? {} : { host: engine.host };
    const image = engine.image;
    expect(await chosen({ ...host, tools: none })).toEqual([[], false]);
    expect(await chosen({ ...host, tools: none, probeImage: image })).toEqual([
      ['containers get no GPU: there is none of NVIDIA'],
      false,
    ]);
    expect(await chosen({ ...host, tools: listed })).toEqual([
      ['containers get no GPU: name an image to try it with, --gpu-probe-image'],
      false,
    ]);
    const real = await hostTools('nvidia-smi', ['-L']);
    if (real.kind === 'ran' && real.code === 0) context.skip('there is a GPU here');
    // The tool speaks of one that no container can have: it is tried, and believed.
    const [missing, gpu] = await chosen({ ...host, tools: listed, probeImage: image });
    expect([missing[0], gpu]).toEqual([
      expect.stringMatching(/^containers get no GPU: .*(device|driver|nvidia)/),
      false,
    ]);
  },
);
