/** What is listed of what anybody publishes, on fakes; `test/integration/listings.test.ts` has it in a guest, on a chain. */
import { expect, test } from 'vitest';
import { textToHex, toHex, type Hex } from '../../contracts/hex.ts';
import { namehash } from '../../contracts/hypermap.ts';
import { keccak256 } from '../../wit/keccak.ts';
import { Eth, EthError } from './eth.ts';
import { logOf } from './eth-values.ts';
import { Hypermap } from './hypermap.ts';
import {
  listingFilter,
  Listings,
  type ListingsOptions,
  type Looked,
  METADATA_BYTES_MAX,
  METADATA_HASH,
  METADATA_URI,
  URI_CHARS_MAX,
} from './listings.ts';
import { defineProcess, type Process } from './process.ts';
import { FakeEth, FakeRefusal } from './testing/fake-eth.ts';
import { FakeHttpClient, type ServerAnswer } from './testing/fake-http-client.ts';
import { accountOf, FakeHypermap } from './testing/fake-hypermap.ts';
import { TestProcess } from './testing/test-process.ts';

const ALICE = '0x70997970c51812dc3a010c7d01b50e0d17dc79c8';
const APP = 'app.alice.os';
const URI = 'https://alice.example/app.json';
const METADATA = metadata('1.0.0');

function metadata(version: string, over: object = {}): string {
  const properties = {
    package_name: 'app',
    publisher: 'alice.os',
    current_version: version,
    mirrors: ['alice.os'],
    code_hashes: { [version]: 'ab' },
    ...over,
  };
  return `${JSON.stringify({ name: 'app', description: null, properties })}\n`;
}

const keccak = (text: string): string => toHex(keccak256(new TextEncoder().encode(text)));

class Bench {
  readonly fake = new FakeEth();
  readonly map = new FakeHypermap();
  /** By URI. */
  readonly served = new Map<string, ServerAnswer>([[URI, { body: METADATA }]]);
  readonly http = new FakeHttpClient(({ url }) => this.served.get(url));
  /** Of the indexer, by hash. */
  readonly names = new Map<string, string>([[namehash(APP), APP]]);
  running!: TestProcess<never, undefined>;
  listings!: Listings;

  static async start(options?: ListingsOptions): Promise<Bench> {
    const bench = new Bench();
    bench.fake.chains.set(31_337, bench.map.chain);
    let own: Process<undefined> | undefined;
    const module = defineProcess<never, undefined>({ setup: (process) => void (own = process) });
    bench.running = await TestProcess.start(module, {
      peers: {
        'eth:distro:sys': bench.fake.peer,
        'http-client:distro:sys': bench.http.peer,
        'hns-indexer:hns-indexer:sys': ({ request }) => {
          const asked = JSON.parse(new TextDecoder().decode(request.body)) as {
            NamehashToName: { hash: string };
          };
          const Name = bench.names.get(asked.NamehashToName.hash) ?? null;
          return new TextEncoder().encode(JSON.stringify({ Name }));
        },
      },
    });
    const hypermap = new Hypermap(own!, new Eth(own!, { chainId: 31_337 }));
    bench.listings = new Listings(own!, hypermap, options);
    bench.map.mint(APP, ALICE);
    return bench;
  }

  /** Writes a note, and has the listings look at the log of it. */
  async note(label: string, text: string, name = APP): Promise<Looked | undefined> {
    return this.take(this.map.note(name, label, textToHex(text)));
  }

  async take(log: Record<string, unknown>): Promise<Looked | undefined> {
    return this.within(() => this.listings.take(logOf(log)));
  }

  async publish(text = METADATA, uri = URI): Promise<Looked | undefined> {
    this.map.note(APP, METADATA_HASH, textToHex(keccak(text)));
    return this.note(METADATA_URI, uri);
  }

  async within<T>(work: () => Promise<T>): Promise<T> {
    const settled = work();
    settled.catch(() => undefined);
    await this.running.run();
    return settled;
  }
}

const LISTED = {
  package: 'app',
  publisher: 'alice.os',
  account: accountOf(APP),
  uri: URI,
  hash: keccak(METADATA),
};

