/** HTTP through the module, with real servers (runtime-modules.md §7.1). */
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Reply } from '../shared/testing.ts';
import { REDIRECTS_MAX } from './limits.ts';
import { clientOf, serve, type Client, type ClientOptions } from './testing.ts';

const FROM = 'app:pkg:someone.os';

interface Http {
  readonly method?: string;
  readonly url: string;
  readonly version?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
}

const bodyOf = ({ method = 'GET', url, version = null, headers = {} }: Http): unknown => ({
  Http: { method, version, url, headers },
});

async function ask({ bench }: Client, http: Http): Promise<Reply> {
  const reply = await bench.ask({ from: FROM, body: bodyOf(http), blob: http.body ?? '' });
  if (reply === undefined) throw new Error('no reply');
  return reply;
}

const textOf = ({ blob }: Reply): string => new TextDecoder().decode(blob?.bytes);
const ok = (status: number, headers: unknown = expect.any(Object)): unknown => ({
  Ok: { Http: { status, headers } },
});
const failure = (text: RegExp): unknown => ({
  Err: { ExecuteRequestFailed: expect.stringMatching(text) },
});

async function with_(
  options: ClientOptions,
  run: (client: Client) => Promise<void>,
): Promise<void> {
  await using client = clientOf(options);
  await run(client);
}

test('M204 a GET: status, re-cased header names, the body as blob without mime', async () => {
  await using server = await serve((_request, response) => {
    response.sendDate = false;
    response.writeHead(200, [
      'content-type',
      'text/plain',
      'ETAG',
      '"1"',
      'x-MANY-parts',
      'a',
      'X-Many-Parts',
      'b',
      'x-utf8',
      'caf\u00e9',
    ]);
    response.end('hello');
  });
  await with_({}, async (client) => {
    const reply = await ask(client, { url: `${server.origin}/a?b=c#d` });
    expect(reply).toMatchObject({
      body: ok(200, {
        'Content-Type': 'text/plain',
        Etag: '"1"',
        'X-Many-Parts': 'b',
        'X-Utf8': '',
        Connection: 'keep-alive',
        'Keep-Alive': expect.any(String),
        'Transfer-Encoding': 'chunked',
      }),
      blob: { mime: undefined },
      metadata: undefined,
    });
    expect(textOf(reply)).toBe('hello');
  });
});
