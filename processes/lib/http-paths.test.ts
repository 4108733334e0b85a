import { expect, test } from 'vitest';
import { contentType } from './content-types.ts';
import { boundPath, encodePath, encodePathFully, isPattern, PathPattern } from './http-paths.ts';
import { escapeHtml } from './http-reply.ts';

test.each([
  ['/', '/a:b:c.os'],
  ['x', '/a:b:c.os/x'],
  ['/x/', '/a:b:c.os/x'],
  ['/x//', '/a:b:c.os/x/'],
])('M120 %j is bound as %j', (path, expected) => {
  expect(boundPath('a:b:c.os', path)).toBe(expected);
});

test('M120 the homepage has no prefix', () => {
  expect(boundPath('homepage:homepage:sys', '/')).toBe('');
  expect(boundPath('homepage:homepage:sys', '/our.js')).toBe('/our.js');
});

const BINDINGS = ['', '/x', '/:id', '/:id/edit', '/f/*rest', '/g/*', '/d/:name.json'];

test.each([
  ['', '', {}],
  ['/x', '/x', {}],
  ['/y.z', '/:id', { id: 'y.z' }],
  ['/X%20Y', '/:id', { id: 'X%20Y' }],
  ['/y/edit', '/:id/edit', { id: 'y' }],
  ['/f/q/w.e', '/f/*rest', { rest: 'q/w.e' }],
  ['/f', '/:id', { id: 'f' }],
  ['/g/1/2', '/g/*', {}],
  ['/d/foo.json', '/d/:name.json', { name: 'foo' }],
  ['/d/a.b.json', '/d/:name.json', { name: 'a.b' }],
  ['/q/r', undefined, undefined],
])('M121 M122 %j is found at %j', (path, bound, params) => {
  const whole = `/a:b:c.os${path}`;
  const [best] = BINDINGS.map((one) => ({ one, pattern: new PathPattern(`/a:b:c.os${one}`) }))
    .filter(({ pattern }) => pattern.match(whole) !== undefined)
    .toSorted((a, b) => a.pattern.compare(b.pattern));
  expect(best?.one).toBe(bound);
  expect(best?.pattern.match(whole)).toEqual(params);
});

test('M122 more literals win over more parameters, and these over wildcards, in any order', () => {
  const patterns = ['/*', '/:a', '/:a/:b', '/:a/b', '/a/*', '/a/b', '/a/:b'];
  const best = (order: readonly string[]): string | undefined =>
    order
      .map((one) => ({ one, pattern: new PathPattern(one) }))
      .filter(({ pattern }) => pattern.match('/a/b') !== undefined)
      .toSorted((a, b) => a.pattern.compare(b.pattern))[0]?.one;
  expect(best(patterns)).toBe('/a/b');
  expect(best(patterns.toReversed())).toBe('/a/b');
  expect(best(['/*', '/:a/:b'])).toBe('/:a/:b');
  expect(best(['/:a/:b', '/:a/b'])).toBe('/:a/b');
});

test('colons within a part are themselves', () => {
  expect(isPattern('/a:b:c.os/x')).toBe(false);
  expect(isPattern('/a/:b')).toBe(true);
  expect(isPattern('/a.:b')).toBe(true);
  expect(isPattern('/a/*')).toBe(true);
});

test('M127 names are escaped as browsers escape them', () => {
  // What a URL would take for its own is escaped by whoever writes the link.
  const written = (name: string): string =>
    name.replaceAll('%', '%25').replaceAll('#', '%23').replaceAll('?', '%3F');
  const characters = [
    ...Array.from({ length: 0x5f }, (_, code) => code + 0x20),
    0xe4,
    0x20ac,
    0x1f600,
  ]
    .map((code) => String.fromCodePoint(code))
    .filter((character) => character !== '/' && character !== '\\');
  for (const character of characters) {
    const name = `a${character}b`;
    const asked = new URL(`http://node/${written(name)}`).pathname;
    expect([name, `/${encodePath(name)}`]).toEqual([name, asked]);
    expect(decodeURIComponent(encodePathFully(name))).toBe(name);
  }
});

test('M121 no file name becomes a pattern', () => {
  for (const name of [':id', '*', 'a.:b', 'a/*rest', '.*']) {
    expect(isPattern(`/${encodePath(name)}`), name).toBe(false);
    expect(isPattern(`/${encodePathFully(name)}`), name).toBe(false);
    expect(decodeURIComponent(encodePath(name))).toBe(name);
  }
});

test.each([
  ['index.html', 'text/html; charset=utf-8'],
  ['deep/main.JS', 'text/javascript; charset=utf-8'],
  ['a.b/picture.svg', 'image/svg+xml'],
  ['app.wasm', 'application/wasm'],
  ['LICENSE', 'application/octet-stream'],
  ['a.b/c', 'application/octet-stream'],
  ['x.constructor', 'application/octet-stream'],
])('%s is %s', (path, type) => {
  expect(contentType(path)).toBe(type);
});

test('text becomes harmless in a page', () => {
  expect(escapeHtml(`<a href="x" title='y'>&`)).toBe(
    '&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;',
  );
});
