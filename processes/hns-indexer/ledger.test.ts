/** The ledger of names: what events do to it, what it refuses, what it takes back, and what is left of it after a restart. */
import { decode } from '@msgpack/msgpack';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { HYPERMAP } from '../../contracts/addresses.ts';
import { fromHex, toHex, type Hex } from '../../contracts/hex.ts';
import { namehash } from '../../contracts/hypermap.ts';
import { encodeIp, encodeRouters } from '../../contracts/notes.ts';
import { buildComponent } from '../../kit/build/component.ts';
import { testNode, type TestNode } from '../../test/support/node.ts';
import type { Requester } from '../lib/client.ts';
import { Ledger, type NodeNotes } from './hns-indexer/ledger.ts';
import {
  bytesOf,
  hashOfBlock,
  keyOf,
  type MadeLog,
  mintLog,
  nodeLogs,
  noteLog,
} from './testing.ts';

const SOURCE = new URL('ledger/assembly/index.ts', import.meta.url).pathname;
const ID = 'ledger:hns-indexer:sys';

let node: TestNode;
let component: Uint8Array;
let ledger: Ledger;
beforeAll(async () => {
  component = await buildComponent(SOURCE);
  node = await testNode();
  await node.start(ID, component);
  const request = async (
    _target: unknown,
    body: Uint8Array | string,
    options?: { readonly blob?: { readonly mime: undefined; readonly bytes: Uint8Array } },
  ): Promise<unknown> => node.ask(ID, body, options?.blob && { blob: options.blob });
  // Proof of the type: what the ledger's client uses of a process.
  ledger = new Ledger({ request } as unknown as Requester, ID);
}, 120_000);
afterAll(() => node[Symbol.asyncDispose]());
beforeEach(async () => {
  await ledger.open(1, HYPERMAP);
  await ledger.open(31_337, HYPERMAP);
});

const apply = (logs: readonly MadeLog[], hinted = false): ReturnType<Ledger['apply']> =>
  ledger.apply(bytesOf(logs), { hinted });
const name = (of: string): Promise<string | undefined> =>
  ledger.nameOf(fromHex(namehash(of)) ?? new Uint8Array());
const seal = (block: number, final = false, fork = 'b'): Promise<number> =>
  ledger.seal({ block, hash: hashOfBlock(block, fork) }, { final });

async function info(of: string): Promise<Record<string, unknown> | undefined> {
  const found = await ledger.node(of);
  return found && (JSON.parse(new TextDecoder().decode(found.json)) as Record<string, unknown>);
}

async function changes(most = 1_000): Promise<unknown[]> {
  const body = await ledger.changes(most);
  return body === undefined ? [] : (decode(body) as { HnsBatchUpdate: unknown[] }).HnsBatchUpdate;
}

test('HM19 nested names are known by their hashes, in the order of their events', async () => {
  const applied = await apply([mintLog('os'), mintLog('alice.os'), mintLog('sub.alice.os')]);
  expect(applied).toEqual({ applied: 3, ignored: 0, changes: 0 });
  expect(await name('sub.alice.os')).toBe('sub.alice.os');
  expect(await name('bob.os')).toBeUndefined();
  expect(await info('alice.os')).toEqual({
    name: 'alice.os',
    public_key: '',
    ips: [],
    ports: [],
    routers: [],
  });
});

test('HM18 notes become the fields of a node, for net in the encoding of the reference', async () => {
  await apply([mintLog('os'), ...nodeLogs('alice.os', 5), mintLog('six.os')]);
  await apply([
    noteLog('alice.os', '~tcp-port', '0x0050'),
    noteLog('six.os', '~net-key', keyOf(6)),
    noteLog('six.os', '~ip', encodeIp('2001:db8::1')!),
    noteLog('six.os', '~ws-port', '0x0000'),
  ]);
  expect(await info('alice.os')).toMatchObject({
    public_key: keyOf(5).slice(2),
    ips: ['10.0.0.5'],
    ports: [
      ['tcp', 80],
      ['ws', 9_000],
    ],
  });
  expect(await changes()).toEqual([
    ['alice.os', keyOf(5).slice(2), ['10.0.0.5'], { tcp: 80, ws: 9_000 }, []],
    ['six.os', keyOf(6).slice(2), ['2001:db8::1'], { ws: 0 }, []],
  ]);
  expect(await changes()).toEqual([]);
});

