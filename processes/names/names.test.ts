/** Names on fakes: what a page is told of a name, from before it is minted until nobody looks any more; and the page's own part. */
import { beforeEach, expect, test } from 'vitest';
import { HYPERMAP } from '../../contracts/addresses.ts';
import { encodePort, encodeRouters } from '../../contracts/notes.ts';
import { textToHex } from '../../contracts/hex.ts';
import { FakeEth, FakeRefusal } from '../lib/testing/fake-eth.ts';
import { accountOf, FakeHypermap } from '../lib/testing/fake-hypermap.ts';
import { FakeHttpServer, type FakeSocket } from '../lib/testing/fake-http-server.ts';
import { fakeTimer } from '../lib/testing/fake-timer.ts';
import { FakeVfs } from '../lib/testing/fake-vfs.ts';
import { TestProcess } from '../lib/testing/test-process.ts';
import module from './names/index.ts';
import { NOTES_MAX, SHOWN_BYTES_MAX, shownNote } from './names/notes.ts';
import { AGAIN_MS, READ_AGAIN_MS } from './names/watched.ts';
import { type Heard, heard, said } from './shared/wire.ts';
import { Live } from './ui/parts/live.ts';

const LIVE = '/names:names:sys/live';
const ALICE = '0x70997970c51812dc3a010c7d01b50e0d17dc79c8';

let map: FakeHypermap;
let eth: FakeEth;
let server: FakeHttpServer;
let process: TestProcess<never, never>;
beforeEach(async () => {
  map = new FakeHypermap();
  eth = new FakeEth();
  eth.chains.set(31_337, map.chain);
  server = new FakeHttpServer();
  const vfs = new FakeVfs();
  vfs.put('names:sys/pkg/ui/index.html', '<head></head>');
  const settings = { chain_id: 31_337, hypermap: HYPERMAP, first_block: 0, cache_sources: [] };
  vfs.put('names:sys/initfiles/chain.json', JSON.stringify(settings));
  // Proof of the type: the test speaks as a browser and as eth only.
  process = (await TestProcess.start(module, {
    our: 'alice.os@names:names:sys',
    peers: {
      'eth:distro:sys': eth.peer,
      'http-server:distro:sys': server.peer,
      'timer:distro:sys': fakeTimer(),
      'vfs:distro:sys': vfs.peer,
      'homepage:homepage:sys': () => undefined,
    },
  })) as never;
});

