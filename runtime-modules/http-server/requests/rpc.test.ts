/** The local RPC endpoint (runtime-modules.md §6.10). */
import { afterEach, describe, expect, test } from 'vitest';
import { bytesOf, textOf } from '../../../kernel/testing.ts';
import { ANSWER_S_DEFAULT } from '../limits.ts';
import { answer, bindStatic, NOT_LOCAL, WebNode } from '../testing.ts';

const APP = 'app:pkg:me.os';
const RPC = '/rpc:distro:sys/message';

let web: WebNode;
afterEach(async () => {
  await web[Symbol.asyncDispose]();
});

describe('RPC', () => {
  const ask = (
    body: unknown,
    headers: Record<string, string> = {},
    method = 'POST',
  ): ReturnType<WebNode['get']> =>
    web.get(RPC, { method, headers, body: typeof body === 'string' ? body : JSON.stringify(body) });

  test('M167 F21 403 unless local and allowed, 400 for what cannot be read', async () => {
    web = await WebNode.start();
    expect((await ask({ process: APP })).status).toBe(403);
    await web[Symbol.asyncDispose]();
    web = await WebNode.start({ exposeLocal: true });
    for (const [what, headers] of NOT_LOCAL)
      expect((await ask({ process: APP }, headers)).status, what).toBe(403);
    for (const body of [
      '',
      '{',
      '[]',
      '{}',
      { process: 'x' },
      { process: 'a:b:c:d' },
      { process: APP, expects_response: -1 },
    ])
      expect((await ask(body)).status, JSON.stringify(body)).toBe(400);
  });

  test('M168 without a response wanted: 200 at once, and everything arrives', async () => {
    web = await WebNode.start({ exposeLocal: true });
    const got = Promise.withResolvers<unknown>();
    await web.node.start(
      APP,
      async (guest) => {
        const { source, request, body } = await guest.request();
        const blob = guest.host.getBlob();
        got.resolve([
          source.process,
          request.expectsResponse,
          body,
          request.metadata,
          blob?.mime,
          textOf(blob?.bytes ?? bytesOf('')),
        ]);
      },
      { public: true },
    );
    const reply = await ask({
      process: APP,
      body: 'bödy',
      metadata: 'm',
      mime: 'x/y',
      data: 'aGk=',
      inherit: true,
      context: 'c',
      more: 1,
    });
    expect([reply.status, reply.text]).toEqual([200, '']);
    expect(await got.promise).toEqual([
      'http-server:distro:sys',
      undefined,
      'bödy',
      'm',
      'x/y',
      'hi',
    ]);
  });

  async function responder(body: string, blob?: string | Uint8Array): Promise<void> {
    web = await WebNode.start({ exposeLocal: true });
    await web.node.start(
      APP,
      async (guest) => {
        for (;;) {
          await guest.request();
          await guest.respond(
            body,
            {},
            blob === undefined ? undefined : { mime: undefined, bytes: bytesOf(blob) },
          );
        }
      },
      { public: true, holds: ['http-server:distro:sys'] },
    );
  }

  test('M169 M173 the response as kit reads it, with and without a slash at the end', async () => {
    await responder('{"Ok":null}', 'hi');
    const got = await ask({ process: APP, expects_response: 5 });
    expect([got.status, got.headers['content-type'], got.text]).toEqual([
      200,
      'text/html',
      '{"body":[123,34,79,107,34,58,110,117,108,108,125],"lazy_load_blob":{"mime":null,"bytes":[97,71,107,61]}}',
    ]);
    expect(
      (
        await web.get(`${RPC}/`, {
          method: 'PUT',
          body: JSON.stringify({ process: APP, expects_response: 5 }),
        })
      ).status,
    ).toBe(200);
    await web[Symbol.asyncDispose]();
    await responder('');
    expect((await ask({ process: APP, expects_response: 5 })).text).toBe(
      '{"body":[],"lazy_load_blob":null}',
    );
  });

  test('M169 a large response comes in pieces, and is the same', async () => {
    const blob = Uint8Array.from({ length: 200_001 }, (_, index) => index * 31);
    await responder('x'.repeat(100_000), blob);
    const got = JSON.parse((await ask({ process: APP, expects_response: 5 })).text) as {
      body: number[];
      lazy_load_blob: { bytes: number[] };
    };
    expect(got.body).toHaveLength(100_000);
    const base64 = Buffer.from(got.lazy_load_blob.bytes).toString();
    expect(Buffer.from(base64, 'base64').equals(blob)).toBe(true);
  });

  test('M170 the wait is the header’s or 15 s, whatever the message expects', async () => {
    web = await WebNode.start({ exposeLocal: true });
    const told: unknown[] = [];
    await web.node.start(
      APP,
      async (guest) => {
        for (;;) told.push((await guest.request()).request.expectsResponse);
      },
      { public: true },
    );
    const late = ask({ process: APP, expects_response: 60 });
    await web.forwarded(1);
    await web.node.clock.advance(ANSWER_S_DEFAULT * 1000 + 200);
    expect((await late).status).toBe(408);
    let status: number | undefined;
    const patient = ask(
      { process: APP, expects_response: 5 },
      { 'X-Hyperware-Http-Server-Timeout': '30' },
    ).then((got) => (status = got.status));
    await web.forwarded(2);
    await web.node.clock.advance(29_900);
    expect(status).toBeUndefined();
    await web.node.clock.advance(300);
    expect(await patient).toBe(408);
    expect(told).toEqual([60, 5]);
  });

  test.each(['aGk', 'a?==', 'aG k=', 'aGl=', '====', '-_8='])(
    'M171 data %j is no base64: the message goes without a blob',
    async (data) => {
      web = await WebNode.start({ exposeLocal: true });
      const got = Promise.withResolvers<unknown>();
      await web.node.start(
        APP,
        async (guest) => {
          await guest.request();
          got.resolve(guest.host.getBlob());
        },
        { public: true },
      );
      expect((await ask({ process: APP, data })).status).toBe(200);
      expect(await got.promise).toBeUndefined();
    },
  );

  test('M172 another node’s process is reached over the network, or is not', async () => {
    web = await WebNode.start({ exposeLocal: true });
    const got = await ask({ process: APP, node: 'bob.os', expects_response: 5 });
    expect([got.status, got.text]).toEqual([503, 'bob.os cannot be reached']);
    const { kernel } = web.node;
    kernel.setNet({ send: (message) => kernel.failed(message, 'timeout', '{}') });
    const large = await ask({ process: APP, node: 'bob.os', expects_response: 5 });
    expect([large.status, large.text]).toEqual([413, 'bob.os takes no message of that size']);
    const sent: string[] = [];
    kernel.setNet({
      send: (message) => void sent.push(`${message.target.node} ${message.target.process}`),
    });
    expect((await ask({ process: APP, node: 'bob.os' })).status).toBe(200);
    expect(sent).toEqual([`bob.os ${APP}`]);
    expect((await ask({ process: 'no:such:process', node: 'our', expects_response: 5 })).text).toBe(
      'no:such:process is not running',
    );
  });

  test('M167 nobody can bind the path in its place', async () => {
    web = await WebNode.start();
    await web.app('homepage:homepage:sys', [bindStatic(RPC, 'mine')], () => answer(200));
    expect((await web.get(RPC)).status).toBe(403);
  });
});
