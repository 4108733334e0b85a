/** `chain.index`, `eth.overhead` and `eth.subscriptions`: chains as processes see them, beside raw JSON-RPC in the same run. */
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WebSocketProvider } from 'ethers';
import { type RawData, WebSocket } from 'ws';
import { HYPERMAP } from '../../contracts/addresses.ts';
import { type Chain, startChain } from '../../contracts/chain/chain.ts';
import { TOPICS } from '../../contracts/events.ts';
import { buildComponent } from '../../kit/build/component.ts';
import { systemClock } from '../../kernel/clock.ts';
import { IndexerNode } from '../support/indexer-node.ts';
import { eth } from '../../runtime-modules/eth/index.ts';
import { TestProvider } from '../../runtime-modules/eth/testing.ts';
import { testNode, type TestNode } from '../support/node.ts';
import { emitEvents } from './chain-logs.ts';
import { countBody } from './guests.ts';
import { alternate, median, timed } from './measure.ts';
import { count, type Bench, type Row } from './row.ts';

const EVENTS = 100_000;
/** 10,000 events a second. */
const INDEX_US_MAX = 100;
/** A fifth of what raw eth_getLogs does. */
const INDEX_RATIO_MAX = 5;
const MEMORY_MIB_MAX = 48;
const CALL_RATIO_MAX = 1.5;
const CALLS = 2_000;
/** Runs are cut into pieces that take turns: on a machine that others use too, both sides of a pair then have the same neighbours. */
const PIECES = 20;
const PROCESSES = 100;
const SUBSCRIPTIONS_EACH = 10;
const ASK_S = 600;
const SAMPLE_MS = 50;
/** Blocks behind the events, so that they are settled as old ones are. */
const SETTLED_BLOCKS = 70;
const GUESTS = fileURLToPath(new URL('../guests', import.meta.url));

export const chains: readonly Bench[] = [
  {
    name: 'chain.index',
    async run(scale) {
      await using chain = await startChain();
      const { events, block } = await emitEvents(chain, count(EVENTS, scale, 500));
      await chain.rpc.request('anvil_mine', `0x${SETTLED_BLOCKS.toString(16)}`);
      await using indexer = await IndexerNode.start({
        providers: [{ url: chain.webSocketUrl, trusted: true }],
        idle: true,
      });
      const memory: number[] = [];
      let run = 0;
      const { ours, floor } = await alternate(
        scale.runs,
        async () =>
          ((await indexed(indexer, `run-${++run}:bench`, { block, memory })) * 1_000) / events,
        async () => ((await timed(() => rawLogs(chain, block))) * 1_000) / events,
      );
      const row = { value: ours, unit: 'us', floor, runs: scale.runs } as const;
      const rows: Row[] = [
        {
          ...row,
          name: 'chain.index',
          target: { of: 'value', max: INDEX_US_MAX },
          note: `an event of ${events}, from the process's start; floor: raw eth_getLogs, parsed`,
        },
        { ...row, name: 'chain.index.ratio', target: { of: 'ratio', max: INDEX_RATIO_MAX } },
        {
          name: 'chain.index.memory',
          value: median(memory),
          unit: 'MiB',
          floor: undefined,
          target: { of: 'value', max: MEMORY_MIB_MAX },
          runs: memory.length,
          note: 'growth of the peak from the first half of the events to the second, the names themselves in it',
        },
      ];
      return rows;
    },
  },
  {
    name: 'eth.overhead',
    async run(scale) {
      await using chain = await startChain();
      await using node = await withEth(chain.webSocketUrl);
      await node.start('caller:bench:sys', await guest('eth-caller.as.ts'));
      await using raw = await RawRpc.open(chain.webSocketUrl);
      const calls = count(CALLS, scale, 20);
      const piece = Math.max(20, Math.round(calls / PIECES));
      const runs = scale.runs * PIECES;
      const ask = async (times: number): Promise<void> => {
        const { body } = await node.ask('caller:bench:sys', countBody(times), { seconds: ASK_S });
        if (body.length !== 1) throw new Error('a call of the guest failed');
      };
      // So that neither is measured before it is compiled.
      await ask(calls);
      await rawCalls(raw, calls);
      const { ours, floor } = await alternate(
        runs,
        async () => ((await timed(() => ask(piece))) * 1_000) / piece,
        async () => ((await timed(() => rawCalls(raw, piece))) * 1_000) / piece,
      );
      const provider = new WebSocketProvider(chain.webSocketUrl);
      const ethers = await etherCalls(provider, piece);
      await provider.destroy();
      return [
        {
          name: 'eth.overhead',
          value: ours,
          unit: 'us',
          floor,
          target: { of: 'ratio', max: CALL_RATIO_MAX },
          runs,
          note: `a distinct eth_call of a native guest; floor: the same on a raw WebSocket; ethers: ${ethers.toFixed(0)} us`,
        },
      ];
    },
  },
  {
    name: 'eth.subscriptions',
    async run(scale) {
      const names = { eth_blockNumber: '0x1', eth_chainId: '0x7a69' } as Record<string, string>;
      let lastId = 0;
      await using provider = await TestProvider.start(({ method }) => ({
        result: method === 'eth_subscribe' ? `0x${(++lastId).toString(16)}` : names[method],
      }));
      await using node = await withEth(provider.url);
      const component = await guest('eth-subscriber.as.ts');
      const processes = count(PROCESSES, scale, 3);
      let accepted = 0;
      for (let index = 0; index < processes; index++) {
        const id = `subscriber-${index}:bench:sys`;
        await node.start(id, component);
        const { body } = await node.ask(id, countBody(SUBSCRIPTIONS_EACH), { seconds: ASK_S });
        accepted += new DataView(body.buffer, body.byteOffset).getUint32(0, true);
      }
      const made = processes * SUBSCRIPTIONS_EACH;
      if (accepted !== made) throw new Error(`${accepted} of ${made} subscriptions were accepted`);
      return [
        {
          name: 'eth.subscriptions',
          value: provider.count('eth_subscribe') / SUBSCRIPTIONS_EACH,
          unit: 'x',
          floor: undefined,
          target: { of: 'value', max: 1 },
          runs: 1,
          note: `streams upstream for each distinct filter, of ${made} subscriptions from ${processes} processes`,
        },
      ];
    },
  },
];

