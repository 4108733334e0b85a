/** Jobs of every kind through a whole node and the extension that is paired with it: the example jobs, and containers where an engine is. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { buildJob } from '../../kit/build/job.ts';
import { readExample, sha256 } from '../../extensions/gpu/examples/example.ts';
import { ComputeNode, offerOf } from '../support/compute-node.ts';
import { closeDockerEngine, dockerEngine } from '../support/docker.ts';

const PATIENCE = { timeout: 60_000, interval: 50 };

let compute: ComputeNode;
beforeAll(async () => {
  compute = await ComputeNode.start({});
}, 180_000);
afterAll(async () => {
  await compute?.[Symbol.asyncDispose]();
  await closeDockerEngine();
});
afterEach(async () => {
  await compute.stopExtensions();
  compute.market.events.length = 0;
  compute.market.answering = () => undefined;
});

/** Runs a job to its result, with these files to be fetched by their hash. */
async function resultOf(offer: ReturnType<typeof offerOf>, files: readonly Uint8Array[]) {
  const byHash = new Map(files.map((bytes) => [sha256(bytes), bytes]));
  compute.market.answering = ({ kind, value }) => {
    if (kind !== 'Input') return undefined;
    const bytes = byHash.get(value.sha256)!;
    const from = Number(value.offset);
    const blob = bytes.subarray(from, from + value.bytes);
    return { end: from + value.bytes >= bytes.length, blob };
  };
  const answer = await compute.market.ask('Offer', offer);
  expect(answer).toMatchObject({ Accepted: { acceptance: null } });
  const { lease } = answer.Accepted as { lease: string };
  await compute.market.ask('Start', { jobId: offer.jobId, lease });
  const results = () =>
    compute.market.of('JobResult').filter(({ value }) => value.jobId === offer.jobId);
  await expect.poll(() => results().length, PATIENCE).toBe(1);
  return results()[0]!.value.result;
}

async function paired(args: readonly string[] = []): Promise<void> {
  compute.extension('ext', args);
  await expect.poll(() => compute.market.ask('Provider'), PATIENCE).toMatchObject({ paired: true });
}

test('CM8 a wasm job is offered, run by the engine on harts, and its outputs are exactly those that were promised', async () => {
  await paired();
  const { spec, inputs, source, expected } = await readExample('image-filter');
  const { module } = await buildJob(source!);
  const result = await resultOf(offerOf('', {}, spec), [...Object.values(inputs), module]);
  expect(result.receipt).toMatchObject({ status: 0, exitCode: 0 });
  expect(
    Object.fromEntries(
      result.outputs.map((one: { path: string; sha256: string }) => [one.path, one.sha256]),
    ),
  ).toEqual(expected!.files);
  expect(result.runtime).toMatchObject({ runner: 'wasm', module: sha256(module) });
}, 120_000);

test('CM9 a container job runs on the engine of the machine, by its digest', async (context) => {
  const engine = await dockerEngine(context);
  await paired(['--allow-image', engine.repository]);
  const cmd = ['sh', '-c', 'cat /job/in/a.txt > /job/out/b.txt; id -u >> /job/out/b.txt'];
  const input = Buffer.from('input\n');
  const offer = offerOf(
    '',
    {},
    {
      ...{ kind: 'container', image: engine.image, entry: { cmd } },
      inputs: [{ path: 'a.txt', size: input.length, sha256: sha256(input) }],
    },
  );
  const result = await resultOf(offer, [input]);
  expect(result.receipt).toMatchObject({ status: 0, exitCode: 0 });
  const uid = process.getuid?.() === 0 ? 65_532 : process.getuid?.();
  expect(result.outputs).toMatchObject([{ path: 'b.txt', sha256: sha256(`input\n${uid}\n`) }]);
}, 120_000);
