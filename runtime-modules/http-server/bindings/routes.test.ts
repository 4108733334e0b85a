/** Which binding a path leads to (runtime-modules.md §6.3, §6.4, §16), without a socket. */
import { describe, expect, test } from 'vitest';
import { packageId, processId } from '../../../wit/address.ts';
import { boundPath } from './bindings.ts';
import { secureLabel } from './host-label.ts';
import { firstSegment, matchPattern, parsePattern, RouteTable } from './match.ts';

const APP = processId('a:b:c.os');
const BASE = '/a:b:c.os';

/** Parameters by name. */
function paramsOf(
  table: RouteTable<string>,
  path: string,
): [string, Record<string, string>] | undefined {
  const found = table.find(path);
  if (found === undefined) return undefined;
  const names = found.pattern?.parts.map(({ name }) => name) ?? [];
  const named = names.map((name, index) => [name, found.captured[index] ?? ''] as const);
  return [found.binding, Object.fromEntries(named.filter(([name]) => name !== ''))];
}

function tableOf(...paths: string[]): RouteTable<string> {
  const table = new RouteTable<string>();
  for (const path of paths) table.set(boundPath(APP, path), path);
  return table;
}

test.each([
  ['/', BASE],
  ['x', `${BASE}/x`],
  ['/x/', `${BASE}/x`],
  ['/x//', `${BASE}/x/`],
  ['/a/', `${BASE}/a`],
])('M120 %j is bound as %j', (path, bound) => {
  expect(boundPath(APP, path)).toBe(bound);
});

test('M120 the homepage binds the site itself', () => {
  const home = processId('homepage:homepage:sys');
  expect(['/', '/our.js', 'x', '/a:b:c.os/x'].map((path) => boundPath(home, path))).toEqual([
    '',
    '/our.js',
    '/x',
    '/a:b:c.os/x',
  ]);
});

describe('M121 the routing table of section 16', () => {
  const table = tableOf('/', '/x', '/:id', '/:id/edit', '/f/*rest', '/g/*', '/d/:name.json');
  test.each([
    ['', '/', {}],
    ['/x', '/x', {}],
    ['/y.z', '/:id', { id: 'y.z' }],
    ['/X%20Y', '/:id', { id: 'X%20Y' }],
    ['/y/edit', '/:id/edit', { id: 'y' }],
    ['/f/q/w.e', '/f/*rest', { rest: 'q/w.e' }],
    ['/f', '/:id', { id: 'f' }],
    ['/g/1/2', '/g/*', {}],
    ['/d/foo.json', '/d/:name.json', { name: 'foo' }],
    ['/d/a.b.json', '/d/:name.json', { name: 'a.b' }],
  ])('%j', (path, bound, params) => {
    expect(paramsOf(table, `${BASE}${path}`)).toEqual([bound, params]);
  });

  test('"/q/r" is nobody’s own path', () => {
    expect(paramsOf(table, `${BASE}/q/r`)).toBeUndefined();
    expect(firstSegment(`${BASE}/q/r`)).toBe('a:b:c.os');
  });
});

test('M122 literals beat parameters and parameters beat wildcards, in any order of binding', () => {
  const paths = ['/*all', '/:a/:b', '/:a/edit', '/note/edit', '/note/:b', '/:a.:b'];
  for (const order of [paths, paths.toReversed()]) {
    const table = tableOf(...order);
    expect(paramsOf(table, `${BASE}/note/edit`)?.[0]).toBe('/note/edit');
    expect(paramsOf(table, `${BASE}/note/x`)?.[0]).toBe('/note/:b');
    expect(paramsOf(table, `${BASE}/x/edit`)?.[0]).toBe('/:a/edit');
    expect(paramsOf(table, `${BASE}/x/y`)?.[0]).toBe('/:a/:b');
    expect(paramsOf(table, `${BASE}/x/y/z`)?.[0]).toBe('/*all');
    expect(paramsOf(table, `${BASE}/x.y`)).toEqual(['/:a.:b', { a: 'x', b: 'y' }]);
  }
});

