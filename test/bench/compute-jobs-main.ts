/**
 * A node, its market, its `gpu` and a paired extension: runs free wasm jobs that do nothing, and prints how long they took. Run by
 * compute-jobs.ts.
 */
import { createHash } from 'node:crypto';
import { processId } from '../../wit/address.ts';
import { countBuffersWithTheHeap } from '../../bin/memory.ts';
import { assemble } from '../../kernel/image/fuel-harness.ts';
import { ComputeNode } from '../support/compute-node.ts';

// As bin/main.ts does.
countBuffersWithTheHeap();

const [jobs = '100', alone = '10', slots = '16'] = process.argv.slice(2);
/** Jobs in hand at once: below what one program may have waiting. */
const AT_ONCE = 80;
const UNPAIRED_MS_MAX = 120_000;
const WAIT_S = 60;

interface View {
  readonly jobId: string;
  readonly state: string;
  readonly error: unknown;
  readonly times: { readonly created: number; readonly started: number; readonly closed: number };
}

await using compute = await ComputeNode.start();
const { market } = compute;
compute.extension('ext', ['--slots', slots]);
const deadline = Date.now() + UNPAIRED_MS_MAX;
const isPaired = async (): Promise<boolean> => {
  const [provider] = await market.askMarket('Providers', undefined);
  return provider.paired === true;
};
while (!(await isPaired())) {
  if (Date.now() > deadline) throw new Error('the extension was not paired');
  await new Promise((resolve) => setTimeout(resolve, 100));
}

const wasm = await assemble('(module (memory (export "memory") 1) (func (export "_start")))');
const sha256 = createHash('sha256').update(wasm).digest('hex');
const uploaded = await market.askMarket('Upload', { sha256, offset: 0, size: wasm.length }, wasm);
if (uploaded?.complete !== true) throw new Error(JSON.stringify(uploaded));
const spec = JSON.stringify({
  v: 1,
  type: 'custom',
  kind: 'wasm',
  entry: { cmd: ['job'] },
  module: { sha256, size: wasm.length },
  inputs: [],
});

async function submit(): Promise<string> {
  const made = await market.askMarket('Submit', { spec, intentId: null });
  if (made?.jobId === undefined) throw new Error(JSON.stringify(made));
  return made.jobId as string;
}

async function ended(jobId: string): Promise<View> {
  const view = (await market.askMarket('Wait', { jobId, seconds: WAIT_S })) as View;
  if (view.state !== 'completed') throw new Error(JSON.stringify(view));
  return view;
}

/** One after another. @returns milliseconds from the submission to the run, of each */
async function dispatches(count: number): Promise<number[]> {
  const values: number[] = [];
  for (let at = 0; at < count; at += 1) {
    const { times } = await ended(await submit());
    values.push(times.started - times.created);
  }
  return values;
}

/** So many in hand at any time. @returns milliseconds from the first submission to the last result */
async function flood(count: number): Promise<number> {
  const views: View[] = [];
  const waiting: Promise<string>[] = [];
  for (let at = 0; at < count; at += 1) {
    // One question at a time for an end: the oldest's, which as a rule is the next.
    if (waiting.length >= AT_ONCE) views.push(await ended(await waiting.shift()!));
    waiting.push(submit());
  }
  for (const jobId of waiting) views.push(await ended(await jobId));
  const created = Math.min(...views.map(({ times }) => times.created));
  return Math.max(...views.map(({ times }) => times.closed)) - created;
}

function fuelOf(name: string): number {
  return compute.node.kernel.usage().get(processId(name))?.fuel ?? 0;
}

await flood(Math.min(40, Number(jobs)));
const dispatch = await dispatches(Number(alone));
const before = { market: fuelOf('market:compute:sys'), gpu: fuelOf('gpu:compute:sys') };
const ms = await flood(Number(jobs));
const fuel = {
  market: (fuelOf('market:compute:sys') - before.market) / Number(jobs),
  gpu: (fuelOf('gpu:compute:sys') - before.gpu) / Number(jobs),
};
process.stdout.write(JSON.stringify({ msPerJob: ms / Number(jobs), dispatch, fuel }));
