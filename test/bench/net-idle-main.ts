/** `net.idle`, in a process of its own: memory of a node with so many connected peers, which live in another process. Prints JSON. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { NetNode, publicHex, testKey } from '../../runtime-modules/net/testing/nodes.ts';
import { connectPeers } from './net-idle-peers.ts';
import { settle } from './child.ts';

const peers = Number(process.argv[2]);
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
const used = (of: NodeJS.MemoryUsage): number => of.heapUsed + of.external;
process.stdout.write(JSON.stringify({ bytes: Math.max(used(after) - used(before), 0) }));
child.kill();
for (const socket of warm) socket.destroy();
process.exit(0);