test('HM27 a package is listed when its metadata is what the hash says, and no longer when both notes are empty', async () => {
  const bench = await Bench.start();
  expect(await bench.publish()).toMatchObject({
    kind: 'listed',
    listing: LISTED,
    metadata: { properties: { current_version: '1.0.0', code_hashes: new Map([['1.0.0', 'ab']]) } },
  });
  expect([bench.listings.get(APP), bench.listings.all()]).toEqual([LISTED, [LISTED]]);
  // As `kit publish` takes a package back: the hash first, then the URI.
  expect(await bench.note(METADATA_HASH, '')).toMatchObject({ reason: 'incomplete' });
  expect(bench.listings.all()).toEqual([LISTED]);
  expect(await bench.note(METADATA_URI, '')).toEqual({ kind: 'withdrawn', name: APP });
  expect(bench.listings.all()).toEqual([]);
});

test('HM27 metadata of another hash is rejected: a new package is not listed, a listed one stays as it was', async () => {
  const bench = await Bench.start();
  expect(await bench.publish(`${METADATA} `)).toMatchObject({
    kind: 'rejected',
    reason: 'wrong-hash',
    why: `the metadata hashes to ${keccak(METADATA)}, the note says ${keccak(`${METADATA} `)}`,
  });
  expect(bench.listings.all()).toEqual([]);
  await bench.publish();
  expect(await bench.publish(metadata('2.0.0'))).toMatchObject({ reason: 'wrong-hash' });
  expect(bench.listings.all()).toEqual([LISTED]);
  // The server catches up: the next look finds it.
  bench.served.set(URI, { body: metadata('2.0.0') });
  const looked = await bench.within(() => bench.listings.look(APP));
  expect(looked).toMatchObject({ kind: 'listed', listing: { hash: keccak(metadata('2.0.0')) } });
});

test('F35 the notes are read as what decides what is installed, and a chain that does not answer changes nothing', async () => {
  const bench = await Bench.start();
  await bench.publish();
  expect(new Set(bench.fake.log)).toEqual(new Set(['agreed:eth_call']));
  bench.fake.chains.set(31_337, () => {
    throw new FakeRefusal({ kind: 'ProvidersDisagree', value: ['ws://a', 'ws://b'] });
  });
  await expect(bench.within(() => bench.listings.look(APP))).rejects.toBeInstanceOf(EthError);
  expect(bench.listings.all()).toEqual([LISTED]);
});

test('F34 the name that the indexer says must be that of the entry', async () => {
  const bench = await Bench.start();
  for (const name of [undefined, 'bank.alice.os', 'App.alice.os', '']) {
    if (name === undefined) bench.names.clear();
    else bench.names.set(namehash(APP), name);
    expect(await bench.publish(), name).toMatchObject({ kind: 'rejected', reason: 'no-package' });
  }
  expect([bench.listings.all(), bench.http.requests]).toEqual([[], []]);
});

test('a log that is about no package, or whose hash is of another entry, is not looked into', async () => {
  const bench = await Bench.start();
  await bench.publish();
  bench.http.requests.length = 0;
  expect(await bench.note('~ip', '1')).toBeUndefined();
  expect(await bench.take(bench.map.mint('bob.os', ALICE))).toBeUndefined();
  const forged = bench.map.note(APP, METADATA_URI, '0x');
  forged['topics'] = (forged['topics'] as string[]).with(1, namehash('bob.os'));
  expect(await bench.take(forged)).toBeUndefined();
  const { topics } = listingFilter(bench.listings.all()[0]!.account);
  const wanted = topics?.[3] as readonly string[];
  const sent = bench.map.note(APP, METADATA_HASH, '0x')['topics'] as string[];
  expect([wanted.length, wanted.includes(sent[3]!)]).toEqual([2, true]);
});

test('logs may come twice, late, and be taken back: what counts is what the chain says now', async () => {
  const bench = await Bench.start();
  await bench.publish();
  const late = bench.map.logs.at(-1);
  expect(await bench.take(late)).toEqual({ kind: 'unchanged', listing: LISTED });
  expect(bench.http.requests).toHaveLength(1);
  bench.map.note(APP, METADATA_HASH, '0x');
  bench.map.note(APP, METADATA_URI, '0x');
  expect(await bench.take({ ...late, removed: true })).toEqual({ kind: 'withdrawn', name: APP });
});

