/** The cacher on fakes: what it keeps, what it believes, and whom it answers. */
import { beforeEach, expect, test } from 'vitest';
import { fromHex, toHex } from '../../contracts/hex.ts';
import { address } from '../../wit/address.ts';
import { keccak256 } from '../../wit/keccak.ts';
import { FakeEth } from '../lib/testing/fake-eth.ts';
import { FakeHttpServer, type FakeResponse } from '../lib/testing/fake-http-server.ts';
import { fakeTimer } from '../lib/testing/fake-timer.ts';
import { FakeVfs } from '../lib/testing/fake-vfs.ts';
import type { Peer } from '../lib/testing/memory-host.ts';
import { TestProcess } from '../lib/testing/test-process.ts';
import { keyOf, nodeLogs } from '../hns-indexer/testing.ts';
import { canonicalLogs } from './hypermap-cacher/batch.ts';
import cacher from './hypermap-cacher/index.ts';

const US = 'alice.os@hypermap-cacher:hypermap-cacher:sys';
const OTHER = address('bob.os@hypermap-cacher:hypermap-cacher:sys');
const STRANGER = address('bob.os@chess:chess:sys');

const decoder = new TextDecoder();
let vfs: FakeVfs;
let eth: FakeEth;
let web: FakeHttpServer;
/** Who signs: a signature is the hash twice, and true if it is that. */
let signing = true;
const sign: Peer = (sent) => {
  if (!signing) return undefined;
  const hash = sent.blob?.bytes ?? new Uint8Array();
  const made = new Uint8Array([...hash, ...hash]);
  const body = decoder.decode(sent.request.body);
  if (body === '"NetKeySign"') return { body: '"NetKeySign"', blob: made };
  const { signature } = (JSON.parse(body) as { NetKeyVerify: { signature: number[] } })
    .NetKeyVerify;
  return JSON.stringify({ NetKeyVerify: signature.join() === made.join() });
};
const digest: Peer = (sent) => keccak256(sent.blob?.bytes ?? new Uint8Array());

beforeEach(() => {
  signing = true;
  vfs = new FakeVfs();
  eth = new FakeEth();
  web = new FakeHttpServer();
  eth.chains.set(31_337, (method, [filter]) => {
    if (method === 'eth_blockNumber') return '0xc8';
    const { fromBlock } = filter as { fromBlock: string };
    return Number(fromBlock) === 0 ? nodeLogs('alice.os', 1, 5) : [];
  });
});

async function start(
  sources: readonly string[] = [],
  peers: Record<string, Peer> = {},
): Promise<TestProcess<never, never>> {
  const settings = {
    chain_id: 31_337,
    hypermap: '0x000000000044c6b8cb4d8f0f889a3e47664eaeda',
    first_block: 0,
    cache_sources: sources,
  };
  const file = 'hypermap-cacher:sys/initfiles/chain.json';
  vfs.files.set(file, new TextEncoder().encode(JSON.stringify(settings)));
  const process = await TestProcess.start(cacher, {
    our: US,
    peers: {
      'vfs:distro:sys': vfs.peer,
      'eth:distro:sys': eth.peer,
      'timer:distro:sys': fakeTimer(),
      'sign:sign:sys': sign,
      'digest:hypermap-cacher:sys': digest,
      'http-server:distro:sys': web.peer,
      ...peers,
    },
  });
  // Proof of the type: the test asks by text only.
  return process as unknown as TestProcess<never, never>;
}

async function ask(
  process: TestProcess<never, never>,
  body: unknown,
  source = address(US),
): Promise<unknown> {
  return JSON.parse((await process.ask(JSON.stringify(body), { source })) ?? 'null');
}

const range = { GetLogsByRange: { from_block: 0, to_block: null } };

