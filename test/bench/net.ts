/**
 * `net.*`: nodes on loopback, the far ends in processes of their own (issue of networking; findings section 6). Guests are functions here, not
 * Wasm: what is measured is the kernel, the codec, the cipher and the socket. libp2p, the peer that findings name, is no dependency; the
 * figures beside it are therefore not printed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import {
  ALL_FEATURES,
  InitiatorHandshake,
  ResponderHandshake,
} from '../../runtime-modules/net/handshake.ts';
import { PING_MS } from '../../runtime-modules/net/limits.ts';
import { publicKeyOf } from '../../runtime-modules/net/pki.ts';
import { NetNode, publicHex, testKey } from '../../runtime-modules/net/testing/nodes.ts';
import type { GuestApi } from '../../kernel/testing.ts';
import { inChild } from './child.ts';
import { alternate, percentile, timed } from './measure.ts';
import { FloorClient, type FloorKind } from './net-floor.ts';
import { count, type Bench, type Row, type Scale } from './row.ts';

const BLOB_BYTES = 1_048_576;
const TCP_RATIO_MAX = 3.5;
const NOISE_RATIO_MAX = 1.6;
/** 0.8 of the throughput of the floor. */
const BLOB_RATIO_MAX = 1.25;
/** 0.85 of it. */
const ROUTER_RATIO_MAX = 1.18;
/** 500 a second. */
const HANDSHAKE_MS_MAX = 2;
const IDLE_MIB_MAX = 30;
const IDLE_PEERS = 1_000;
const IDLE_NAMES = 100_000;
const WAIT_S = 600;
const ECHO = 'echo:bench:sys';