class Page {
  readonly socket: FakeSocket;
  #read = 0;
  private constructor(socket: FakeSocket) {
    this.socket = socket;
  }
  static async open(): Promise<Page> {
    return new Page((await server.connect(process, LIVE))!);
  }
  async watch(name: string): Promise<Heard[]> {
    await this.socket.send(said.stringify({ kind: 'Watch', value: name }));
    return this.news();
  }
  /** What came since the last time. */
  news(): Heard[] {
    const all = this.socket.received;
    const fresh = all.slice(this.#read);
    this.#read = all.length;
    return fresh.map((frame) => {
      const decoded = heard.decode(String(frame));
      if (!decoded.ok) throw new Error(`the page was told ${String(frame)}`);
      return decoded.value;
    });
  }
}

async function happens(log: Record<string, unknown>): Promise<void> {
  eth.notify(process.host, log);
  await process.run();
}

/** What is read again has been. */
async function later(ms = READ_AGAIN_MS): Promise<void> {
  process.host.advance(ms / 1_000);
  await process.run();
}

test('a name is shown with its owner and its notes, each as it was last written, and what nodes write is read', async () => {
  map.mint('alice.os', ALICE);
  map.note('alice.os', '~ip', '0x0a000001');
  map.note('bob.os', '~ip', '0x0a000009');
  map.note('alice.os', '~ws-port', encodePort(9_000)!);
  map.note('alice.os', '~routers', encodeRouters(['r1.os', 'r2.os']));
  map.note('alice.os', '!born', textToHex('in May'));
  map.note('alice.os', '~ip', '0x7f000001');
  const page = await Page.open();
  const [first] = await page.watch('alice.os');
  expect(first).toMatchObject({
    kind: 'Found',
    value: { name: 'alice.os', owner: ALICE, account: accountOf('alice.os'), complete: true },
  });
  const { notes } = (first as Extract<Heard, { kind: 'Found' }>).value;
  expect(notes.map(({ label, means }) => `${label} ${means}`)).toEqual([
    '~ws-port 9000',
    '~routers 2 routers',
    '!born in May',
    '~ip 127.0.0.1',
  ]);
});

test('what is written while a page looks appears there, and only there', async () => {
  map.mint('alice.os', ALICE);
  map.mint('bob.os', ALICE);
  const [one, two, other] = [await Page.open(), await Page.open(), await Page.open()];
  await one.watch('alice.os');
  await two.watch('alice.os');
  await other.watch('bob.os');
  // Those who look at one name share what follows it.
  expect(eth.subscriptions.size).toBe(2);
  await later();
  expect([one.news(), two.news(), other.news()].flat()).toHaveLength(3);
  await happens(map.note('alice.os', '~ip', '0x7f000001'));
  const written = { kind: 'Written', value: { name: 'alice.os', note: { label: '~ip' } } };
  expect([one.news(), two.news()]).toMatchObject([[written], [written]]);
  expect(other.news()).toEqual([]);
  const late = await Page.open();
  expect(await late.watch('alice.os')).toMatchObject([
    { kind: 'Found', value: { notes: [{ means: '127.0.0.1' }] } },
  ]);
});

test('a name that nobody has is shown as soon as somebody has it and writes', async () => {
  const page = await Page.open();
  expect((await page.watch('alice.os')).at(-1)).toEqual({ kind: 'Free', value: 'alice.os' });
  map.mint('alice.os', ALICE);
  await happens(map.note('alice.os', '~ip', '0x7f000001'));
  await later();
  expect(page.news()).toMatchObject([{ kind: 'Found', value: { owner: ALICE } }]);
});

test('what a reorganisation takes back is gone, and what a loss hid is there afterwards', async () => {
  map.mint('alice.os', ALICE);
  const log = map.note('alice.os', '~ip', '0x7f000001');
  const page = await Page.open();
  await page.watch('alice.os');
  await later();
  page.news();
  map.logs.pop();
  await happens({ ...log, removed: true });
  await later();
  expect(page.news()).toMatchObject([{ kind: 'Found', value: { notes: [] } }]);
  map.note('alice.os', '~ip', '0x0a000001');
  eth.end(process.host);
  await process.run();
  await later();
  expect(page.news()).toMatchObject([{ kind: 'Found', value: { notes: [{ means: '10.0.0.1' }] } }]);
});

test('E5 what is written right after the first reading is not missed because the chain is asked the same again', async () => {
  map.mint('alice.os', ALICE);
  // As eth does it: the same question within a second has the same answer.
  const answers = new Map<string, unknown>();
  let askedAtS = 0;
  eth.chains.set(31_337, (method, params) => {
    if (process.host.nowS - askedAtS >= 1) answers.clear();
    askedAtS = process.host.nowS;
    const question = JSON.stringify([method, params]);
    if (!answers.has(question)) answers.set(question, structuredClone(map.chain(method, params)));
    return answers.get(question);
  });
  const page = await Page.open();
  expect(await page.watch('alice.os')).toMatchObject([{ kind: 'Found', value: { notes: [] } }]);
  // Nobody was told of this one.
  map.note('alice.os', '~ip', '0x7f000001');
  await later();
  expect(page.news()).toMatchObject([{ value: { notes: [{ means: '127.0.0.1' }] } }]);
});

test('a subscription ends with the last page that looks', async () => {
  map.mint('alice.os', ALICE);
  const [one, two] = [await Page.open(), await Page.open()];
  await one.watch('alice.os');
  await two.watch('alice.os');
  await one.watch('bob.os');
  expect(eth.subscriptions.size).toBe(2);
  await two.socket.close();
  await process.run();
  expect(eth.subscriptions.size).toBe(1);
  await one.socket.close();
  await process.run();
  expect(eth.subscriptions.size).toBe(0);
});

test('HM2 what is no name is refused, and the chain not asked', async () => {
  const page = await Page.open();
  for (const name of [
    '',
    'Alice.os',
    'a..os',
    '~ip.alice.os',
    `${'a'.repeat(64)}.os`,
    'a.'.repeat(251),
  ])
    expect(await page.watch(name), name).toMatchObject([{ kind: 'Trouble', value: { name } }]);
  expect(eth.log).toEqual([]);
  const longest = `${'a'.repeat(63)}.os`;
  expect((await page.watch(longest)).at(-1)).toEqual({ kind: 'Free', value: longest });
});

test('a provider that hands out no history: the notes of nodes are asked for one by one, and the page says so', async () => {
  map.mint('alice.os', ALICE);
  map.note('alice.os', '~ip', '0x7f000001');
  eth.chains.set(31_337, (method, params) => {
    if (method !== 'eth_getLogs') return map.chain(method, params);
    throw new FakeRefusal({
      kind: 'RpcError',
      value: { code: -32_602, message: 'range is too large', data: undefined },
    });
  });
  const page = await Page.open();
  expect((await page.watch('alice.os')).at(-1)).toMatchObject({
    kind: 'Found',
    value: { complete: false, notes: [{ label: '~ip', means: '127.0.0.1', block: undefined }] },
  });
});

test('a chain that is not there, or answers nonsense, is named, and asked again', async () => {
  const page = await Page.open();
  eth.chains.clear();
  expect((await page.watch('alice.os')).at(-1)).toMatchObject({
    kind: 'Trouble',
    value: { message: 'no provider of chain 31337 can be reached' },
  });
  eth.chains.set(31_337, () => '0x12');
  await later(AGAIN_MS);
  expect(page.news()).toMatchObject([{ kind: 'Trouble' }]);
  map.mint('alice.os', ALICE);
  eth.chains.set(31_337, map.chain);
  await later(AGAIN_MS);
  expect(page.news()).toMatchObject([{ kind: 'Found' }]);
});

test('notes that hold what they should not are shown as such, and long ones are cut', async () => {
  const wrong: readonly (readonly [string, `0x${string}`])[] = [
    ['~ip', '0x7f0000'],
    ['~ws-port', '0x01'],
    ['~tcp-port', '0x010203'],
    ['~net-key', `0x${'ab'.repeat(31)}`],
    ['~routers', '0x12'],
    ['!chain-id', '0x01'],
    ['!address', '0x01'],
    ['~text', '0xff'],
    ['~text', textToHex('\u001b[2J')],
  ];
  for (const [label, data] of wrong) expect(shownNote(label, data, 1).means, label).toBeUndefined();
  expect(shownNote('~ip', '0x', 1)).toMatchObject({ means: 'emptied', bytes: 0 });
  const long = shownNote('!book', textToHex('ä'.repeat(65_536)), 1);
  expect(long).toMatchObject({ bytes: 131_072, means: 'ä'.repeat(SHOWN_BYTES_MAX / 2) });
  expect(long.data).toHaveLength(2 + 2 * SHOWN_BYTES_MAX);
});

test('of more notes than are shown the latest are, and the page is told', async () => {
  map.mint('alice.os', ALICE);
  for (let n = 0; n <= NOTES_MAX; n++) map.note('alice.os', `~n${n}`, '0x31');
  const page = await Page.open();
  const [found] = await page.watch('alice.os');
  if (found?.kind !== 'Found') throw new Error('not found');
  expect(found.value.complete).toBe(false);
  expect(found.value.notes).toHaveLength(NOTES_MAX);
  expect(found.value.notes[0]?.label).toBe('~n1');
});

test('the page says again after a break what it looks at, and marks what was written meanwhile', () => {
  const sent: string[] = [];
  const waits: (() => void)[] = [];
  let events: { opened(): void; received(data: unknown): void; closed(): void } | undefined;
  let closed = 0;
  const live = new Live({
    connect: (given) => {
      events = given;
      return { send: (text) => void sent.push(text), close: () => void closed++ };
    },
    after: (_ms, work) => void waits.push(work),
  });
  live.watch('alice.os');
  live.start();
  events!.opened();
  const note = shownNote('~ip', '0x7f000001', 1);
  const found = { name: 'alice.os', owner: ALICE, account: ALICE, notes: [note], complete: true };
  events!.received(heard.stringify({ kind: 'Found', value: found }));
  expect(live.view).toMatchObject({ connected: true, answer: { kind: 'found' } });
  events!.received(heard.stringify({ kind: 'Free', value: 'bob.os' }));
  expect(live.view.answer.kind).toBe('found');
  events!.closed();
  expect(live.view.connected).toBe(false);
  waits.shift()!();
  events!.opened();
  expect(sent).toEqual(['{"Watch":"alice.os"}', '{"Watch":"alice.os"}']);
  const now = [note, shownNote('~ws-port', '0x2328', 2)];
  events!.received(heard.stringify({ kind: 'Found', value: { ...found, notes: now } }));
  expect(live.view.answer).toMatchObject({ fresh: new Set(['~ws-port']) });
  events!.received('{"of":"another version"}');
  expect(closed).toBe(1);
});