test('settled blocks become a signed file of the reference, named in the manifest with its hash', async () => {
  const process = await start();
  const names = [...vfs.files.keys()].filter((name) => name.includes('/cache/'));
  const [file] = names.filter((name) =>
    /\/\d{8}T\d{6}Z-chain31337-from0-to136-protocol0\.json$/.test(name),
  );
  expect(file).toBeDefined();
  const { metadata, logs } = JSON.parse(vfs.text(file!)!) as {
    metadata: Record<string, string>;
    logs: unknown[];
  };
  expect(logs).toHaveLength(4);
  expect(metadata).toMatchObject({
    chainId: '31337',
    fromBlock: '0',
    toBlock: '136',
    createdBy: US,
  });
  const text = new TextEncoder().encode(JSON.stringify(logs));
  const signed = keccak256(new Uint8Array([...text, ...new Uint8Array(15), 136]));
  expect(metadata['signature']).toBe(toHex(new Uint8Array([...signed, ...signed])));
  const manifest = await ask(process, 'GetManifest');
  expect(manifest).toMatchObject({
    GetManifest: {
      items: {
        [String(file?.split('/').at(-1))]: {
          isEmpty: false,
          fileHash: toHex(keccak256(vfs.files.get(file!)!)),
        },
      },
    },
  });
});

test('HM28 P66 it is starting, then it has logs, then what is latest', async () => {
  eth.chains.set(31_337, () => undefined);
  const waiting = await start();
  expect(await ask(waiting, range)).toBe('IsStarting');
  eth.chains.set(31_337, (method) => (method === 'eth_blockNumber' ? '0xc8' : []));
  const process = await start();
  const answer = (await ask(process, range)) as {
    GetLogsByRange: { Ok: { Logs: [number, string] } };
  };
  const [block, text] = answer.GetLogsByRange.Ok.Logs;
  expect(block).toBe(136);
  expect(JSON.parse(text)).toMatchObject([{ metadata: { toBlock: '136' }, logs: [] }]);
  const after = { GetLogsByRange: { from_block: 137, to_block: null } };
  expect(await ask(process, after)).toEqual({ GetLogsByRange: { Ok: { Latest: 136 } } });
});

test('HM28 P66 other nodes are rejected unless the owner provides, and then only their cachers, to read', async () => {
  const process = await start();
  expect(await ask(process, range, OTHER)).toBe('Rejected');
  expect(await ask(process, 'StartProviding', OTHER)).toBe('Rejected');
  await ask(process, 'StartProviding');
  expect(await ask(process, range, OTHER)).toHaveProperty('GetLogsByRange.Ok.Logs');
  expect(await ask(process, 'GetStatus', OTHER)).toMatchObject({
    GetStatus: { is_providing: true, last_cached_block: 136, log_files_count: 1 },
  });
  expect(await ask(process, 'GetStatus', STRANGER)).toBe('Rejected');
  expect(await ask(process, { Reset: null }, OTHER)).toBe('Rejected');
  await ask(process, 'StopProviding');
  expect(await ask(process, range, OTHER)).toBe('Rejected');
});

/** What bob's cacher would send: batches of ten blocks, signed as our fake signs. */
function batch(
  from: number,
  to: number,
  change: (text: string) => string = (text) => text,
): unknown {
  const logs = canonicalLogs(nodeLogs(`n${from}.os`, from, from))!;
  const text = new TextEncoder().encode(logs);
  const ends = new DataView(new ArrayBuffer(16));
  ends.setBigUint64(0, BigInt(from));
  ends.setBigUint64(8, BigInt(to));
  const hash = keccak256(new Uint8Array([...text, ...new Uint8Array(ends.buffer)]));
  const metadata = {
    chainId: '31337',
    fromBlock: String(from),
    toBlock: String(to),
    timeCreated: '20250101T000000Z',
    createdBy: 'bob.os@hypermap-cacher:hypermap-cacher:sys',
    signature: toHex(new Uint8Array([...hash, ...hash])),
  };
  return { metadata, logs: JSON.parse(change(logs)) as unknown };
}

