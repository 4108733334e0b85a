/** Answers that are a file of vfs (findings F46): whole, in one range, not at all, and nobody else's. */
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { vfs } from '../../vfs/index.ts';
import { processId } from '../../../wit/address.ts';
import type { FileSource, FileStreams } from '../../shared/file-streams.ts';
import { TestPort } from '../../shared/testing.ts';
import { bind, WebNode } from '../testing.ts';

const APP = 'app:pkg:me.os';
const CONTENT = Buffer.from(Array.from({ length: 2_000_000 }, (_, at) => at % 251));

let root: string;
let web: WebNode;
let path: string;
let files: ReturnType<ReturnType<typeof vfs>>;
/** Bytes that were read of files. */
let sent: number;

function counting(streams: FileStreams): FileStreams {
  return {
    ...streams,
    source: (asker, at) => {
      const found = streams.source(asker, at);
      if (!found.ok) return found;
      const open = async (): Promise<FileSource> => {
        const file = await found.value();
        return {
          size: file.size,
          close: () => file.close(),
          read: async (from, into) => {
            const got = await file.read(from, into);
            sent += got;
            return got;
          },
        };
      };
      return { ok: true, value: open };
    },
  };
}

async function put(content: Uint8Array): Promise<void> {
  const asker = {
    source: { node: 'x', process: processId(APP) },
    caller: { exists: true, holds: () => false, heldFrom: () => [] },
  };
  const found = files.streams.sink(asker, path, content.length);
  if (!found.ok) throw new Error(found.error);
  const sink = await found.value();
  await sink.write([content]);
  await sink.commit();
}
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'file-answer-'));
  files = vfs({ root })({ port: new TestPort('vfs') });
  await mkdir(join(root, 'pkg:me.os', 'd'), { recursive: true });
  path = '/pkg:me.os/d/file';
  await put(CONTENT);
  sent = 0;
  web = await WebNode.start({}, { files: () => counting(files.streams) });
  await web.app(APP, [bind('/')], () => {
    const headers = { 'content-type': 'text/x', etag: '"tag"', 'x-hyperware-file': path };
    return { body: JSON.stringify({ status: 200, headers }) };
  });
});
afterEach(async () => {
  await web[Symbol.asyncDispose]();
  await files[Symbol.asyncDispose]();
  await rm(root, { recursive: true, force: true });
});

interface Got {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
}

async function get(headers: Record<string, string> = {}, method = 'GET'): Promise<Got> {
  const response = await fetch(`http://127.0.0.1:${web.port}/${APP}`, { headers, method });
  return {
    status: response.status,
    headers: response.headers,
    body: Buffer.from(await response.arrayBuffer()),
  };
}

test('F46 a file is sent whole, byte for byte, and its place is nobody’s business', async () => {
  const { status, headers, body } = await get();
  expect(status).toBe(200);
  expect(body.equals(CONTENT)).toBe(true);
  expect(headers.get('content-length')).toBe(String(CONTENT.length));
  expect(headers.get('content-type')).toBe('text/x');
  expect(headers.get('accept-ranges')).toBe('bytes');
  expect(headers.has('x-hyperware-file')).toBe(false);
  const head = await get({}, 'HEAD');
  expect([head.status, head.headers.get('content-length'), head.body.length]).toEqual([
    200,
    String(CONTENT.length),
    0,
  ]);
});

test('F46 one range is sent, and what the client has is not', async () => {
  for (const [range, from, to] of [
    ['bytes=0-0', 0, 0],
    ['bytes=1000000-', 1_000_000, CONTENT.length - 1],
    ['bytes=-5', CONTENT.length - 5, CONTENT.length - 1],
  ] as const) {
    const { status, headers, body } = await get({ range });
    expect([status, headers.get('content-range')]).toEqual([
      206,
      `bytes ${from}-${to}/${CONTENT.length}`,
    ]);
    expect(body.equals(CONTENT.subarray(from, to + 1))).toBe(true);
  }
  expect((await get({ range: `bytes=${CONTENT.length}-` })).status).toBe(416);
  expect((await get({ range: 'bytes=0-1,3-4' })).status).toBe(200);
  expect((await get({ range: 'bytes=0-1', 'if-range': '"other"' })).status).toBe(200);
  expect((await get({ range: 'bytes=0-1', 'if-range': '"tag"' })).status).toBe(206);
  expect((await get({ 'if-none-match': '"tag"' })).status).toBe(304);
});

test('CM18 F46 of a file no more is read than its reader takes', async () => {
  const large = new Uint8Array(64 * 1024 * 1024);
  await put(large);
  const socket = await web.connect();
  socket.pause();
  socket.write(`GET /${APP} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  // Until no more is read.
  for (let before = -1; before < sent || sent === 0;) {
    before = sent;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect(sent).toBeLessThan(large.length / 2);
  let bytes = 0;
  socket.on('data', (chunk) => (bytes += chunk.length));
  socket.resume();
  while (bytes < large.length) await once(socket, 'data');
  expect(sent).toBe(large.length);
  socket.destroy();
});

test('F46 a file of another package, one that is not there and what is no path are not answered with', async () => {
  for (const [wrong, status] of [
    ['/other:me.os/d/file', 500],
    ['/pkg:me.os/../other:me.os/d/file', 500],
    ['nonsense', 500],
    ['/pkg:me.os/d/none', 404],
  ] as const) {
    path = wrong;
    const got = await get();
    expect([wrong, got.status, got.body.length]).toEqual([wrong, status, 0]);
  }
});