test.each([
  '::',
  '::1',
  '1::',
  '2001:db8:1:2:3:4:5:6',
  '2001:db8::1:0:0:1',
  'fe80::1:2:3:4',
  '1:0:0:2::3',
  '255.255.255.255',
  '0.0.0.0',
])('HM18 the address %s is told as it is written', async (address) => {
  await apply([mintLog('os'), noteLog('os', '~ip', encodeIp(address)!)]);
  expect(await info('os')).toMatchObject({ ips: [address] });
});

test('HM22 net hears of a node when its key and a way to it are known, not before', async () => {
  await apply([mintLog('os'), noteLog('os', '~net-key', keyOf(1))]);
  expect(await changes()).toEqual([]);
  await apply([noteLog('os', '~ip', '0x0a000001')]);
  expect(await changes()).toEqual([]);
  await apply([noteLog('os', '~ws-port', '0x2328')]);
  expect(await changes()).toHaveLength(1);
});

test('HM20 routers that nobody has minted keep the note waiting until they are', async () => {
  const routers = encodeRouters(['r1.os', 'r2.os']);
  await apply([mintLog('os'), ...nodeLogs('a.os', 1), noteLog('a.os', '~routers', routers)]);
  expect(await info('a.os')).toMatchObject({ ips: ['10.0.0.1'], routers: [] });
  await apply([mintLog('r1.os')]);
  for (let block = 1; block < 10; block++) await seal(block);
  expect(await info('a.os')).toMatchObject({ routers: [] });
  await apply([mintLog('r2.os')]);
  expect(await info('a.os')).toMatchObject({ ips: [], ports: [], routers: ['r1.os', 'r2.os'] });
});

test('HM21 the last of address and routers decides', async () => {
  await apply([mintLog('os'), ...nodeLogs('r.os', 9), ...nodeLogs('a.os', 1)]);
  await apply([noteLog('a.os', '~routers', encodeRouters(['r.os']))]);
  expect(await info('a.os')).toMatchObject({ ips: [], ports: [], routers: ['r.os'] });
  await apply([noteLog('a.os', '~tcp-port', '0x0001')]);
  expect(await info('a.os')).toMatchObject({ ports: [['tcp', 1]], routers: [] });
  await apply([noteLog('a.os', '~routers', '0x0102')]);
  expect(await info('a.os')).toMatchObject({ ports: [], routers: [] });
});

test('HM18 malformed notes of every data key leave what is known as it is, but for routers, which are none then', async () => {
  await apply([
    mintLog('os'),
    ...nodeLogs('alice.os', 5),
    noteLog('alice.os', '~tcp-port', '0x0050'),
  ]);
  await changes();
  const before = await info('alice.os');
  const bytes = (length: number): Hex => `0x${'ab'.repeat(length)}`;
  const wrong: Readonly<Record<string, readonly number[]>> = {
    '~net-key': [0, 1, 31, 33, 64, 131_072],
    '~ip': [0, 1, 3, 5, 15, 17, 131_072],
    '~ws-port': [0, 1, 3, 4, 131_072],
    '~tcp-port': [0, 1, 3, 4, 131_072],
    // Keys that say nothing about how a node is reached.
    '~anything': [0, 32, 131_072],
    '~router': [32],
  };
  for (const [label, lengths] of Object.entries(wrong)) {
    for (const length of lengths) {
      await apply([noteLog('alice.os', label, bytes(length))]);
      expect(await info('alice.os'), `${label} of ${length} bytes`).toEqual(before);
    }
  }
  expect(await changes()).toEqual([]);
  for (const length of [1, 31, 33, 32 * 257]) {
    await apply([...nodeLogs('alice.os', 5), noteLog('alice.os', '~routers', bytes(length))]);
    expect(await info('alice.os'), `~routers of ${length} bytes`).toMatchObject({ routers: [] });
  }
});

