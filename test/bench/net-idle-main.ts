/**
 * `net.idle`, in a process of its own: memory and CPU of a node with so many connected peers, which live in another process, and memory of the
 * names alone. `PEERS NAMES WINDOW_MS`. Prints JSON.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { NetNode, publicHex, testKey } from '../../runtime-modules/net/testing/nodes.ts';
import { connectPeers } from './net-idle-peers.ts';
import { settle } from './child.ts';

const [peers = 0, names = 0, windowMs = 0] = process.argv.slice(2).map(Number);
const used = ({ heapUsed, external }: NodeJS.MemoryUsage): number => heapUsed + external;
const alice = await NetNode.start({ name: 'alice.os', peersMax: peers + 1 });
for (let index = 0; index < peers; index++) {
  const name = `n${index}.os`;
  const public_key = publicHex(testKey(name));
  alice.module.net.update({ name, public_key, ips: [], ports: new Map(), routers: [] });
}
const port = alice.update.ports.get('tcp') ?? 0;
// The first ones pay for what all share.
const warm = await connectPeers(port, alice.update.public_key, 0, 2);
while (alice.module.net.links.all().length < 2) await settle();
await settle();
const before = process.memoryUsage();
const file = fileURLToPath(new URL('net-idle-peers.ts', import.meta.url));
const child = fork(file, [String(port), alice.update.public_key, '2', String(peers)]);
while (alice.module.net.links.all().length < peers)
  await new Promise((resolve) => setTimeout(resolve, 20));
await settle();
const after = process.memoryUsage();
const cpuBefore = process.cpuUsage();
await new Promise((resolve) => setTimeout(resolve, windowMs));
const cpu = process.cpuUsage(cpuBefore);
await settle();
const beforeNames = process.memoryUsage();
for (let index = 0; index < names; index++)
  alice.module.net.update({
    name: `name-${index}.os`,
    public_key: `0x${index.toString(16).padStart(64, '0')}`,
    ips: index % 2 === 0 ? ['192.0.2.1'] : [],
    ports: new Map(index % 2 === 0 ? [['tcp', 9_000]] : []),
    routers: index % 2 === 0 ? [] : ['a.os', 'b.os', 'c.os'],
  });
await settle();
const afterNames = process.memoryUsage();
process.stdout.write(
  JSON.stringify({
    bytes: Math.max(used(after) - used(before), 0),
    cpuMs: (cpu.user + cpu.system) / 1_000,
    nameBytes: Math.max(used(afterNames) - used(beforeNames), 0),
  }),
);
child.kill();
for (const socket of warm) socket.destroy();
process.exit(0);
