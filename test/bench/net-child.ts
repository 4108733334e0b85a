/**
 * The other end of a network bench, in a process of its own: `tcp`, `noise` (floors), `proxy PORT`, `node NAME WIRE`, `native NAME`, whose
 * guest is a component, or `router PORT`, which knows bob.os at that port. Prints its port, then lives until its input ends.
 */
import { connect, createServer, type Server } from 'node:net';
import { once } from 'node:events';
import { NetNode, publicHex, testKey } from '../../runtime-modules/net/testing/nodes.ts';
import { floorServer } from './net-floor.ts';
import { nativeEcho } from './net-native.ts';

const [mode = '', argument = '', wire = ''] = process.argv.slice(2);
process.stdout.write(`${await start()}\n`);
process.stdin.resume().on('end', () => process.exit(0));

function start(): Promise<number> {
  switch (mode) {
    case 'tcp':
    case 'noise':
      return portOf(floorServer(mode));
    case 'proxy':
      return portOf(
        createServer({ noDelay: true }, (socket) => {
          const other = connect({ host: '127.0.0.1', port: Number(argument), noDelay: true });
          socket.pipe(other).pipe(socket);
          for (const end of [socket, other]) end.on('error', () => undefined);
        }),
      );
    case 'native':
      return native(argument);
    case 'router':
      return router(Number(argument));
    default:
      return node(argument, wire === 'reference' ? 'reference' : 'hl/1');
  }
}

async function portOf(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Answers 64 bytes with the same, and the last of many blobs. */
async function node(name: string, spoken: 'reference' | 'hl/1'): Promise<number> {
  const made = await NetNode.start({ name, wire: spoken, peersMax: 2_000 });
  made.module.net.update(stranger('alice.os'));
  made.module.net.update(stranger('router.os'));
  await made.node.start(
    'echo:bench:sys',
    async (guest) => {
      for (;;) {
        const delivery = await guest.receive();
        if (delivery.kind !== 'message' || delivery.message.kind !== 'request') continue;
        const { request } = delivery.message;
        if (request.expectsResponse !== undefined) await guest.respond(request.body);
      }
    },
    { holds: [made.node.network()] },
  );
  return made.update.ports.get('tcp') ?? 0;
}

async function native(name: string): Promise<number> {
  const made = await nativeEcho(name);
  made.module.net.update(stranger('alice.os'));
  return made.update.ports.get('tcp') ?? 0;
}

async function router(bobPort: number): Promise<number> {
  const made = await NetNode.start({ name: 'router.os', passthroughsMax: 4 });
  made.module.net.update(stranger('alice.os'));
  const ports = new Map([['tcp', bobPort]]);
  made.module.net.update({ ...stranger('bob.os'), ips: ['127.0.0.1'], ports });
  return made.update.ports.get('tcp') ?? 0;
}

/** A node with a key and no address. */
function stranger(name: string) {
  const public_key = publicHex(testKey(name));
  return { name, public_key, ips: [] as string[], ports: new Map<string, number>(), routers: [] };
}