test('HM14 names at the limits: labels of 63 bytes, and 32 of them', async () => {
  const longest = 'a'.repeat(63);
  await apply([mintLog('os'), mintLog(`${'b'.repeat(64)}.os`)]);
  expect(await name(`${'b'.repeat(64)}.os`)).toBeUndefined();
  let deepest = 'os';
  for (let labels = 2; labels <= 32; labels++) {
    deepest = `${longest}.${deepest}`;
    await apply([mintLog(deepest)]);
    expect(await name(deepest), `${labels} labels`).toBe(deepest);
  }
  await apply([mintLog(`${longest}.${deepest}`), mintLog('next.os')]);
  expect(await name(`${longest}.${deepest}`)).toBeUndefined();
  expect(await name('next.os')).toBe('next.os');
});

test('F34 a name whose parent is unknown waits, and is not called by its label', async () => {
  await apply([mintLog('alice.os'), ...nodeLogs('sub.alice.os', 3).slice(0, 1)]);
  expect(await name('alice.os')).toBeUndefined();
  expect(await seal(1)).toBe(2);
  await apply([mintLog('os')]);
  expect(await name('sub.alice.os')).toBe('sub.alice.os');
  expect(await seal(2)).toBe(0);
});

test('F34 a hash that is not that of the name is nobody', async () => {
  const forged = mintLog('alice.os');
  const [topic, parent, , label] = forged.topics;
  await apply([
    mintLog('os'),
    { ...forged, topics: [topic!, parent!, namehash('bob.os'), label!] },
  ]);
  expect(await name('alice.os')).toBeUndefined();
  expect(await name('bob.os')).toBeUndefined();
});

test('F34 a name that is minted again keeps what it has', async () => {
  await apply([mintLog('os'), ...nodeLogs('a.os', 1)]);
  await apply([mintLog('a.os')]);
  expect(await info('a.os')).toMatchObject({ ips: ['10.0.0.1'] });
});

test('HM19 a note before its name is applied later, and dropped after five attempts', async () => {
  await apply([mintLog('os'), noteLog('a.os', '~net-key', keyOf(1), 1)]);
  for (let block = 2; block < 6; block++) await seal(block);
  await apply([mintLog('a.os'), noteLog('b.os', '~net-key', keyOf(2), 6)]);
  expect(await info('a.os')).toMatchObject({ public_key: keyOf(1).slice(2) });
  for (let block = 7; block < 12; block++) await seal(block);
  await apply([mintLog('b.os')]);
  expect(await info('b.os')).toMatchObject({ public_key: '' });
});

test('F34 what is hinted at is answered as such, told to nobody, and gone when it was wrong', async () => {
  await apply([mintLog('os'), ...nodeLogs('a.os', 1), ...nodeLogs('b.os', 2)], true);
  expect((await ledger.node('a.os'))?.hinted).toBe(true);
  expect(await changes()).toEqual([]);
  expect(await ledger.hinted(0, 10)).toEqual({ next: undefined, names: ['a.os', 'b.os'] });
  const none = new Uint8Array();
  const notes: NodeNotes = {
    key: fromHex(keyOf(7))!,
    routers: none,
    ip: Uint8Array.of(1, 2, 3, 4),
    wsPort: Uint8Array.of(0, 9),
    tcpPort: none,
  };
  expect(await ledger.put('a.os', notes)).toBe(true);
  expect(await changes()).toEqual([['a.os', keyOf(7).slice(2), ['1.2.3.4'], { ws: 9 }, []]]);
  expect(await ledger.hinted(0, 10)).toEqual({ next: undefined, names: ['b.os'] });
  // What somebody trusted adds does not make the rest of it true.
  await apply([noteLog('b.os', '~ws-port', '0x0001')]);
  expect(await changes()).toEqual([]);
  expect(await ledger.put('no name', notes)).toBe(false);
  expect(await ledger.put('new.zone', notes)).toBe(true);
  expect(await name('new.zone')).toBe('new.zone');
});

