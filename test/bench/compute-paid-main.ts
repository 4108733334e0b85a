/**
 * Wasm jobs that do nothing, each paid by a client over HTTP (x402), through a node, its extension and a chain as people start them. Prints
 * how long they took. Run by compute-paid.ts.
 */
import { COMPUTE_ESCROW, HYPER } from '../../contracts/abi/constants.ts';
import { encodeCall } from '../../contracts/calls.ts';
import { personas } from '../../contracts/chain/personas.ts';
import { ESCROW_EVENTS } from '../../contracts/compute-events.ts';
import { assemble } from '../../kernel/image/fuel-harness.ts';
import { MarketClient } from '../support/market-client.ts';
import { PaidNode } from '../support/paid-node.ts';

const [jobs = '4', slots = '32'] = process.argv.slice(2);
const COUNT = Number(jobs);
/** Payments at a time. */
const LANES = 16;
const WARM = 4;
const LOOK_MS = 100;
const END_MS_MAX = 300_000;
/** More than the time in which a result may be disputed. */
const WINDOW_S = 601;
/** The highest tier, in millionths: it answers for 100 jobs until they are settled. */
const STAKE = 100_000n * 1_000_000n;
const UNITS = 1_000_000n;

await using paid = await PaidNode.start({ name: 'seller.os', slots: Number(slots) });
const { chain } = paid;
await paid.register(STAKE);
// transfer(address,uint256): what many jobs cost.
const data = encodeCall('a9059cbb', [BigInt(personas.bob.address), 100_000n * UNITS]);
await chain.rpc.send({ from: personas.owner.address, to: HYPER, data });

const client = new MarketClient(personas.bob, () => paid.url);
await client.login();
const wasm = await assemble('(module (memory (export "memory") 1) (func (export "_start")))');
const module = await client.upload(wasm);
const spec = {
  ...{ v: 1, type: 'custom', kind: 'wasm', entry: { cmd: ['job'] }, module, inputs: [] },
  // Who has nobody to be audited by waits for nobody.
  verify: { mode: 'none' },
};
await client.quote(spec, 'seller.os');

let intents = 0;
/** Pays so many, and waits until there is a result of each that is to be paid for. */
async function run(count: number): Promise<void> {
  let left = count;
  let proposed = intents;
  const all = intents + count;
  const lane = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const at = (intents++).toString(16).padStart(12, '0');
      await client.pay(spec, `550e8400-e29b-41d4-a716-${at}`);
    }
  };
  const look = async (): Promise<void> => {
    for (const end = Date.now() + END_MS_MAX; proposed < all; await pause()) {
      proposed = await said('ResultProposed');
      if (Date.now() > end) throw new Error(`${proposed} of ${all} jobs have a result`);
    }
  };
  await Promise.all([look(), ...Array.from({ length: Math.min(LANES, count) }, lane)]);
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, LOOK_MS));

/** How often the escrow has said so. */
async function said(event: keyof typeof ESCROW_EVENTS): Promise<number> {
  const filter = {
    address: COMPUTE_ESCROW,
    fromBlock: '0x0',
    topics: [ESCROW_EVENTS[event].topic],
  };
  return ((await chain.rpc.request('eth_getLogs', filter)) as readonly unknown[]).length;
}

const height = async (): Promise<number> => {
  const answer = await chain.rpc.request('eth_getBlockByNumber', 'latest', false);
  return Number((answer as { number: string }).number);
};

await run(WARM);
const blocks = await height();
const start = performance.now();
await run(COUNT);
const proposedMs = performance.now() - start;
await chain.rpc.batch([['evm_increaseTime', WINDOW_S], ['evm_mine']]);
const window = performance.now();
while ((await said('Settled')) < WARM + COUNT) await pause();
const settledMs = performance.now() - window;
process.stdout.write(
  JSON.stringify({ jobs: COUNT, proposedMs, settledMs, blocks: (await height()) - blocks }),
);
