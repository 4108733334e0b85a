/**
 * Nodes over cables that are slow, narrow, stalled and reset (findings F27): nothing is lost without its sender's knowing, nothing comes twice, and
 * what was broken works again. The cables are our own; those of the kernel (`tc netem`) are tried where it has them.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { GuestCode } from '../../kernel/testing.ts';
import {
  acquainted,
  type NetNode,
  type NetNodeOptions,
} from '../../runtime-modules/net/testing/nodes.ts';
import { processId } from '../../wit/address.ts';
import { Cable, type CableQuality } from '../support/cable.ts';
import { ChatHost } from '../support/chat-host.ts';
import { namespaceHosts } from '../support/hosts.ts';
import { whyNoNetem } from '../support/namespaces.ts';

const ECHO = processId('echo:echo:sys');
const TEST_MS_MAX = 120_000;
const KINDS = ['tcp', 'ws'] as const;

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'hyperloom-bad-network-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

interface Pair extends AsyncDisposable {
  readonly alice: NetNode;
  readonly bob: NetNode;
  readonly cable: Cable;
  /** Bodies in the order in which bob's process got them. */
  readonly heard: string[];
}

/** Alice reaches bob, who answers with what he hears, through a cable; he does not dial her. */
async function joined(
  kind: (typeof KINDS)[number],
  quality: CableQuality,
  options: Partial<NetNodeOptions> = {},
): Promise<Pair> {
  const [alice, bob] = await acquainted(
    { name: 'alice.os', listen: [], ...options },
    { name: 'bob.os', listen: [kind], ...options },
  );
  const cable = await Cable.to(bob!.update.ports.get(kind)!, quality);
  alice!.module.net.update({ ...bob!.update, ports: new Map([[kind, cable.port]]) });
  const heard: string[] = [];
  const echo: GuestCode = async (guest) => {
    for (;;) {
      const { request } = await guest.request();
      heard.push(Buffer.from(request.body).toString().slice(0, 40));
      await guest.respond(request.body.slice(0, 40));
    }
  };
  await bob!.node.start(ECHO, echo, { holds: [bob!.node.network()], public: true });
  return {
    alice: alice!,
    bob: bob!,
    cable,
    heard,
    async [Symbol.asyncDispose]() {
      await cable[Symbol.asyncDispose]();
      await alice![Symbol.asyncDispose]();
      await bob![Symbol.asyncDispose]();
    },
  };
}

const numbers = (from: number, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${from + index}`);

let askers = 0;
/** A process of alice asks bob's: the body of the answer, or the kind of the send error. Awaiting the kernel's own deadline, it ends once. */
async function asks({ alice }: Pair, body: string | Uint8Array, seconds: number): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const asker: GuestCode = async (guest) => {
    const request = { body: Buffer.from(body), expectsResponse: seconds };
    const answer = await guest.sendAndAwait(`bob.os@${ECHO}`, request);
    if (!answer.ok) return resolve(answer.error.kind);
    const { message } = answer.value;
    resolve(message.kind === 'response' ? Buffer.from(message.response.body).toString() : '?');
  };
  await alice.node.start(`asker-${askers++}:test:sys`, asker, { holds: [alice.node.network()] });
  return promise;
}

test.concurrent.each(KINDS)(
  'F27 %s: over a slow and narrow cable all arrives, in order',
  async (kind) => {
    await using pair = await joined(kind, { delayMs: 60, bytesPerS: 2_000_000 });
    const { alice, heard } = pair;
    const long = Buffer.alloc(1_000_000, 'long');
    const answers = ['first', long, ...numbers(0, 50)].map((body) =>
      alice.ask('bob.os', body, ECHO),
    );
    expect((await Promise.all(answers)).slice(2)).toEqual(numbers(0, 50));
    expect(heard).toEqual(['first', long.subarray(0, 40).toString(), ...numbers(0, 50)]);
  },
  TEST_MS_MAX,
);

test.concurrent.each(['hl/1', 'reference'] as const)(
  'F27 F28 %s: into a stall a request ends by its deadline, and others go through when it is over',
  async (wire) => {
    await using pair = await joined('tcp', {}, { wire });
    const { cable, heard } = pair;
    expect(await asks(pair, 'before', 10)).toBe('before');
    cable.cut();
    expect(await asks(pair, 'into it', 3)).toMatch(/^(timeout|offline)$/);
    expect(heard).toEqual(['before']);
    cable.heal();
    while ((await asks(pair, 'after', 5)) !== 'after');
    // Whether or not it arrived after all: not twice.
    expect(heard.filter((body) => body === 'into it').length).toBeLessThanOrEqual(1);
  },
  TEST_MS_MAX,
);

test.concurrent(
  'F27 F28 resets in the middle of traffic: each request ends, none is heard twice, those after go through',
  async () => {
    await using pair = await joined('tcp', { delayMs: 2 });
    const { alice, bob, cable, heard } = pair;
    const outcomes: string[] = [];
    for (let round = 0; round < 6; round++) {
      const asked = numbers(round * 100, 20).map((body) => asks(pair, body, 2));
      if (round % 2 === 1) setTimeout(() => cable.reset(), 3);
      outcomes.push(...(await Promise.all(asked)));
    }
    expect(outcomes.length).toBe(120);
    expect(new Set(heard).size).toBe(heard.length);
    const answered = outcomes.filter((each) => /^\d+$/.test(each));
    expect(answered.length).toBeGreaterThanOrEqual(60);
    expect(answered.filter((each) => !heard.includes(each))).toEqual([]);
    const ended = outcomes.filter((each) => !/^(\d+|timeout|offline)$/.test(each));
    expect(ended).toEqual([]);
    while ((await asks(pair, 'last', 5)) !== 'last');
    expect(alice.module.net.refusals.lines().join()).toMatch(/ECONNRESET|EPIPE|closed/);
    expect(bob.module.net.links.all().length).toBeLessThanOrEqual(1);
  },
  TEST_MS_MAX,
);

const reason = whyNoNetem();
test.skipIf(reason !== undefined)(
  `F27 nodes chat over cables with delay and loss of the kernel's own${reason === undefined ? '' : ` (skipped: ${reason})`}`,
  async () => {
    await using hosts = await namespaceHosts(2, 'delay 50ms 20ms loss 5%');
    await using a = new ChatHost(hosts, 0, root);
    await using b = new ChatHost(hosts, 1, root);
    for (const text of numbers(0, 10)) a.post(1, text);
    await a.until(1, '9', 'Delivered');
    await b.until(0, '9', 'Received');
    expect(b.with(0).map(({ content }) => content)).toEqual(numbers(0, 10));
  },
  TEST_MS_MAX,
);
