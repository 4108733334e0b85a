/**
 * A node with a market and a paired extension, for `compute.artifacts`: runs a job of a large output when it is told to, and says as what
 * it can be fetched once its result is there. Run by compute.ts.
 */
import { countBuffersWithTheHeap } from '../../bin/memory.ts';
import { ComputeNode, offerOf } from '../support/compute-node.ts';

// As bin/main.ts does.
countBuffersWithTheHeap();

const [side = '64'] = process.argv.slice(2);

const compute = await ComputeNode.start();
compute.extension();
while (!((await compute.market.ask('Provider')) as { paired: boolean }).paired)
  await new Promise((resolve) => setTimeout(resolve, 50));
const login = await fetch(`${compute.url}/login`, {
  method: 'POST',
  body: JSON.stringify({ password_hash: `0x${'00'.repeat(32)}`, subdomain: '' }),
});
const cookie = (login.headers.get('set-cookie') ?? '').split(';')[0];
process.send?.({ url: compute.url, cookie });

/** The most memory since it was told to watch. */
let most = 0;
let watching: ReturnType<typeof setInterval> | undefined;
const WATCH_MS = 20;

process.on('message', (told: 'job' | 'memory' | 'watch' | 'watched' | 'end') => {
  if (told === 'memory') {
    globalThis.gc?.();
    process.send?.({ rss: process.memoryUsage().rss });
  } else if (told === 'watch') {
    most = 0;
    watching = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), WATCH_MS);
  } else if (told === 'watched') {
    clearInterval(watching);
    process.send?.({ most });
  } else if (told === 'end') void compute[Symbol.asyncDispose]().then(() => process.exit(0));
  else void runJob();
});

let last: { jobId: string; lease: string } | undefined;

/** The result is told at once; its output is on its way then. */
async function runJob(): Promise<void> {
  if (last !== undefined) await compute.market.ask('Drop', last);
  const args = { width: Number(side), height: Number(side), iterations: 1 };
  const limits = { outMiB: 1_024, timeoutS: 600 };
  const offer = offerOf('mandelbrot', args, { limits, timeoutS: 600 });
  const answer = (await compute.market.ask('Offer', offer)) as { Accepted: { lease: string } };
  const { lease } = answer.Accepted;
  last = { jobId: offer.jobId, lease };
  compute.market.answering = ({ kind, value }) => {
    if (kind !== 'JobResult') return undefined;
    const { outputs } = (value as { result: { outputs: { sha256: string; size: number }[] } })
      .result;
    process.send?.({ lease, sha256: outputs[0]!.sha256, size: outputs[0]!.size });
    return undefined;
  };
  await compute.market.ask('Start', last);
}