test('looks at once at one name take turns, and those that wait share one', async () => {
  const bench = await Bench.start();
  bench.map.note(APP, METADATA_HASH, textToHex(keccak(METADATA)));
  bench.map.note(APP, METADATA_URI, textToHex(URI));
  const looks = await bench.within(() =>
    Promise.all([1, 2, 3].map(() => bench.listings.look(APP))),
  );
  expect(looks.map(({ kind }) => kind)).toEqual(['listed', 'unchanged', 'unchanged']);
  // Three reads for each look that was made.
  expect(bench.fake.log).toHaveLength(6);
});

const deep = '['.repeat(5_000);
test.each<[string, string, { uri?: Hex; hash?: Hex; answer?: ServerAnswer }]>([
  ['incomplete', 'no URI', { uri: '0x' }],
  ['bad-note', 'not UTF-8', { uri: '0xff' }],
  ['bad-note', 'another scheme', { uri: textToHex('file:///etc/passwd') }],
  ['bad-note', 'lines', { uri: textToHex(`${URI}\r\nHost: x`) }],
  ['bad-note', 'too long', { uri: textToHex(`https://a/${'x'.repeat(URI_CHARS_MAX)}`) }],
  ['bad-note', 'the hash in bytes', { hash: keccak(METADATA) as Hex }],
  ['bad-note', 'the hash in capitals', { hash: textToHex(keccak(METADATA).toUpperCase()) }],
  ['unreachable', 'not found', { answer: { status: 404, body: METADATA } }],
  ['too-large', 'too large', { answer: { body: ' '.repeat(METADATA_BYTES_MAX + 1) } }],
  ['malformed', 'no JSON', { answer: { body: 'hello' } }],
  ['malformed', 'deep', { answer: { body: deep } }],
  ['malformed', 'no versions', { answer: { body: metadata('1', { code_hashes: [] }) } }],
])('HM27 bad input is rejected, with a reason: %s (%s)', async (reason, _, given) => {
  const bench = await Bench.start();
  if (given.answer !== undefined) bench.served.set(URI, given.answer);
  const body = String(given.answer?.body ?? METADATA);
  bench.map.note(APP, METADATA_HASH, given.hash ?? textToHex(keccak(body)));
  const log = bench.map.note(APP, METADATA_URI, given.uri ?? textToHex(URI));
  expect(await bench.take(log)).toMatchObject({ kind: 'rejected', name: APP, reason });
  expect(bench.listings.all()).toEqual([]);
});

test('a server that does not answer is waited for as long as a fetch is, and then the look is over', async () => {
  const bench = await Bench.start();
  bench.served.clear();
  bench.map.note(APP, METADATA_HASH, textToHex(keccak(METADATA)));
  const log = logOf(bench.map.note(APP, METADATA_URI, textToHex(URI)));
  const looked = bench.listings.take(log);
  await bench.running.run();
  bench.running.host.advance(30);
  await bench.running.run();
  expect(await looked).toMatchObject({ reason: 'unreachable' });
});

test('HM27 the publisher is the rest of the name, and a name without one publishes nothing', async () => {
  const bench = await Bench.start();
  for (const [name, publisher] of [
    ['baz.bar.alice.os', 'bar.alice.os'],
    ['bare', undefined],
  ] as const) {
    bench.names.set(namehash(name), name);
    bench.map.mint(name, ALICE);
    bench.map.note(name, METADATA_HASH, textToHex(keccak(METADATA)));
    const looked = await bench.note(METADATA_URI, URI, name);
    if (publisher === undefined) expect(looked).toMatchObject({ reason: 'no-package' });
    else expect(looked).toMatchObject({ listing: { package: 'baz', publisher } });
  }
});

test('when as many are listed as may be, one more is not, and those that are can still change', async () => {
  const bench = await Bench.start({ listingsMax: 2 });
  await bench.publish();
  const looked: Looked[] = [];
  for (const name of ['second.alice.os', 'third.alice.os']) {
    bench.map.note(name, METADATA_HASH, textToHex(LISTED.hash));
    bench.map.note(name, METADATA_URI, textToHex(URI));
    looked.push(await bench.within(() => bench.listings.look(name)));
  }
  expect(looked).toMatchObject([
    { kind: 'listed' },
    { kind: 'rejected', reason: 'full', why: '2 packages are listed' },
  ]);
  bench.served.set(URI, { body: metadata('2.0.0') });
  expect(await bench.publish(metadata('2.0.0'))).toMatchObject({ kind: 'listed' });
  expect(bench.listings.all()).toHaveLength(2);
});
