/** `net.throughput`: blobs of a MiB, and the CPU that each part of carrying one takes. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { remoteRequest } from '../../kernel/testing.ts';
import { CHUNK_BYTES_MAX } from '../../runtime-modules/net/limits.ts';
import { CipherState } from '../../runtime-modules/net/noise.ts';
import { release, releaseAround } from '../../runtime-modules/net/release.ts';
import { decodeMessage, encodeMessage, encodePieces } from '../../runtime-modules/net/wire.ts';
import { alternate, median, timed } from './measure.ts';
import { BLOB_BYTES, blobs, Far, Near } from './net-ends.ts';
import { FloorClient, floorServer } from './net-floor.ts';
import { Libp2p } from './net-libp2p.ts';
import { count, type Row, type Scale } from './row.ts';

/** 0.8 of the throughput of a bare Noise loop; 1.2 of libp2p's, and 0.55 of it with the encoding of the reference. */
const NOISE_RATIO_MAX = 1 / 0.8;
const LIBP2P_RATIO_MAX = { hl: 1 / 1.2, reference: 1 / 0.55 } as const;

export async function throughput(scale: Scale): Promise<readonly Row[]> {
  const times = count(200, scale, 2);
  const blob = randomBytes(BLOB_BYTES);
  const rows: Row[] = [];
  using floorFar = await Far.start('noise');
  using client = await FloorClient.open('noise', floorFar.port);
  using libp2p = await Libp2p.start(scale);
  for (const wire of ['hl', 'reference'] as const) {
    const spoken = wire === 'hl' ? 'hl/1' : wire;
    using far = await Far.start('node', 'bob.os', spoken);
    await using near = await Near.start(spoken, far.port);
    const beside = async (name: string, note: string, floor: () => Promise<number>) => {
      const pair = await alternate(
        scale.runs,
        async () => (await blobs(near, blob, times)) / times,
        async () => (await floor()) / times,
      );
      const row = { name: `net.throughput.${name}`, value: pair.ours, unit: 'ms' } as const;
      rows.push({ ...row, floor: pair.floor, target: undefined, runs: scale.runs, note });
    };
    await beside(wire, 'a MiB, random; floor: bare Noise loop', () =>
      timed(() => client.blobs(blob, times)),
    );
    if (libp2p !== undefined)
      await beside(
        `${wire}-libp2p`,
        'the same; floor: js-libp2p, Noise and yamux',
        async () => (await libp2p.take('blobs', times))[0] ?? 0,
      );
  }
  const targets: Readonly<Record<string, number>> = {
    'net.throughput.hl': NOISE_RATIO_MAX,
    'net.throughput.hl-libp2p': LIBP2P_RATIO_MAX.hl,
    'net.throughput.reference-libp2p': LIBP2P_RATIO_MAX.reference,
  };
  const judged = rows.map((row): Row => {
    const max = targets[row.name];
    return max === undefined ? row : { ...row, target: { of: 'ratio', max } };
  });
  return [...judged, ...(await parts(scale, blob, times))];
}

/** CPU of this process for a blob, in ms: both ends of one part, and what collects their garbage. */
async function parts(scale: Scale, blob: Uint8Array, times: number): Promise<readonly Row[]> {
  const row = async (name: string, note: string, work: () => unknown): Promise<Row> => {
    await work();
    const taken: number[] = [];
    for (let run = 0; run < scale.runs; run++) {
      const before = process.cpuUsage();
      await work();
      const { user, system } = process.cpuUsage(before);
      taken.push((user + system) / 1000 / times);
    }
    const figures = { value: median(taken), unit: 'ms', floor: undefined, target: undefined };
    return { name: `net.throughput.cpu.${name}`, ...figures, runs: scale.runs, note } as Row;
  };
  const message = remoteRequest(
    'alice.os@a:b:c',
    'bob.os@a:b:c',
    {},
    {
      blob: { mime: undefined, bytes: blob },
    },
  );
  const often = (work: () => void) => (): void => {
    for (let time = 0; time < times; time++) work();
  };
  const codec = (bin: boolean): (() => void) => {
    const encoded = encodeMessage(message, { bin });
    return often(() => {
      releaseAround(encodePieces(message, { bin })[0]);
      decodeMessage(encoded);
    });
  };
  const server = floorServer('tcp').listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  try {
    using client = await FloorClient.open('tcp', port);
    return [
      await row('codec-hl', 'CPU a MiB: written and read as `bin`', codec(true)),
      await row('codec-reference', 'CPU a MiB: written and read as integers', codec(false)),
      await row('cipher', 'CPU a MiB: sealed and opened, in chunks', often(cipher(blob))),
      await row('socket', 'CPU a MiB: through plain TCP, both ends', () =>
        client.blobs(blob, times),
      ),
    ];
  } finally {
    server.close();
  }
}

/** As a link does it: sealed from where the blob is, opened from where the socket has put it, and all memory given back. */
function cipher(blob: Uint8Array): () => void {
  const state = (): CipherState => new CipherState(Buffer.alloc(32, 7));
  const cut = (): Uint8Array[] => {
    const chunks: Uint8Array[] = [];
    for (let at = 0; at < blob.length; at += CHUNK_BYTES_MAX)
      chunks.push(blob.subarray(at, at + CHUNK_BYTES_MAX));
    return chunks;
  };
  const first = state();
  const chunks = cut().map((plain) => ({ plain, sealed: first.seal(plain) }));
  return () => {
    const [out, back] = [state(), state()];
    for (const { plain, sealed } of chunks) {
      for (const piece of out.sealPieces([plain])) release(piece);
      const opened = back.open(sealed);
      if (opened === undefined) throw new Error('what was sealed does not open');
      release(opened);
    }
  };
}