/** The far end of a bench, until disposed of. */
class Far implements Disposable {
  readonly port: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
  }

  static async start(...args: readonly (string | number)[]): Promise<Far> {
    const file = fileURLToPath(new URL('net-child.ts', import.meta.url));
    const child = spawn(process.execPath, [file, ...args.map(String)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const port = await new Promise<number>((resolve, reject) => {
      child.stdout?.once('data', (line: Buffer) => resolve(Number(line.toString())));
      child.once('exit', () => reject(new Error(`${args.join(' ')} ended before it had a port`)));
    });
    return new Far(child, port);
  }

  [Symbol.dispose](): void {
    this.#child.stdin?.end();
    this.#child.kill();
  }
}

/** alice.os, who runs work in a guest and knows bob.os somewhere. */
class Near implements AsyncDisposable {
  readonly node: NetNode;
  #guests = 0;

  private constructor(node: NetNode) {
    this.node = node;
  }

  static async start(wire: 'reference' | 'hl/1', bob: number, router?: number): Promise<Near> {
    const node = await NetNode.start({ name: 'alice.os', wire });
    const at = (name: string, port: number | undefined, routers: string[] = []) => ({
      name,
      public_key: publicHex(testKey(name)),
      ips: port === undefined ? [] : ['127.0.0.1'],
      ports: new Map(port === undefined ? [] : [['tcp', port]]),
      routers,
    });
    if (router === undefined) node.module.net.update(at('bob.os', bob));
    else {
      node.module.net.update(at('router.os', router));
      node.module.net.update(at('bob.os', undefined, ['router.os']));
    }
    return new Near(node);
  }

  /** Milliseconds that `work` took inside a guest. */
  async timed(work: (guest: GuestApi) => Promise<void>): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    await this.node.node.start(
      `near-${this.#guests++}:bench:sys`,
      async (guest) => {
        try {
          // The connection is not what is measured.
          await trip(guest);
          resolve(await timed(() => work(guest)));
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      },
      { holds: [this.node.node.network()] },
    );
    return promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.node[Symbol.asyncDispose]();
  }
}

const SMALL = Buffer.alloc(64, 1);

async function trip(guest: GuestApi): Promise<void> {
  const answer = await guest.sendAndAwait(`bob.os@${ECHO}`, {
    body: SMALL,
    expectsResponse: WAIT_S,
  });
  if (!answer.ok) throw new Error(`bob.os did not answer: ${JSON.stringify(answer)}`);
}

function blobs(near: Near, blob: Uint8Array, times: number): Promise<number> {
  return near.timed(async (guest) => {
    for (let time = 0; time < times; time++)
      await guest.send(`bob.os@${ECHO}`, {}, { blob: { mime: undefined, bytes: blob } });
    await trip(guest);
  });
}

async function roundtrip(scale: Scale): Promise<readonly Row[]> {
  const trips = count(10_000, scale, 10);
  using far = await Far.start('node', 'bob.os');
  await using near = await Near.start('hl/1', far.port);
  const ours: number[] = [];
  const take = async (): Promise<number> => {
    const took = await near.timed(async (guest) => {
      for (let index = 0; index < trips; index++)
        ours.push((await timed(() => trip(guest))) * 1000);
    });
    return (took * 1000) / trips;
  };
  const rows: Row[] = [];
  for (const [kind, max] of [
    ['tcp', TCP_RATIO_MAX],
    ['noise', NOISE_RATIO_MAX],
  ] as const) {
    using floorFar = await Far.start(kind);
    using client = await FloorClient.open(kind, floorFar.port);
    const floor = async (): Promise<number> => {
      const took = await timed(async () => {
        for (let index = 0; index < trips; index++) await client.roundTrip(SMALL);
      });
      return (took * 1000) / trips;
    };
    ours.length = 0;
    const pair = await alternate(scale.runs, take, floor);
    rows.push({
      name: `net.roundtrip.${kind}`,
      value: pair.ours,
      unit: 'us',
      floor: pair.floor,
      target: { of: 'ratio', max },
      p50: percentile(ours, 0.5),
      p99: percentile(ours, 0.99),
      runs: scale.runs,
      note: kind === 'tcp' ? '64 B; floor: plain TCP echo' : '64 B; floor: bare Noise loop',
    });
  }
  return rows;
}

async function throughput(scale: Scale): Promise<readonly Row[]> {
  const times = count(200, scale, 2);
  const blob = randomBytes(BLOB_BYTES);
  const rows: Row[] = [];
  using floorFar = await Far.start('noise');
  using client = await FloorClient.open('noise' satisfies FloorKind, floorFar.port);
  for (const wire of ['hl/1', 'reference'] as const) {
    using far = await Far.start('node', 'bob.os', wire);
    await using near = await Near.start(wire, far.port);
    const cpu: number[] = [];
    const pair = await alternate(
      scale.runs,
      async () => {
        const before = process.cpuUsage();
        const took = await blobs(near, blob, times);
        const { user, system } = process.cpuUsage(before);
        cpu.push((user + system) / 1000 / times);
        return took / times;
      },
      async () => (await timed(() => client.blobs(blob, times))) / times,
    );
    rows.push({
      name: `net.throughput.${wire === 'hl/1' ? 'hl' : wire}`,
      value: pair.ours,
      unit: 'ms',
      floor: pair.floor,
      target: wire === 'hl/1' ? { of: 'ratio', max: BLOB_RATIO_MAX } : undefined,
      runs: scale.runs,
      note: `a MiB, random; sender ${percentile(cpu, 0.5).toFixed(2)} ms CPU; floor: bare Noise loop`,
    });
  }
  return rows;
}

async function handshake(scale: Scale): Promise<readonly Row[]> {
  const times = count(1_000, scale, 2);
  const us = (name: string) => ({ name, networkingKey: testKey(name), offered: ALL_FEATURES });
  const [alice, bob] = [us('alice.os'), us('bob.os')];
  const keyOf = (name: string) => publicKeyOf(publicHex(testKey(name)));
  const keys = new Map(['alice.os', 'bob.os'].map((name) => [name, keyOf(name)!]));
  const one = (): void => {
    const initiator = new InitiatorHandshake(
      alice,
      { name: 'bob.os', key: keys.get('bob.os')! },
      { proxyRequest: false },
    );
    const responder = new ResponderHandshake(bob, (name) => keys.get(name));
    const two = responder.receive(initiator.start());
    const three = two.ok ? initiator.receive(two.value.reply!) : two;
    const end = three.ok ? responder.receive(three.value.reply!) : three;
    if (!end.ok) throw new Error(end.error);
  };
  const took: number[] = [];
  for (let run = 0; run <= scale.runs; run++) {
    const ms = await timed(() => {
      for (let index = 0; index < times; index++) one();
    });
    if (run > 0) took.push(ms / times);
  }
  return [
    {
      name: 'net.handshake',
      value: percentile(took, 0.5),
      unit: 'ms',
      floor: undefined,
      target: { of: 'value', max: HANDSHAKE_MS_MAX },
      runs: scale.runs,
      note: 'both ends, keys, proofs and ciphers; without sockets',
    },
  ];
}

async function router(scale: Scale): Promise<readonly Row[]> {
  const times = count(200, scale, 2);
  const blob = randomBytes(BLOB_BYTES);
  using bob = await Far.start('node', 'bob.os', 'hl/1');
  using relay = await Far.start('router', bob.port);
  using proxy = await Far.start('proxy', bob.port);
  await using routed = await Near.start('hl/1', bob.port, relay.port);
  const ours = (): Promise<number> => blobs(routed, blob, times);
  // The same node, one name, two ways: one after the other, not both at once.
  const piped = await Near.start('hl/1', proxy.port);
  await using _piped = piped;
  const pair = await alternate(scale.runs, ours, () => blobs(piped, blob, times));
  return [
    {
      name: 'net.router',
      value: pair.ours / times,
      unit: 'ms',
      floor: pair.floor / times,
      target: { of: 'ratio', max: ROUTER_RATIO_MAX },
      runs: scale.runs,
      note: 'a MiB through a router; floor: the same nodes through socket.pipe',
    },
  ];
}

async function idle(scale: Scale): Promise<readonly Row[]> {
  const peers = count(IDLE_PEERS, scale, 5);
  const names = count(IDLE_NAMES, scale, 5);
  // Every link pings once in the window.
  const windowMs = scale.runs > 1 ? PING_MS + 2_000 : 100;
  const found = await inChild<{ bytes: number; cpuMs: number; nameBytes: number }>(
    'net-idle-main.ts',
    [peers, names, windowMs],
  );
  const row = { floor: undefined, target: undefined, runs: 1 };
  return [
    {
      ...row,
      name: 'net.idle',
      value: found.bytes / 1024 / 1024,
      unit: 'MiB',
      target: { of: 'value', max: IDLE_MIB_MAX },
      note: `${peers} connected peers, over the node without them`,
    },
    {
      ...row,
      name: 'net.idle.cpu',
      value: found.cpuMs / (windowMs / 60_000) / peers,
      unit: 'ms',
      note: 'CPU of a connected peer that says nothing, in a minute',
    },
    {
      ...row,
      name: 'net.idle.names',
      value: found.nameBytes / 1024 / 1024,
      unit: 'MiB',
      note: `${names} names with their keys and addresses`,
    },
  ];
}

export const nets: readonly Bench[] = [
  { name: 'net.roundtrip', run: roundtrip },
  { name: 'net.throughput', run: throughput },
  { name: 'net.handshake', run: handshake },
  { name: 'net.router', run: router },
  { name: 'net.idle', run: idle },
];
