/**
 * js-libp2p with Noise and yamux over TCP, one end of it in a process: `serve` prints where it listens; `dial ADDRESS` takes lines `trips N` and
 * `blobs N` and answers with the milliseconds of each trip, or of all blobs. One persistent stream of each kind. No TypeScript: what it imports is there only
 * after `npm ci` in this folder.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { noise } from '@chainsafe/libp2p-noise';
import { yamux } from '@chainsafe/libp2p-yamux';
import { tcp } from '@libp2p/tcp';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';

const ECHO = '/bench/echo/1';
const SINK = '/bench/sink/1';
const SMALL_BYTES = 64;
const BLOB_BYTES = 1_048_576;
const COUNT_BYTES = 4;

function node(listen) {
  return createLibp2p({
    addresses: { listen },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
  });
}

/** Sends back what comes. */
function echo(stream) {
  stream.addEventListener('message', ({ data }) => stream.send(data));
}

/** Takes a number of blobs and then the blobs, and answers the last one with a byte. */
function sink(stream) {
  let head = [];
  let left = 0;
  stream.addEventListener('message', ({ data }) => {
    let bytes = data.byteLength;
    while (bytes > 0) {
      if (left === 0) {
        const from = data.byteLength - bytes;
        const taken = data.subarray(from, from + COUNT_BYTES - head.length);
        head.push(...taken);
        bytes -= taken.byteLength;
        if (head.length < COUNT_BYTES) continue;
        left = Buffer.from(head).readUInt32BE(0) * BLOB_BYTES;
        head = [];
        continue;
      }
      const taken = Math.min(left, bytes);
      left -= taken;
      bytes -= taken;
      if (left === 0) stream.send(Uint8Array.of(1));
    }
  });
}

async function serve() {
  const served = await node(['/ip4/127.0.0.1/tcp/0']);
  await served.handle(ECHO, echo);
  await served.handle(SINK, sink);
  process.stdout.write(`${String(served.getMultiaddrs()[0])}\n`);
  process.stdin.resume().on('end', () => process.exit(0));
}

/** A promise of so many bytes. */
function taken(stream, bytes) {
  return new Promise((resolve) => {
    let left = bytes;
    const onMessage = ({ data }) => {
      left -= data.byteLength;
      if (left > 0) return;
      stream.removeEventListener('message', onMessage);
      resolve();
    };
    stream.addEventListener('message', onMessage);
  });
}

async function trips(stream, times) {
  const small = Buffer.alloc(SMALL_BYTES, 1);
  const took = [];
  for (let time = 0; time < times; time++) {
    const start = performance.now();
    const answer = taken(stream, SMALL_BYTES);
    stream.send(small);
    await answer;
    took.push(performance.now() - start);
  }
  return took;
}

async function blobs(stream, blob, times) {
  const start = performance.now();
  const answer = taken(stream, 1);
  const head = Buffer.alloc(COUNT_BYTES);
  head.writeUInt32BE(times);
  stream.send(head);
  for (let time = 0; time < times; time++) if (!stream.send(blob)) await once(stream, 'drain');
  await answer;
  return [performance.now() - start];
}

async function dial(address) {
  const dialled = await node([]);
  const echoing = await dialled.dialProtocol(multiaddr(address), ECHO);
  const sinking = await dialled.dialProtocol(multiaddr(address), SINK);
  const blob = randomBytes(BLOB_BYTES);
  process.stdout.write('ready\n');
  for await (const line of createInterface({ input: process.stdin })) {
    const [what, times] = line.split(' ');
    const took =
      what === 'trips' ? trips(echoing, Number(times)) : blobs(sinking, blob, Number(times));
    process.stdout.write(`${(await took).join(' ')}\n`);
  }
  process.exit(0);
}

const [mode, address] = process.argv.slice(2);
await (mode === 'serve' ? serve() : dial(address));