test('a reorganisation takes back names, notes, and what was waiting', async () => {
  await apply([mintLog('os'), ...nodeLogs('a.os', 1), noteLog('late.os', '~net-key', keyOf(8))]);
  await seal(10);
  await apply([
    mintLog('gone.os'),
    ...nodeLogs('a.gone.os', 2),
    noteLog('a.os', '~ws-port', '0x0001'),
  ]);
  await apply([mintLog('late.os')]);
  await seal(11);
  await changes();
  expect(await ledger.anchor(1)).toEqual({ block: 10, hash: hashOfBlock(10) });
  await ledger.rollBack(1);
  expect(await name('gone.os')).toBeUndefined();
  expect(await name('a.gone.os')).toBeUndefined();
  expect(await info('a.os')).toMatchObject({ ports: [['ws', 9_000]] });
  expect(await changes()).toEqual([['a.os', keyOf(1).slice(2), ['10.0.0.1'], { ws: 9_000 }, []]]);
  expect(await ledger.anchor()).toEqual({ block: 10, hash: hashOfBlock(10) });
  await apply([mintLog('late.os')]);
  expect(await info('late.os')).toMatchObject({ public_key: keyOf(8).slice(2) });
});

test('blocks that are final are not remembered, and no more than 64 others are', async () => {
  await seal(1);
  await seal(2, true);
  expect(await ledger.anchor(1)).toBeUndefined();
  for (let block = 3; block < 100; block++) {
    await apply([mintLog(`n${block}`)]);
    await seal(block);
  }
  expect((await ledger.anchor(63))?.block).toBe(36);
  expect(await ledger.anchor(64)).toBeUndefined();
  await ledger.rollBack(63);
  expect([await name('n36'), await name('n37')]).toEqual(['n36', undefined]);
});

test('HM25 what was written down is there after a restart, and of another chain nothing', async () => {
  await apply([mintLog('os'), ...nodeLogs('a.os', 1), noteLog('late.os', '~net-key', keyOf(8))]);
  await seal(10);
  await ledger.save();
  await node.kernel.kill(ID as never, { revoke: false });
  await node.start(ID, component);
  expect(await ledger.open(31_337, HYPERMAP)).toEqual({ names: 2, nodes: 1, anchors: 1 });
  await ledger.touchAll();
  expect(await changes()).toHaveLength(1);
  await apply([mintLog('late.os')]);
  expect(await info('late.os')).toMatchObject({ public_key: keyOf(8).slice(2) });
  expect(await ledger.open(1, HYPERMAP)).toEqual({ names: 0, nodes: 0, anchors: 0 });
});

test('everything is told page by page', async () => {
  await apply([mintLog('os'), mintLog('a.os'), ...nodeLogs('b.os', 2)]);
  const first = await ledger.names(0, 2);
  const rest = await ledger.names(first.next ?? 0, 2);
  expect(rest.next).toBeUndefined();
  const text = [first, rest].map((page) => new TextDecoder().decode(page.text)).join(',');
  expect(JSON.parse(`[${text}]`)).toEqual(
    ['os', 'a.os', 'b.os'].map((each) => [namehash(each), each]),
  );
  const nodes = new TextDecoder().decode((await ledger.nodes(0, 10)).text);
  expect((JSON.parse(`[${nodes}]`) as unknown[]).at(-1)).toMatchObject([
    'b.os',
    { ips: ['10.0.0.2'] },
  ]);
});