test('M122 an exact tie goes to the earlier binding, also after it is bound anew', () => {
  const table = tableOf('/:x/a/:y', '/:x/:y/a');
  expect(paramsOf(table, `${BASE}/1/a/a`)?.[0]).toBe('/:x/a/:y');
  table.set(boundPath(APP, '/:x/a/:y'), 'anew');
  expect(paramsOf(table, `${BASE}/1/a/a`)?.[0]).toBe('anew');
});

test('M125 a path with other names for its parameters is the same path', () => {
  const table = tableOf('/:id', '/:name');
  expect(paramsOf(table, `${BASE}/x`)).toEqual(['/:name', { name: 'x' }]);
  table.delete(boundPath(APP, '/:other'));
  expect(paramsOf(table, `${BASE}/x`)).toBeUndefined();
});

test('a colon inside a segment is literal, a longer neighbour is another process', () => {
  const table = tableOf('/', '/*rest');
  expect(paramsOf(table, '/a:b:c.osEVIL/x')).toBeUndefined();
  expect(paramsOf(table, '/a:b:c.os.evil/x')).toBeUndefined();
  expect(paramsOf(table, '/a:b:c.os/x')).toEqual(['/*rest', { rest: 'x' }]);
});

test('the homepage’s patterns reach everywhere, and lose to what is more literal', () => {
  const table = tableOf('/x');
  table.set('/:first', 'home');
  table.set('/*', 'home rest');
  expect(table.find('/anything')?.binding).toBe('home');
  expect(table.find(`${BASE}/x`)?.binding).toBe('/x');
  expect(table.find(`${BASE}/y`)?.binding).toBe('home rest');
  expect(table.find('')?.binding).toBeUndefined();
});

test('the site root is the empty path', () => {
  const table = new RouteTable<string>();
  table.set('', 'root');
  expect([table.find('')?.binding, table.find('/')?.binding, table.find('/x')?.binding]).toEqual([
    'root',
    'root',
    undefined,
  ]);
});

test('M158 the label of a package on its secure subdomain', () => {
  expect(secureLabel(packageId('app-store:sys'))).toBe('app-store-sys');
  expect(secureLabel(packageId('my-pkg:foo.bar.os'))).toBe('my-pkg-foo-bar-os');
});

test('matching agrees with a plain regular expression on random patterns and paths', () => {
  const seed = Date.now() % 1_000_000;
  let state = seed;
  const random = (below: number): number => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * below);
  };
  const pick = (items: readonly string[]): string => items[random(items.length)]!;
  const text = (items: readonly string[], count: number): string =>
    Array.from({ length: count }, () => pick(items)).join('');
  for (let round = 0; round < 20_000; round++) {
    const path = `/${text(['a', 'b', '/', '.', ':p', '*', '/a', '.b', ':', '*w/'], random(7))}`;
    const pattern = parsePattern(path);
    const asked = `/${text(['a', 'b', '/', '.'], random(9))}`;
    if (pattern === undefined) continue;
    const source = pattern.literals
      .map((literal, index) => {
        const part = pattern.parts[index];
        const taken = part === undefined ? '' : part.kind === 'parameter' ? '([^/]+)' : '(.+)';
        return RegExp.escape(literal) + taken;
      })
      .join('');
    const expected = new RegExp(`^/${source}$`, 's').exec(asked)?.slice(1);
    expect(matchPattern(pattern, asked), `seed ${seed}: ${path} on ${asked}`).toEqual(expected);
  }
});

test('the time of a match grows with the path, not with what could be taken where', () => {
  const pattern = parsePattern(`/p/${Array.from({ length: 15 }, () => '*w/a').join('/')}`)!;
  const stepsFor = (length: number): number => {
    const path = `/p/${'a/'.repeat(length)}b`;
    const before = performance.now();
    for (let round = 0; round < 5; round++) expect(matchPattern(pattern, path)).toBeUndefined();
    return performance.now() - before;
  };
  stepsFor(200);
  // Backtracking would take longer than the sun has left; four times the path may take four times as long, and noise.
  expect(stepsFor(2_000) / Math.max(stepsFor(500), 0.05)).toBeLessThan(100);
});
