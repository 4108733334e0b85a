/** The floor of `compute.artifacts`: a plain WebSocket server that lets go of what it gets, and plain node:http that sends as much. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';

const CHUNK_BYTES = 256 * 1024;
const [role = '', target = ''] = process.argv.slice(2);

if (role === 'sender') {
  // Sends what it is told to, masked with zeros as the extension does.
  process.on('message', (bytes: number) => {
    const socket = new WebSocket(target, { generateMask: (mask: Buffer) => void mask.fill(0) });
    socket.on('open', () => {
      let left = bytes;
      const next = (): void => {
        if (left <= 0) return socket.close();
        const chunk = Buffer.alloc(Math.min(CHUNK_BYTES, left));
        left -= chunk.length;
        return socket.send(chunk, next);
      };
      next();
    });
  });
  process.send?.({});
} else {
  const server = createServer((request, response) => {
    let left = Number(request.headers['x-bytes']);
    response.writeHead(200, { 'content-length': left });
    const next = (): void => {
      while (left > 0) {
        const chunk = Buffer.alloc(Math.min(CHUNK_BYTES, left));
        left -= chunk.length;
        if (!response.write(chunk)) return void response.once('drain', next);
      }
      response.end();
      return undefined;
    };
    next();
  });
  const sockets = new WebSocketServer({ server, perMessageDeflate: false });
  sockets.on('connection', (socket) => {
    socket.on('message', () => undefined);
    socket.on('close', () => process.send?.({ received: true }));
  });
  server.listen(0, '127.0.0.1', () => {
    process.send?.({ port: (server.address() as AddressInfo).port });
  });
}
