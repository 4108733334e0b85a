/** Requests to processes and their answers (runtime-modules.md §6.5, §6.6), over real sockets. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bytesOf, settle } from '../../../kernel/testing.ts';
import { ANSWER_S_DEFAULT } from '../limits.ts';
import { answer, bind, bindStatic, echo, type SeenRequest, WebNode } from '../testing.ts';

const APP = 'app:pkg:me.os';
const AT = `/${APP}`;

let web: WebNode;
beforeEach(async () => {
  web = await WebNode.start();
});
afterEach(async () => {
  await web[Symbol.asyncDispose]();
});

async function seen(
  path: string,
  ask: Parameters<WebNode['get']>[1] = {},
): Promise<SeenRequest & { blob: string }> {
  return JSON.parse((await web.get(path, ask)).text) as SeenRequest & { blob: string };
}

describe('actions', () => {
  test('M118 a bind is answered Ok, what cannot be read MalformedRequest', async () => {
    const replies = await web.app(APP, [
      bind('/'),
      { Nonsense: {} },
      { body: '{' },
      { Bind: { path: 1 } },
      { WebSocketOpen: { path: '/', channel_id: 1 } },
      { WebSocketExtPushData: { id: 1, hyperware_message_type: 'Request', blob: [] } },
      { Unbind: { path: '/' } },
      { WebSocketBind: { path: '/', authenticated: false, extension: false } },
      { WebSocketUnbind: { path: '/' } },
    ]);
    const malformed = '{"Err":"MalformedRequest"}';
    const ok = '{"Ok":null}';
    expect(replies).toEqual([
      ok,
      malformed,
      malformed,
      malformed,
      malformed,
      malformed,
      ok,
      ok,
      ok,
    ]);
  });

  test('M119 a cached bind without a blob is NoBlob and binds nothing', async () => {
    const replies = await web.app(APP, [
      { Bind: { path: '/', authenticated: false, local_only: false, cache: true } },
      { SecureBind: { path: '/', cache: true } },
    ]);
    expect(replies).toEqual(['{"Err":"NoBlob"}', '{"Err":"NoBlob"}']);
    expect((await web.get(AT)).status).toBe(404);
  });
});

describe('paths', () => {
  test('M123 what is not bound falls back to the root of its process', async () => {
    await web.app(APP, [bind('/'), bind('/x')], echo);
    expect((await seen(`${AT}/q/r?a=b`)).bound_path).toBe(AT);
    expect((await seen(`${AT}/x`)).bound_path).toBe(`${AT}/x`);
    await web.app('other:pkg:me.os', [bind('/x')], echo);
    expect((await web.get('/other:pkg:me.os/q')).status).toBe(404);
  });

  test('M124 an unbound path is 404 also below a bound root, until it is bound anew', async () => {
    await web.app(APP, [bind('/'), bind('/x'), { Unbind: { path: '/x' } }], echo);
    const gone = await web.get(`${AT}/x`);
    expect([gone.status, gone.headers['content-type'], gone.headers['content-length']]).toEqual([
      404,
      'application/octet-stream',
      '0',
    ]);
    await web.app('homepage:homepage:sys', [bind(`${AT}/x`)], echo);
    expect((await web.get(`${AT}/x`)).status).toBe(200);
  });

  test('M125 binding anew replaces content and settings', async () => {
    await web.app(
      APP,
      [
        bindStatic('/', 'old'),
        bindStatic('/', 'new', 'text/html'),
        bindStatic('/l', 'x'),
        bind('/l', { local_only: true }),
      ],
      echo,
    );
    const got = await web.get(AT);
    expect([got.text, got.headers['content-type']]).toEqual(['new', 'text/html']);
    expect((await web.get(`${AT}/l`)).status).toBe(403);
  });

  test('M126 M127 one slash at the end does not count, percent-encoding is not decoded', async () => {
    await web.app(APP, [bind('/a b'), bind('/a%20b'), bind('/x')], echo);
    expect((await seen(`${AT}/a%20b`)).bound_path).toBe(`${AT}/a%20b`);
    expect((await seen(`${AT}/x/`)).url).toBe(`http://127.0.0.1${AT}/x`);
    expect((await web.get(`${AT}/x//`)).status).toBe(404);
  });

  test('M128 the site root is the homepage’s, and no fallback', async () => {
    expect((await web.get('/')).status).toBe(404);
    await web.app('homepage:homepage:sys', [bindStatic('/', 'front', 'text/html')]);
    expect((await web.get('/')).text).toBe('front');
    expect((await web.get('/nope')).status).toBe(404);
  });

  test('M129 a process whose id is not safe may not bind', async () => {
    const actions = [
      bind('/'),
      { WebSocketBind: { path: '/', authenticated: false, extension: false } },
    ];
    // The kernel refuses such ids, so the module is asked as if it had not.
    const decode = (from: string, action: object): unknown => {
      const decoded = web.web.decode({
        id: 1,
        source: { node: 'fake.os', process: from as never },
        local: from !== 'remote:pkg:os',
        rsvp: undefined,
        body: new TextEncoder().encode(JSON.stringify(action)),
        blob: undefined,
        metadata: undefined,
        expectsResponse: true,
        timeoutS: undefined,
        capabilities: [],
        caller: { exists: true, holds: () => false, heldFrom: () => [] },
      });
      return decoded.ok ? 'ok' : new TextDecoder().decode(decoded.error?.body);
    };
    const refused = '{"Err":"InvalidSourceProcess"}';
    expect(actions.map((each) => decode('App:pkg:me.os', each))).toEqual([refused, refused]);
    expect(decode('App:pkg:me.os', { Unbind: { path: '/' } })).toBe('ok');
    // H2: and nobody of another node may.
    expect(decode('remote:pkg:os', bind('/'))).toBe(refused);
    expect(decode('remote:pkg:os', { WebSocketClose: 1 })).toBe(refused);
  });
});

describe('what a process sees', () => {
  test('M132 a request field by field, with a blob also when there is no body', async () => {
    const requests: string[] = [];
    await web.app(APP, [bind('/x/:id')], (request, blob, guest) => {
      requests.push(`${JSON.stringify(request)} ${blob.length} ${guest.host.getBlob()?.mime}`);
      return answer(200);
    });
    const socket = await web.connect();
    const { localPort } = socket;
    socket.write(
      `GET ${AT}/x/7%2F8?q=1 HTTP/1.1\r\nHost: Example.COM:99\r\nX-Upper: A "b" \\ c\r\nConnection: close\r\n\r\n`,
    );
    await new Promise((resolve) => {
      socket.resume().on('close', resolve);
    });
    expect(requests).toEqual([
      `{"source_socket_addr":"127.0.0.1:${localPort}","method":"GET","url":"http://example.com${AT}/x/7%2F8","bound_path":"${AT}/x/:id",` +
        `"headers":{"x-hyperware-request-id":"${web.sent[0]}","host":"Example.COM:99","x-upper":"A \\"b\\" \\\\ c","connection":"close"},"url_params":{"id":"7%2F8"},"query_params":{"q":"1"}} 0 undefined`,
    ]);
  });

  test('M132 the body is the blob', async () => {
    await web.app(APP, [bind('/')], echo);
    const sent = await seen(AT, { method: 'POST', body: 'some body' });
    expect([sent.method, sent.blob]).toEqual(['POST', 'some body']);
    const chunked = await web.raw(
      `PUT ${AT} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`,
    );
    expect(chunked).toContain('"blob":"abcde"');
  });

  test.each([
    ['a=1&a=2&b=x+y%21', { a: '2', b: 'x y!' }],
    ['', {}],
    ['a', { a: '' }],
    ['&&=v&x==&', { '': 'v', x: '=' }],
    ['a=%zz&b=%41%', { a: '%zz', b: 'A%' }],
    ['a=%ff%41', { a: '\ufffdA' }],
    ['%C3%A9=%E2%82%AC', { é: '€' }],
  ])('M133 the query %j', async (query, expected) => {
    await web.app(APP, [bind('/')], echo);
    expect((await seen(`${AT}?${query}`)).query_params).toEqual(expected);
  });

  test('M134 of repeated headers the last counts, what is not printable ASCII is empty', async () => {
    await web.app(APP, [bind('/')], echo);
    const text = await web.raw(
      `GET ${AT} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-A: 1\r\nx-a: 2\r\nAccept: a\r\nACCEPT: b\r\nX-Bytes: caf\xc3\xa9\r\nX-Tab: a\tb\r\n__proto__: p\r\n\r\n`,
    );
    expect(text).toContain(
      `"headers":{"x-hyperware-request-id":"${web.sent[0]}","host":"x","connection":"close","x-a":"2","accept":"b","x-bytes":"","x-tab":"a\\tb","__proto__":"p"}`,
    );
  });

  test('sessions of the node are no business of processes', async () => {
    await web.app(APP, [bind('/')], echo);
    const cookieOf = async (cookie: string): Promise<string | undefined> =>
      (await seen(AT, { headers: { cookie } })).headers['cookie'];
    expect(await cookieOf('theme=dark; hyperware-auth_me.os=secret.a.b; x=1')).toBe(
      'theme=dark; x=1',
    );
    expect(await cookieOf('hyperware-auth_me.os@app:pkg:me.os=secret')).toBeUndefined();
    expect(await cookieOf('a=b')).toBe('a=b');
  });
});

describe('what a client gets', () => {
  test('M135 status, headers and body as the process gave them; octets without a type', async () => {
    await web.app(APP, [bind('/typed'), bind('/plain')], ({ bound_path: path }) =>
      path.endsWith('typed')
        ? answer(418, { 'Content-Type': 'text/x', 'X-Custom': 'a, b' }, 'tea')
        : answer(200, {}, new Uint8Array([0, 255])),
    );
    const typed = await web.get(`${AT}/typed`);
    expect([
      typed.status,
      typed.text,
      typed.headers['x-custom'],
      typed.headers['content-type'],
    ]).toEqual([418, 'tea', 'a, b', 'text/x']);
    const plain = await web.get(`${AT}/plain`);
    expect([
      [...plain.body],
      plain.headers['content-type'],
      plain.headers['content-length'],
    ]).toEqual([[0, 255], 'application/octet-stream', '2']);
  });

  test('M136 Set-Cookie arrives as one line, as it was; but nobody sets the node’s session', async () => {
    const cookies = [
      'a=b; Path=/, c=d; Expires=Wed, 21 Oct 2026 07:28:00 GMT',
      'hyperware-auth_fake.os=x',
    ];
    await web.app(APP, [bind('/')], () => answer(200, { 'Set-Cookie': cookies.shift() ?? '' }));
    const first = await web.get(AT);
    expect(first.headers['set-cookie']).toEqual([
      'a=b; Path=/, c=d; Expires=Wed, 21 Oct 2026 07:28:00 GMT',
    ]);
    expect((await web.get(AT)).headers['set-cookie']).toBeUndefined();
  });

  test('M137 what is no legal header is left out, so that nothing can be injected', async () => {
    await web.app(APP, [bind('/')], () =>
      answer(
        200,
        {
          'X-Good': 'yes',
          'bad name': 'x',
          'x\r\ny': 'x',
          '': 'x',
          'X-Split': 'a\r\nX-Injected: 1\r\n\r\n<html>',
          'X-Feed': 'a\nb',
          'X-Nul': 'a\u0000b',
          'X-Text': 'café €',
          'Content-Length': '3',
          'Transfer-Encoding': 'chunked',
          Connection: 'upgrade',
          Upgrade: 'h2c',
          Trailer: 'x',
        },
        'whole body',
      ),
    );
    const text = await web.raw(`GET ${AT} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    const [head = '', body = ''] = text.split('\r\n\r\n');
    expect(head.replace(/Date: .*\r\n/, '').split('\r\n')).toEqual([
      'HTTP/1.1 200 OK',
      'X-Good: yes',
      `X-Text: ${Buffer.from('café €').toString('latin1')}`,
      'Content-Type: application/octet-stream',
      'Content-Length: 10',
      'Connection: close',
    ]);
    expect(body).toBe('whole body');
  });

  test('M138 without a blob the body is empty', async () => {
    await web.app(APP, [bind('/')], () => answer(201, { 'x-a': 'b' }));
    const got = await web.get(AT);
    expect([got.status, got.text, got.headers['content-length']]).toEqual([201, '', '0']);
  });

  test.each([
    '',
    'x',
    '{}',
    '{"status":200}',
    '{"status":"200","headers":{}}',
    '{"status":200.0,"headers":{}}',
    '{"status":65536,"headers":{}}',
    '{"status":200,"status":200,"headers":{}}',
    '{"status":200,"headers":{},"headers":{}}',
    '{"status":0200,"headers":{}}',
    '{"status":200,"headers":{"a":1}}',
    '{"status":200,"headers":[]}',
    '\ufeff{"status":200,"headers":{}}',
  ])('M139 the answer %j is 500 at once', async (body) => {
    await web.app(APP, [bind('/')], () => ({ body, blob: 'not shown' }));
    const got = await web.get(AT);
    expect([got.status, got.text]).toEqual([500, '']);
  });

  test('M139 what serde would take is taken', async () => {
    const bodies = [
      '{"headers":{"a":"1","a":"2"},"status":201,"more":[1.5]}',
      '[202,{"b":"3"}]',
      ' {"status":203,"headers":{}} ',
    ];
    await web.app(APP, [bind('/')], () => ({ body: bodies.shift() ?? '' }));
    const got = [await web.get(AT), await web.get(AT), await web.get(AT)];
    expect(got.map(({ status }) => status)).toEqual([201, 202, 203]);
    expect([got[0]?.headers['a'], got[1]?.headers['b']]).toEqual(['2', '3']);
  });

  test('M140 a status that is none is 500, with headers and body', async () => {
    const statuses = [99, 1000, 0, 100, 101];
    await web.app(APP, [bind('/')], () => answer(statuses.shift() ?? 0, { 'x-a': 'b' }, 'body'));
    for (let left = statuses.length; left > 0; left--) {
      const got = await web.get(AT);
      expect([got.status, got.headers['x-a'], got.text]).toEqual([500, 'b', 'body']);
    }
  });

  test('204 and 304 have neither body nor length, and the connection goes on', async () => {
    const statuses = [204, 304, 200];
    await web.app(APP, [bind('/')], () => answer(statuses.shift() ?? 0, {}, 'body'));
    const ask = `GET ${AT} HTTP/1.1\r\nHost: x\r\n\r\n`;
    const text = await web.raw(
      `${ask}${ask}${ask.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n')}`,
    );
    expect(text.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 204', 'HTTP/1.1 304', 'HTTP/1.1 200']);
    expect(text.match(/body/g)).toEqual(['body']);
    expect(text.match(/Content-Length: 0/g)).toBeNull();
  });

  test('M131 HEAD is the process’s to answer, with the length it gives', async () => {
    await web.app(APP, [bindStatic('/', 'content')], ({ method }) =>
      answer(200, { 'x-method': method, 'Content-Length': '7' }),
    );
    const got = await web.get(AT, { method: 'HEAD' });
    expect([got.headers['x-method'], got.headers['content-length'], got.text]).toEqual([
      'HEAD',
      '7',
      '',
    ]);
  });
});

describe('answers that do not come', () => {
  test('M141 a silent process is 408 after 15 s, which it is told', async () => {
    const told: unknown[] = [];
    await web.node.start(
      APP,
      async (guest) => {
        await guest.sendAndAwait('our@http-server:distro:sys', {
          body: new TextEncoder().encode(JSON.stringify(bind('/'))),
        });
        for (;;) told.push((await guest.request()).request.expectsResponse);
      },
      { public: true, holds: ['http-server:distro:sys'] },
    );
    const statusAfter = async (
      seconds: number,
      headers: Record<string, string> = {},
    ): Promise<unknown> => {
      let status: number | undefined;
      const got = web.get(AT, { headers }).then((each) => {
        status = each.status;
        return each;
      });
      const before = told.length;
      while (told.length === before) await settle();
      await web.node.clock.advance(seconds * 1000 - 1);
      const early = status;
      await web.node.clock.advance(150);
      const { status: late, text } = await got;
      return [early, late, text];
    };
    const timeout = 'X-Hyperware-Http-Server-Timeout';
    expect(await statusAfter(ANSWER_S_DEFAULT)).toEqual([undefined, 408, '']);
    expect(await statusAfter(2, { [timeout]: '2' })).toEqual([undefined, 408, '']);
    expect(await statusAfter(15, { [timeout]: '-1' })).toEqual([undefined, 408, '']);
    expect(await statusAfter(15, { [timeout]: '99999999999999999999' })).toEqual([
      undefined,
      408,
      '',
    ]);
    expect(told).toEqual([15, 2, 15, 15]);
  });

  test('M142 a process that did not let the web server message it: 408 and a line for the owner', async () => {
    await web.node.start(
      APP,
      async (guest) => {
        // The reply would not reach it either.
        await guest.send('our@http-server:distro:sys', {
          body: bytesOf(JSON.stringify(bind('/'))),
        });
        await guest.receive();
      },
      { holds: ['http-server:distro:sys'] },
    );
    expect((await web.get(AT)).status).toBe(408);
    expect(web.node.sink.at(0).join('\n')).toContain(`no messaging capability for fake.os@${APP}`);
  });

  test('M145 only the process that was asked can answer, and only once', async () => {
    const release = Promise.withResolvers<void>();
    await web.app(APP, [bind('/')], async () => {
      await release.promise;
      return answer(200, {}, 'the real one');
    });
    const forged = (id: unknown, source: string): void =>
      web.web.onResponse?.({
        id: id as number,
        source: web.node.address(source),
        target: web.node.address('http-server:distro:sys'),
        rsvp: undefined,
        message: {
          kind: 'response',
          response: {
            inherit: false,
            body: bytesOf('{"status":200,"headers":{}}'),
            metadata: undefined,
            capabilities: [],
          },
          context: undefined,
        },
        blob: { mime: undefined, bytes: bytesOf('forged') },
      });
    const got = web.get(AT);
    await web.forwarded(1);
    forged(web.sent[0], 'evil:pkg:me.os');
    forged(4242, APP);
    await settle();
    release.resolve();
    expect((await got).text).toBe('the real one');
    forged(web.sent[0], APP);
    expect((await web.get(AT)).text).toBe('the real one');
  });
});
