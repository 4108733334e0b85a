/** Parts of outgoing connections by themselves: proxies, names, trust, bodies in pieces. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BodyCollector } from './body-collector.ts';
import { readProxies } from './proxy.ts';
import { systemResolve } from './resolve.ts';
import { systemTrust } from './trust.ts';

describe('proxies', () => {
  const at = (
    environment: Record<string, string>,
    host: string,
    options: { port?: number; secure?: boolean } = {},
  ): string | undefined => {
    const proxies = readProxies(environment);
    if (!proxies.ok) throw new Error(proxies.error);
    const { port = 80, secure = false } = options;
    const proxy = proxies.value.for({ host, port }, secure);
    return proxy === undefined
      ? undefined
      : `${proxy.secure ? 'tls ' : ''}${proxy.target.host}:${proxy.target.port}`;
  };

  test('by scheme, lower case first, ALL_PROXY for the rest', () => {
    expect(at({}, 'x.example')).toBeUndefined();
    expect(at({ HTTP_PROXY: 'a:1' }, 'x.example')).toBe('a:1');
    expect(at({ HTTP_PROXY: 'a:1' }, 'x.example', { secure: true })).toBeUndefined();
    expect(at({ HTTP_PROXY: 'a:1', http_proxy: 'http://b' }, 'x.example')).toBe('b:80');
    expect(at({ HTTPS_PROXY: 'https://c' }, 'x.example', { secure: true })).toBe('tls c:443');
    expect(at({ all_proxy: 'd:4', HTTP_PROXY: ' ' }, 'x.example')).toBe('d:4');
  });

  test.each([
    ['*', 'x.example', true],
    ['x.example', 'x.example', true],
    ['x.example', 'a.x.example', true],
    ['.x.example', 'a.x.example', true],
    ['*.x.example', 'a.x.example', true],
    ['x.example', 'ax.example', false],
    ['x.example:81', 'x.example', false],
    ['x.example:80', 'x.example', true],
    ['a, 10.0.0.0/8 ,b', '10.1.2.3', true],
    ['10.0.0.0/8', '11.1.2.3', false],
    ['fd00::/8', 'fd00::1', true],
    ['://', 'x.example', false],
    ['', 'localhost', true],
    ['', '127.9.9.9', true],
    ['', '::1', true],
  ])('NO_PROXY %j and %s: direct is %s', (list, host, direct) => {
    expect(at({ HTTP_PROXY: 'a:1', NO_PROXY: list }, host) === undefined).toBe(direct);
  });

  test('what is no proxy is refused by the name of the variable, without its value', () => {
    for (const value of ['socks5://user:secret@x:1', 'http://secret:70000', 'ftp://secret']) {
      const read = readProxies({ https_proxy: value });
      expect(read).toMatchObject({ ok: false, error: expect.stringContaining('HTTPS_PROXY') });
      expect(JSON.stringify(read)).not.toContain('secret');
    }
  });
});

describe('names', () => {
  test('localhost and what is below it is loopback, asked of nobody', async () => {
    const resolve = systemResolve();
    const { signal } = new AbortController();
    for (const name of ['localhost', 'a.b.localhost'])
      expect(await resolve(name, signal)).toEqual(['127.0.0.1', '::1']);
  });

  test('an aborted look-up rejects', async () => {
    await expect(systemResolve()('x.invalid', AbortSignal.abort())).rejects.toThrow();
  });
});

test('the trust is made once, of what the system trusts and what is added', async () => {
  const trust = systemTrust();
  const [first, second] = await Promise.all([trust(), trust()]);
  expect(first).toBe(second);
  expect(first.context).toBeDefined();
});

test('a body collected in any pieces is the body', () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(20_000), fc.nat(255)), { maxLength: 60 }), (pieces) => {
      const collector = new BodyCollector();
      const whole: Buffer[] = [];
      for (const [length, fill] of pieces) {
        const piece = Buffer.alloc(length, fill);
        collector.add(piece);
        whole.push(piece);
      }
      const expected = Buffer.concat(whole);
      expect(collector.length).toBe(expected.length);
      expect(Buffer.compare(Buffer.from(collector.take()), expected)).toBe(0);
      expect([collector.length, collector.take().length]).toEqual([0, 0]);
    }),
    { seed, numRuns: 100 },
  );
});
