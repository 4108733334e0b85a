import { createSecretKey } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { packageId, processId } from '../../../wit/address.ts';
import { issueToken } from '../../identity/jwt.ts';
import { Secret } from '../../identity/secret.ts';
import { type Access, accessTo, type BoundPath, type Visitor } from './access.ts';
import { LABEL_CHARS_MAX, secureLabel } from '../bindings/host-label.ts';
import { cookieName, Sessions } from './session.ts';

const KEY = createSecretKey(new Uint8Array(32));
const NODE = 'alice.os';
const STORE = processId('main:app-store:sys');
const EVIL = processId('main:evil:x.os');
const LABELS = new Set(['app-store-sys', 'evil-x-os']);
const sessions = new Sessions({ node: NODE, secret: new Secret(KEY), nowS: () => 1_000 });

const secure: BoundPath = {
  process: STORE,
  authenticated: true,
  secureSubdomain: 'app-store-sys',
};
const plain = (process = STORE, authenticated = true): BoundPath => ({
  process,
  authenticated,
  secureSubdomain: undefined,
});

/** A cookie with a good token for this subdomain. */
function cookieFor(subdomain: string | null): string {
  const token = issueToken(KEY, { username: NODE, subdomain, expiration: 2_000 });
  return `${cookieName(NODE, subdomain)}=${token}`;
}

function ask(binding: BoundPath, over: Partial<Visitor>): Access {
  const visitor: Visitor = {
    host: 'localhost:8080',
    cookie: undefined,
    proto: 'http',
    path: '/main:app-store:sys/x',
    query: '',
    method: 'GET',
    origin: undefined,
    secFetchSite: undefined,
    secFetchMode: undefined,
    ...over,
  };
  return accessTo(visitor, binding, (label) => LABELS.has(label), sessions);
}

const OPEN = { kind: 'open', sandbox: false };

describe('labels', () => {
  test.each([
    ['app-store:sys', 'app-store-sys'],
    ['my-pkg:foo.bar.os', 'my-pkg-foo-bar-os'],
  ])('M158 the label of %s', (id, label) => {
    expect(secureLabel(packageId(id))).toBe(label);
  });

  test('M158 a label that DNS would not take is cut, and stays apart from others', () => {
    const at = `${'a'.repeat(LABEL_CHARS_MAX - 3)}:os`;
    expect(secureLabel(packageId(at))).toBe(at.replace(':', '-'));
    const [first, second] = ['x', 'y'].map((last) =>
      secureLabel(packageId(`${'a'.repeat(80)}:${last}.os`)),
    );
    expect(first).toHaveLength(LABEL_CHARS_MAX);
    expect(first).toMatch(/^a{50}-[0-9a-f]{12}$/);
    expect(first).not.toBe(second);
  });
});

describe('plain paths', () => {
  test('M148 without a session there is the login page', () => {
    expect(ask(plain(), {})).toEqual({ kind: 'login' });
    expect(ask(plain(), { cookie: 'a=b' })).toEqual({ kind: 'login' });
  });

  test.each(['localhost:8080', '127.0.0.1:8080', '192.168.1.5:80', 'node.example.com', 'lan'])(
    'M153 on %s the session of the node opens them',
    (host) => {
      expect(ask(plain(), { host, cookie: cookieFor(null) })).toEqual(OPEN);
      expect(ask(plain(), { host, cookie: cookieFor('app-store-sys') })).toEqual({ kind: 'login' });
    },
  );

  test('M162 those of another package are not on the subdomain of a package', () => {
    const host = 'app-store-sys.localhost:8080';
    const cookie = `${cookieFor(null)}; ${cookieFor('app-store-sys')}; ${cookieFor('evil-x-os')}`;
    expect(ask(plain(EVIL), { host, cookie })).toEqual({ kind: 'foreign' });
    expect(ask(plain(EVIL), { host })).toEqual({ kind: 'foreign' });
  });

  test('M162 open ones are served there, outside of its origin', () => {
    const host = 'app-store-sys.localhost:8080';
    expect(ask(plain(EVIL, false), { host })).toEqual({ kind: 'open', sandbox: true });
    expect(ask(plain(STORE, false), { host })).toEqual(OPEN);
    expect(ask(plain(EVIL, false), {})).toEqual(OPEN);
    expect(ask(plain(EVIL, false), { host: 'other-label.localhost' })).toEqual(OPEN);
  });

  test('H12 on its own subdomain a package opens its plain paths with either session', () => {
    const host = 'app-store-sys.localhost:8080';
    for (const subdomain of [null, 'app-store-sys', STORE]) {
      expect(ask(plain(), { host, cookie: cookieFor(subdomain) })).toEqual(OPEN);
    }
    expect(ask(plain(), { host, cookie: cookieFor('evil-x-os') })).toEqual({ kind: 'login' });
  });
});

