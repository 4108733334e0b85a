// node extension.mjs ws://127.0.0.1:8080/gpu:my-package:me.os      (npm install @msgpack/msgpack)
import { decode, encode } from '@msgpack/msgpack';

const wide = { useBigInt64: true }; // ids may be larger than 2^53
const work = (bytes) => Uint8Array.from(bytes).toReversed(); // yours

function connect(delayMs = 500) {
  const socket = new WebSocket(process.argv[2]);
  socket.binaryType = 'arraybuffer';
  socket.addEventListener('open', () => (delayMs = 500));
  socket.addEventListener('message', ({ data }) => {
    const { id, hyperware_message_type, blob } = decode(data, wide).WebSocketExtPushData;
    const answer = { id, hyperware_message_type, blob: work(blob) };
    socket.send(encode({ WebSocketExtPushData: answer }, wide));
  });
  // The node restarted, or the process did: the next channel is a new one, and what was asked on this one is void.
  const again = () => connect(Math.min(2 * delayMs, 30_000));
  socket.addEventListener('close', () => setTimeout(again, delayMs));
}

connect();
