/** The paths of the login, on a server with processes (runtime-modules.md §6.1, §6.7). */
import { afterEach, describe, expect, test } from 'vitest';
import { bytesOf, textOf } from '../../../kernel/testing.ts';
import { bind, echo, loginOf, WebNode } from '../testing.ts';

let web: WebNode;
afterEach(async () => {
  await web[Symbol.asyncDispose]();
});

describe('the login’s paths', () => {
  test('M148 M151 the page, its files, what is submitted; the rest is for whoever bound it', async () => {
    const submitted: unknown[] = [];
    web = await WebNode.start(
      {},
      {
        accessTo: () => ({ kind: 'login' }),
        login: {
          ...loginOf(),
          asset: (path) =>
            path === '/login/a.js'
              ? { contentType: 'text/javascript', bytes: bytesOf('js') }
              : undefined,
          submit: async (request) => {
            const { contentLength, body, ...rest } = request;
            if (contentLength === undefined || contentLength > 16_384) return undefined;
            submitted.push({ ...rest, body: textOf(await body()) });
            return {
              status: 303,
              headers: [
                ['Set-Cookie', 'a=b'],
                ['Location', '/'],
              ],
              body: bytesOf(''),
            };
          },
        },
      },
    );
    for (const path of ['/login', '/login/', '/login?x=1']) {
      const page = await web.get(path);
      expect([page.status, page.text, page.headers['content-type']]).toEqual([
        200,
        'the page',
        'text/html; charset=utf-8',
      ]);
    }
    const file = await web.get('/login/a.js');
    expect([file.text, file.headers['content-type']]).toEqual(['js', 'text/javascript']);
    expect((await web.get('/login/none.js')).status).toBe(404);
    expect((await web.get('/login', { method: 'PUT' })).status).toBe(404);
    const post = {
      method: 'POST',
      body: '{"x":1}',
      headers: {
        Origin: 'http://o',
        'Sec-Fetch-Site': 'same-origin',
        'X-Forwarded-Proto': 'https',
      },
    };
    const done = await web.get('/login?redirect=%2Fp%3Ak%3Aq', post);
    expect([done.status, done.headers['set-cookie'], done.headers.location]).toEqual([
      303,
      ['a=b'],
      '/',
    ]);
    expect(submitted).toEqual([
      {
        host: `127.0.0.1:${web.port}`,
        // F22: a proxy on this machine is believed.
        proto: 'https',
        redirect: '/p:k:q',
        origin: 'http://o',
        secFetchSite: 'same-origin',
        peer: '127.0.0.1',
        cookie: undefined,
        body: '{"x":1}',
      },
    ]);
    const chunked = await web.raw(
      'POST /login HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n',
    );
    expect(chunked).toMatch(/^HTTP\/1.1 404/);
    expect((await web.get('/login', { method: 'POST', body: 'x'.repeat(16_385) })).status).toBe(
      404,
    );
    expect((await web.get('/logout', { method: 'POST' })).status).toBe(204);
    expect((await web.get('/logout')).status).toBe(404);
    await web.app('homepage:homepage:sys', [bind('/login')], echo);
    expect((await web.get('/login', { method: 'PUT', body: 'x' })).text).toContain('"blob":"x"');
  });
});