describe('secure paths', () => {
  test.each([
    [
      'M158',
      'localhost:8080',
      'http://app-store-sys.localhost:8080/main:app-store:sys/x?a=1&b=%20',
    ],
    [
      'M158',
      'node.example.com',
      'http://app-store-sys.node.example.com/main:app-store:sys/x?a=1&b=%20',
    ],
    [
      'M158 across, not down',
      'evil-x-os.localhost:8080',
      'http://app-store-sys.localhost:8080/main:app-store:sys/x?a=1&b=%20',
    ],
    [
      'M158 loopback',
      '127.0.0.1:8080',
      'http://app-store-sys.localhost:8080/main:app-store:sys/x?a=1&b=%20',
    ],
    [
      'M158 loopback',
      '[::1]:8080',
      'http://app-store-sys.localhost:8080/main:app-store:sys/x?a=1&b=%20',
    ],
    ['M158 a bare name', 'nas', 'http://app-store-sys.nas/main:app-store:sys/x?a=1&b=%20'],
    [
      'H11 not a substring',
      'xapp-store-sys.localhost',
      'http://app-store-sys.xapp-store-sys.localhost/main:app-store:sys/x?a=1&b=%20',
    ],
    ['no subdomain below an address', '192.168.1.5:8080', '/login/by-name'],
    ['no subdomain below an address', '[fe80::1]:8080', '/login/by-name'],
    ['no host', '', '/login/by-name'],
    ['H7 nonsense', 'a\r\nb', '/login/by-name'],
    ['nonsense after the colon', 'a:80@evil.example', '/login/by-name'],
  ])('%s: %s leads to the subdomain', (_, host, location) => {
    expect(ask(secure, { host, query: 'a=1&b=%20', cookie: cookieFor('app-store-sys') })).toEqual({
      kind: 'redirect',
      location,
    });
  });

  test('M159 over TLS the redirect stays there', () => {
    expect(ask(secure, { proto: 'https', host: 'node.example.com' })).toEqual({
      kind: 'redirect',
      location: 'https://app-store-sys.node.example.com/main:app-store:sys/x',
    });
  });

  test('a redirect carries visible ASCII only', () => {
    expect(ask(secure, { path: '/a\u00fc\r\n' })).toMatchObject({
      location: 'http://app-store-sys.localhost:8080/a%FC%0D%0A',
    });
  });

  test.each([
    'app-store-sys.localhost:8080',
    'app-store-sys.node.example.com',
    'app-store-sys.nas',
  ])('M160 M161 M163 on %s only its own session opens it', (host) => {
    const answer = (cookie: string): Access['kind'] => ask(secure, { host, cookie }).kind;
    expect(answer(cookieFor(STORE))).toBe('open');
    expect(answer(cookieFor('app-store-sys'))).toBe('open');
    expect(answer(cookieFor(null))).toBe('login');
    expect(answer(cookieFor('other:app-store:sys'))).toBe('login');
    expect(answer(cookieFor(EVIL))).toBe('login');
    expect(answer(cookieFor('evil-x-os'))).toBe('login');
  });

  test('H12 a token of one package under the cookie name of another opens nothing', () => {
    const token = cookieFor('evil-x-os').split('=')[1]!;
    const cookie = `${cookieName(NODE, 'app-store-sys')}=${token}`;
    expect(ask(secure, { host: 'app-store-sys.localhost', cookie })).toEqual({ kind: 'login' });
  });
});

describe('whose page asks', () => {
  const host = 'app-store-sys.node.example.com';
  const cookie = cookieFor('app-store-sys');
  const asked = (over: Partial<Visitor>): Access['kind'] =>
    ask(secure, { host, cookie, ...over }).kind;

  test.each<[string, Access['kind'], Partial<Visitor>]>([
    ['its own', 'open', { secFetchSite: 'same-origin', secFetchMode: 'cors', method: 'POST' }],
    ['the address bar', 'open', { secFetchSite: 'none', secFetchMode: 'navigate' }],
    ['a link', 'open', { secFetchSite: 'cross-site', secFetchMode: 'navigate' }],
    ['a frame of the front page', 'open', { secFetchSite: 'same-site', secFetchMode: 'navigate' }],
    ['no browser', 'open', { method: 'POST' }],
    [
      'a form of another package',
      'foreign',
      { secFetchSite: 'same-site', secFetchMode: 'navigate', method: 'POST' },
    ],
    [
      'a fetch of another package',
      'foreign',
      { secFetchSite: 'same-site', secFetchMode: 'no-cors' },
    ],
    ['a fetch of another site', 'foreign', { secFetchSite: 'cross-site', secFetchMode: 'cors' }],
    ['a value unheard of', 'foreign', { secFetchSite: 'galactic' }],
    ['its own, by Origin', 'open', { origin: `http://${host}`, method: 'POST' }],
    ['its own behind a proxy that ends TLS', 'open', { origin: `https://${host}` }],
    [
      'its own behind a proxy that changes the host',
      'open',
      { origin: 'https://outside.example', secFetchSite: 'same-origin' },
    ],
    [
      'another, by Origin',
      'foreign',
      { origin: 'http://evil-x-os.node.example.com', method: 'POST' },
    ],
    ['another port', 'foreign', { origin: `http://${host}:81` }],
    ['a page in a sandbox', 'foreign', { origin: 'null' }],
    [
      'a WebSocket of another',
      'foreign',
      { origin: 'http://evil.example', secFetchMode: 'websocket' },
    ],
  ])('F21 %s: %s', (_, kind, over) => {
    expect(asked(over)).toBe(kind);
  });

  test('without a session the answer is the login page, whoever asks', () => {
    expect(asked({ cookie: undefined, secFetchSite: 'cross-site' })).toBe('login');
  });

  test('plain paths are guarded the same way', () => {
    const over = { cookie: cookieFor(null), secFetchSite: 'same-site', method: 'POST' };
    expect(ask(plain(), over)).toEqual({ kind: 'foreign' });
    expect(ask(plain(STORE, false), over)).toEqual(OPEN);
  });
});