const hostile: [string, (log: MadeLog) => unknown][] = [
  ['another contract', (log) => ({ ...log, address: keyOf(1).slice(0, 42) })],
  ['no address', (log) => ({ ...log, address: '0x' })],
  ['taken back', (log) => ({ ...log, removed: true })],
  ['another event', (log) => ({ ...log, topics: [keyOf(1), ...log.topics.slice(1)] })],
  ['too few topics', (log) => ({ ...log, topics: log.topics.slice(1) })],
  ['no topics', (log) => ({ ...log, topics: [] })],
  ['topics that are no hex', (log) => ({ ...log, topics: log.topics.map(() => 'x'.repeat(66)) })],
  ['no data', (log) => ({ ...log, data: '0x' })],
  ['data that is cut short', (log) => ({ ...log, data: log.data.slice(0, 134) })],
  ['data that is no hex', (log) => ({ ...log, data: log.data.replaceAll('6', 'z') })],
  ['an offset of four billion', (log) => ({ ...log, data: withWord(log.data, 0, 'ffffffff') })],
  ['an offset just past the end', (log) => ({ ...log, data: withWord(log.data, 0, '00000061') })],
  ['a length of four billion', (log) => ({ ...log, data: withWord(log.data, 1, 'ffffffff') })],
  ['an empty label', (log) => ({ ...log, data: withWord(log.data, 1, '00000000') })],
  ['a label with a capital', () => mintLog('Bad.os')],
  ['a label that is too long', () => mintLog(`${'a'.repeat(64)}.os`)],
  ['nothing', () => ({})],
];

function withWord(data: string, index: number, digits: string): string {
  const end = 2 + (index + 1) * 64;
  return data.slice(0, end - digits.length) + digits + data.slice(end);
}

test.each(hostile)('a log with %s is ignored', async (_what, change) => {
  await apply([mintLog('os')]);
  const wrong = change(mintLog('bad.os'));
  const text = JSON.stringify([wrong, mintLog('good.os')]);
  const applied = await ledger.apply(new TextEncoder().encode(text), { hinted: false });
  expect(applied).toMatchObject({ applied: 1, ignored: 1 });
  expect([await name('bad.os'), await name('good.os')]).toEqual([undefined, 'good.os']);
});

test.each([
  '',
  '{',
  '[',
  '[{',
  '[{"a"',
  '[{"a":',
  '[{"a":1',
  '[{]',
  '[1]',
  '{"Err":"x"}',
  '[{"topics":[1]}]',
  'null',
  '[{"data":"0x',
])('text that is no list of logs (%s) is refused as a whole', async (text) => {
  expect(await ledger.apply(new TextEncoder().encode(text), { hinted: false })).toBeUndefined();
});

test('spaces, escapes and members that nobody knows do not disturb', async () => {
  const log = { extra: { a: ['\\"]}', { b: null }] }, ...mintLog('os'), more: [1, -2.5e3, true] };
  const text = JSON.stringify({ Response: [log] }, undefined, 2);
  const applied = await ledger.apply(new TextEncoder().encode(text), { hinted: false });
  expect(applied).toMatchObject({ applied: 1, ignored: 0 });
});

test('any byte that is wrong in a list of logs leaves the ledger alive and its names true', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = mulberry(seed);
  const good = bytesOf([mintLog('os'), ...nodeLogs('alice.os', 5), mintLog('bob.os')]);
  for (let round = 0; round < 300; round++) {
    const bad = good.slice();
    for (let flips = 0; flips < 3; flips++) bad[random(bad.length)] = random(256);
    await ledger.apply(random(2) === 0 ? bad : bad.subarray(0, random(bad.length)), {
      hinted: false,
    });
  }
  const { text } = await ledger.names(0, 10_000);
  for (const [hash, each] of JSON.parse(`[${new TextDecoder().decode(text)}]`) as [Hex, string][])
    expect(namehash(each), `seed ${seed}`).toBe(hash);
});

test('as many names as fit, against a plain map', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = mulberry(seed);
  const names = ['os'];
  const logs = [mintLog('os')];
  for (let index = 0; index < 3_000; index++) {
    const made = `n${index}.${names[random(Math.min(names.length, 200))]}`;
    names.push(made);
    logs.push(mintLog(made));
  }
  await apply(logs);
  for (let each = 0; each < 300; each++) {
    const wanted = names[random(names.length)]!;
    expect(await name(wanted), `seed ${seed}`).toBe(wanted);
  }
  expect(toHex(new Uint8Array(32))).toBe(namehash(''));
});

function mulberry(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}