function guest(file: string): Promise<Uint8Array> {
  return buildComponent(join(GUESTS, file), { language: 'assemblyscript' });
}

/** Milliseconds from the start of an indexer's processes, which have nothing yet, until the block is in the index. */
async function indexed(
  indexer: IndexerNode,
  pkg: string,
  { block, memory }: { readonly block: number; readonly memory: number[] },
): Promise<number> {
  const samples: number[] = [];
  const sampling = setInterval(() => samples.push(process.memoryUsage().rss), SAMPLE_MS);
  const ms = await timed(async () => {
    await indexer.startProcesses(pkg);
    const name = 'node-0.bench';
    const answer = await indexer.ask({ NodeInfo: { name, block } }, ASK_S);
    if ((answer as { NodeInfo: unknown }).NodeInfo === null) throw new Error(`${name} is unknown`);
  });
  clearInterval(sampling);
  await indexer.stopProcesses();
  const half = samples.length >> 1;
  const peak = (of: readonly number[]): number => Math.max(0, ...of) / 1_048_576;
  if (half > 0) memory.push(Math.max(0, peak(samples.slice(half)) - peak(samples.slice(0, half))));
  return ms;
}

/** What is as good as nothing: the same logs, in pieces of about a megabyte, fetched and parsed. */
async function rawLogs(chain: Chain, block: number): Promise<void> {
  await using raw = await RawRpc.open(chain.webSocketUrl);
  const filter = { address: HYPERMAP, topics: [[TOPICS.Mint, TOPICS.Note]] };
  for (let from = 0; from <= block; from += 2) {
    const range = { ...filter, fromBlock: hex(from), toBlock: hex(Math.min(from + 1, block)) };
    await raw.call('eth_getLogs', [range]);
  }
}

async function rawCalls(raw: RawRpc, calls: number): Promise<void> {
  for (let index = 0; index < calls; index++) await raw.call('eth_call', [callOf(index), 'latest']);
}

/** Microseconds of a call. */
async function etherCalls(provider: WebSocketProvider, calls: number): Promise<number> {
  await provider.send('eth_chainId', []);
  const ms = await timed(async () => {
    for (let index = 0; index < calls; index++) {
      const { to, input: data } = callOf(index + CALLS);
      await provider.call({ to, data });
    }
  });
  return (ms * 1_000) / calls;
}

function callOf(index: number): { to: string; input: string } {
  return {
    to: '0x00000000000000000000000000000000000000aa',
    input: `0x${index.toString(16).padStart(16, '0')}`,
  };
}

async function withEth(url: string): Promise<TestNode> {
  const node = await testNode();
  const provider = { kind: 'RpcUrl', value: { url, auth: undefined } } as const;
  const home = await mkdtemp(join(tmpdir(), 'hyperloom-bench-'));
  const module = eth({ home, defaults: [{ chain_id: 31_337, trusted: true, provider }] });
  const port = node.kernel.port('eth');
  const opened = await module({ port, clock: systemClock });
  // Public, so that the benches' guests need no capability.
  node.kernel.registerModule(Object.assign(opened, { public: true }));
  return node;
}

function hex(block: number): string {
  return `0x${block.toString(16)}`;
}

/** ws hands out one Buffer of a whole message. */
function textOf(data: RawData): string {
  return (data as Buffer).toString('utf8');
}

/** JSON-RPC with nothing around it, one call at a time. */
class RawRpc implements AsyncDisposable {
  readonly #socket: WebSocket;
  #id = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
  }

  static async open(url: string): Promise<RawRpc> {
    const socket = new WebSocket(url, { perMessageDeflate: false, maxPayload: 0 });
    await once(socket, 'open');
    return new RawRpc(socket);
  }

  async call(method: string, params: unknown): Promise<unknown> {
    const id = ++this.#id;
    const answered = new Promise<RawData>((resolve) => this.#socket.once('message', resolve));
    this.#socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    const answer = JSON.parse(textOf(await answered)) as { id: number; result: unknown };
    if (answer.id !== id || answer.result === undefined) throw new Error(`${method} failed`);
    return answer.result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.terminate();
  }
}