test('HM29 what peers send is kept if it is signed, and forgotten if it is not', async () => {
  const pages: unknown[][] = [
    [batch(0, 9)],
    [batch(10, 19, (text) => text.replace(keyOf(10).slice(2), keyOf(11).slice(2)))],
  ];
  const peer: Peer = (sent) => {
    const body: unknown = JSON.parse(decoder.decode(sent.request.body));
    if (body === 'GetStatus') {
      const status = {
        last_cached_block: 19,
        chain_id: '31337',
        protocol_version: '0',
        next_cache_attempt_in_seconds: null,
        manifest_filename: '',
        log_files_count: 2,
        our_address: '',
        is_providing: true,
      };
      return JSON.stringify({ GetStatus: status });
    }
    return JSON.stringify({
      GetLogsByRange: { Ok: { Logs: [19, JSON.stringify(pages.shift() ?? [])] } },
    });
  };
  const process = await start(['bob.os'], { 'hypermap-cacher:hypermap-cacher:sys': peer });
  const { GetManifest: manifest } = (await ask(process, 'GetManifest')) as {
    GetManifest: { items: Record<string, { metadata: { fromBlock: string; createdBy: string } }> };
  };
  const kept = Object.values(manifest.items).map(({ metadata }) => [
    metadata.fromBlock,
    metadata.createdBy.split('@')[0],
  ]);
  // Bob's second batch was forged; ours begins where his first one ends.
  expect(kept).toEqual([
    ['0', 'bob.os'],
    ['10', 'alice.os'],
  ]);
});

test('without somebody who signs nothing is kept, and nobody is kept waiting', async () => {
  signing = false;
  const process = await start();
  process.host.advance(11);
  await process.run();
  expect(await ask(process, range)).toEqual({ GetLogsByRange: { Ok: { Latest: 0 } } });
});

test('a file that the manifest does not name is not given away', async () => {
  const process = await start();
  vfs.files.set('hypermap-cacher:sys/cache/secret', new Uint8Array([1]));
  for (const name of ['secret', '../initfiles/chain.json', ''])
    expect(await ask(process, { GetLogCacheContent: name })).toEqual({
      GetLogCacheContent: { Ok: null },
    });
});

test('logs have one text: compact, in order, with minimal quantities and small letters', () => {
  const [log] = nodeLogs('alice.os', 1, 5);
  const odd = {
    logIndex: '0x000A',
    ...log,
    address: log!.address.toUpperCase().replace('0X', '0x'),
    extra: 1,
  };
  expect(canonicalLogs([odd])).toBe(canonicalLogs([log]));
  expect(Object.keys((JSON.parse(canonicalLogs([odd])!) as object[])[0]!)).toEqual([
    'address',
    'topics',
    'data',
    'blockHash',
    'blockNumber',
    'blockTimestamp',
    'transactionHash',
    'transactionIndex',
    'logIndex',
    'removed',
  ]);
  expect(canonicalLogs([{ ...log, data: 'no' }])).toBeUndefined();
  expect(canonicalLogs('no')).toBeUndefined();
  expect(fromHex('0x')).toEqual(new Uint8Array());
});

test('P66 over HTTP, without a login, the same is to be had, while the owner provides', async () => {
  const process = await start();
  const get = (path: string): Promise<FakeResponse> =>
    web.request(process, `/hypermap-cacher:hypermap-cacher:sys${path}`, { loggedIn: false });
  const paths = ['/manifest', '/manifest.json', '/status', '/log-cache/x.json'];
  for (const path of paths) expect((await get(path)).status, path).toBe(403);
  await ask(process, 'StartProviding');
  const { GetManifest: manifest } = (await ask(process, 'GetManifest')) as {
    GetManifest: { items: Record<string, unknown> };
  };
  for (const path of ['/manifest', '/manifest.json'])
    expect(JSON.parse((await get(path)).text), path).toEqual(manifest);
  const [file = ''] = Object.keys(manifest.items);
  const kept = [...vfs.files.keys()].find((name) => name.endsWith(file))!;
  const served = await get(`/log-cache/${file}`);
  expect([served.status, served.headers.get('content-type')]).toEqual([200, 'application/json']);
  expect(served.text).toBe(vfs.text(kept));
  expect(JSON.parse((await get('/status')).text)).toMatchObject({ is_providing: true });
  for (const none of ['x.json', '..%2Finitfiles%2Fchain.json', `..%2F${file}`])
    expect((await get(`/log-cache/${none}`)).status, none).toBe(404);
  await ask(process, 'StopProviding');
  expect((await get(`/log-cache/${file}`)).status).toBe(403);
});

test('HM28 while the cache is being filled, HTTP says so', async () => {
  const process = await start();
  await ask(process, 'StartProviding');
  eth.chains.set(31_337, () => undefined);
  await ask(process, { Reset: null });
  const status = await web.request(process, '/hypermap-cacher:hypermap-cacher:sys/status');
  expect([status.status, status.text]).toEqual([503, expect.stringContaining('IsStarting')]);
});
