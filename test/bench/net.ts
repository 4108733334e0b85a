/**
 * `net.*`: nodes on loopback, the far ends in processes of their own (issue of networking; findings section 6). Round trips are
 * those of components; where MiB are sent guests are functions: what is measured is the kernel, the codec, the cipher and the socket. js-libp2p, the peer that findings name, is set beside it in the
 * same run (`libp2p/`).
 */
import { randomBytes } from 'node:crypto';
import { PING_MS } from '../../runtime-modules/net/limits.ts';
import { inChild } from './child.ts';
import { alternate } from './measure.ts';
import { BLOB_BYTES, blobs, Far, Near } from './net-ends.ts';
import { handshake } from './net-handshake.ts';
import { roundtrip } from './net-roundtrip.ts';
import { throughput } from './net-throughput.ts';
import { count, type Bench, type Row, type Scale } from './row.ts';

/** 0.85 of the throughput of the floor. */
const ROUTER_RATIO_MAX = 1.18;
const IDLE_MIB_MAX = 30;
const IDLE_PEERS = 1_000;
const IDLE_NAMES = 100_000;

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
