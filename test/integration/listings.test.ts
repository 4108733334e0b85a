/** Packages are published on the embedded chain and listed by a guest: eth, the indexer and the http-client are the real ones. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HYPERMAP, HYPER_ACCOUNT, MULTICALL3 } from '../../contracts/addresses.ts';
import { encodeMint, encodeNotes } from '../../contracts/calls.ts';
import { type Chain, startChain } from '../../contracts/chain/chain.ts';
import { accountOf } from '../../contracts/chain/genesis.ts';
import { personas } from '../../contracts/chain/personas.ts';
import { textToHex, toHex } from '../../contracts/hex.ts';
import { systemClock } from '../../kernel/clock.ts';
import { buildComponent } from '../../kit/build/component.ts';
import type { Listing } from '../../processes/lib/listings.ts';
import { httpClient } from '../../runtime-modules/http-client/index.ts';
import { connectorOf } from '../../runtime-modules/shared/outbound/testing.ts';
import { processId } from '../../wit/address.ts';
import { keccak256 } from '../../wit/keccak.ts';
import { IndexerNode } from '../support/indexer-node.ts';

const GUEST = fileURLToPath(new URL('../guests/listings.ts', import.meta.url));
const STORE = 'store:test:sys';
const where = { hypermap: HYPERMAP, multicall: MULTICALL3 };
const { address: who } = personas.alice;
const WAIT = { timeout: 60_000, interval: 200 };

let chain: Chain;
let indexer: IndexerNode;
let server: Server;
let uri: string;
let served = '';
beforeAll(async () => {
  server = createServer((_, response) => response.end(served)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  uri = `http://127.0.0.1:${(server.address() as AddressInfo).port}/metadata.json`;
  chain = await startChain();
  indexer = await IndexerNode.start({ providers: [{ url: chain.webSocketUrl, trusted: true }] });
  const { kernel } = indexer.node;
  kernel.registerModule(
    httpClient()({
      port: kernel.port('http-client'),
      clock: systemClock,
      connector: connectorOf({}, systemClock),
    }),
  );
}, 120_000);
afterAll(async () => {
  await indexer?.[Symbol.asyncDispose]();
  await chain?.close();
  server?.close();
});

async function startStore(): Promise<void> {
  const capabilities = ['eth:distro:sys', 'http-client:distro:sys', 'hns-indexer:hns-indexer:sys'];
  await indexer.node.start(STORE, await buildComponent(GUEST), {
    capabilities: capabilities.map((process) => ({
      issuer: { node: 'test.os', process: processId(process) },
      params: '"messaging"',
    })),
  });
}

async function ask<T>(what: string): Promise<T> {
  return JSON.parse((await indexer.node.ask(STORE, JSON.stringify([what]))).text) as T;
}
const all = (): Promise<Listing[]> => ask('all');

function metadata(version: string): string {
  const properties = {
    package_name: 'app',
    publisher: 'publisher.os',
    current_version: version,
    mirrors: ['publisher.os'],
    code_hashes: { [version]: 'ab'.repeat(32) },
  };
  return JSON.stringify({ name: 'app', properties });
}

const keccak = (text: string): string => toHex(keccak256(new TextEncoder().encode(text)));

async function mint(zone: string, label: string): Promise<void> {
  const data = encodeMint({ who, label, initialization: '0x', implementation: HYPER_ACCOUNT });
  await chain.rpc.send({ from: who, to: accountOf(zone), data });
}

/** As `kit publish` does: the hash and then the URI, in one transaction of the package's account. */
async function publish(hash: string, at: string): Promise<void> {
  const notes = [
    { label: '~metadata-hash', data: textToHex(hash) },
    { label: '~metadata-uri', data: textToHex(at) },
  ];
  await chain.rpc.send({ from: who, to: accountOf('app.os'), data: encodeNotes(where, notes) });
}

test('HM27 a package appears when its URI has what the hash says, a mismatch is rejected, and emptied notes take it back', async () => {
  await mint('os', 'app');
  served = metadata('1.0.0');
  await publish(keccak(served), uri);
  await startStore();
  // Published before the guest was there.
  await expect.poll(all, WAIT).toMatchObject([{ package: 'app', publisher: 'os', uri }]);
  const [listing] = await all();
  expect(listing).toEqual({
    package: 'app',
    publisher: 'os',
    account: accountOf('app.os').toLowerCase(),
    uri,
    hash: keccak(served),
  });

  // A hash of something else: what is listed stays.
  await publish(keccak('something else'), uri);
  await expect.poll(() => ask<string[]>('looked'), WAIT).toContain('wrong-hash');
  expect(await all()).toEqual([listing]);

  // The next version.
  served = metadata('2.0.0');
  await publish(keccak(served), uri);
  await expect.poll(all, WAIT).toEqual([{ ...listing, hash: keccak(served) }]);

  await publish('', '');
  await expect.poll(all, WAIT).toEqual([]);
}, 180_000);
