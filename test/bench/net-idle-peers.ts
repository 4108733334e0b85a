/** Peers that shake hands with a node and then say nothing. */
import { ALL_FEATURES } from '../../runtime-modules/net/handshake.ts';
import { publicKeyOf } from '../../runtime-modules/net/pki.ts';
import { initiate } from '../../runtime-modules/net/session.ts';
import { tcpTransport } from '../../runtime-modules/net/tcp.ts';
import { testKey } from '../../runtime-modules/net/testing/nodes.ts';
import type { Connection } from '../../runtime-modules/net/transport.ts';

/** Connections of `n<from>.os` up to `n<to - 1>.os`, one after another. */
export async function connectPeers(
  port: number,
  key: string,
  from: number,
  to: number,
): Promise<Connection[]> {
  const connections: Connection[] = [];
  const { signal } = new AbortController();
  const publicKey = publicKeyOf(key);
  if (publicKey === undefined) throw new Error('no key');
  for (let index = from; index < to; index++) {
    const dialled = await tcpTransport().dial({ ip: '127.0.0.1', port }, signal);
    if (!dialled.ok) throw new Error(dialled.error);
    const name = `n${index}.os`;
    const us = { name, networkingKey: testKey(name), offered: ALL_FEATURES };
    const alice = { name: 'alice.os', key: publicKey };
    const done = await initiate(dialled.value, us, alice, {
      proxyRequest: false,
      signal,
      open: () => undefined,
    });
    if (!done.ok) throw new Error(done.error);
    connections.push(dialled.value);
  }
  return connections;
}

if (import.meta.main) {
  const [port = '', key = '', from = '', to = ''] = process.argv.slice(2);
  await connectPeers(Number(port), key, Number(from), Number(to));
  process.on('disconnect', () => process.exit(0));
}
