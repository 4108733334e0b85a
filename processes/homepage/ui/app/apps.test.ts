import { expect, test } from 'vitest';
import { frameAddress, hashOf, linkRequestIn, openAppAt, opensInTabs, pageAt } from './address.ts';
import {
  type App,
  changeBetween,
  hueOf,
  iconAddress,
  moved,
  placeOf,
  search,
  shortcuts,
  tilesOf,
  widgetAddress,
} from './apps.ts';
import { type Box, neighbour, nearest } from './focus.ts';

let counter = 0;
const app = (name: string, more: Partial<App> = {}): App => ({
  id: `${name}:${name}:sys` as App['id'],
  process: name,
  package_name: name,
  publisher: 'sys',
  path: `/${name}:${name}:sys/`,
  label: name,
  base64_icon: null,
  widget: null,
  order: counter++,
  favorite: false,
  ...more,
});

const APPS = [
  app('a', { favorite: true }),
  app('b'),
  app('clock', { path: null, widget: '<time>' }),
  app('c'),
  app('d', { favorite: true }),
].map((one, order) => ({ ...one, order }));
const names = (apps: readonly App[]): string => apps.map(({ label }) => label).join(' ');
const shown = (apps: readonly App[]): string => {
  const { favorites, others } = tilesOf(apps);
  return `${names(favorites)} | ${names(others)}`;
};

test('tiles are the apps that can be opened, favourites first; digits open them as seen', () => {
  expect(shown(APPS)).toBe('a d | b c');
  expect(names(shortcuts(tilesOf(APPS)))).toBe('a d b c');
  expect(shortcuts(tilesOf(Array.from({ length: 20 }, (_, n) => app(`x${n}`))))).toHaveLength(9);
});

test('a tile moves within its row and between the rows, and what shows no tile stays behind', () => {
  const to = (id: string, section: 'favorites' | 'others', index: number): string =>
    shown(moved(APPS, `${id}:${id}:sys`, { section, index }));
  expect(to('d', 'favorites', 0)).toBe('d a | b c');
  expect(to('a', 'favorites', 9)).toBe('d a | b c');
  expect(to('c', 'favorites', 1)).toBe('a c d | b');
  expect(to('a', 'others', 1)).toBe('d | b a c');
  expect(to('b', 'others', -5)).toBe('a d | b c');
  expect(moved(APPS, 'nobody', { section: 'others', index: 0 })).toEqual(APPS);
  const after = moved(APPS, 'c:c:sys', { section: 'favorites', index: 0 });
  expect(after.map(({ order }) => order)).toEqual([0, 1, 2, 3, 4]);
  expect(after[2]?.label).toBe('clock');
  expect(placeOf(after, 'c:c:sys')).toEqual({ section: 'favorites', index: 0 });
  expect(placeOf(after, 'clock:clock:sys')).toBeUndefined();
});

test('the node is told what changed, and nothing when nothing did', () => {
  const id = 'c:c:sys';
  const after = moved(APPS, id, { section: 'favorites', index: 2 });
  expect(changeBetween(APPS, after, id)).toEqual({
    order: [
      ['d:d:sys', 1],
      ['b:b:sys', 4],
    ],
    favorite: [id, true],
  });
  const settled = moved(APPS, id, { section: 'others', index: 1 });
  expect(
    changeBetween(settled, moved(settled, id, { section: 'others', index: 1 }), id),
  ).toBeUndefined();
});

test('apps are found by words of their label and name; what begins with the text stands first', () => {
  const apps = [
    app('todo', { label: 'My To do' }),
    app('tod', { label: 'Tod' }),
    app('clock', { path: null }),
  ];
  expect(names(search(apps, 'tod'))).toBe('Tod My To do');
  expect(names(search(apps, ' DO my '))).toBe('My To do');
  expect(names(search(apps, 'clock'))).toBe('');
});

test('widgets and icons are shown only from where they may come', () => {
  const widget = (text: string | null): string | undefined =>
    widgetAddress(app('w', { widget: text }), 'dark');
  expect(widget('  <b>hi')).toBe('/widget?id=w%3Aw%3Asys&theme=dark');
  expect(widget('/w:w:sys/widget')).toBe('/w:w:sys/widget');
  expect(widget('https://x.example/y')).toBe('https://x.example/y');
  for (const text of [null, ' ', 'javascript:alert(1)', '//evil.example', 'data:text/html,x']) {
    expect(widget(text), String(text)).toBeUndefined();
  }
  const icon = (base64_icon: string | null): string | undefined =>
    iconAddress(app('i', { base64_icon }));
  expect(icon('data:image/png;base64,AA')).toBe('data:image/png;base64,AA');
  expect([icon(null), icon('https://spy.example/x.png'), icon('data:text/html,x')]).toEqual(
    Array(3).fill(undefined),
  );
  expect(hueOf('a')).toBe(hueOf('a'));
});

test('arrows lead through a grid that wraps', () => {
  const box = (column: number, row: number): Box => ({
    left: column * 100,
    top: row * 100,
    width: 90,
    height: 90,
  });
  const grid = [box(0, 0), box(1, 0), box(2, 0), box(0, 1), box(1, 1)];
  const to = (from: number, key: Parameters<typeof neighbour>[2]): number | undefined =>
    neighbour(grid, from, key);
  expect([to(0, 'ArrowRight'), to(2, 'ArrowRight'), to(4, 'ArrowRight')]).toEqual([
    1,
    3,
    undefined,
  ]);
  expect([to(0, 'ArrowLeft'), to(3, 'ArrowLeft')]).toEqual([undefined, 2]);
  expect([to(1, 'ArrowDown'), to(2, 'ArrowDown'), to(3, 'ArrowDown')]).toEqual([4, 4, undefined]);
  expect([to(4, 'ArrowUp'), to(0, 'ArrowUp')]).toEqual([1, undefined]);
  expect([to(3, 'Home'), to(0, 'End')]).toEqual([0, 4]);
  expect([neighbour([], 0, 'Home'), neighbour(grid, 99, 'ArrowUp')]).toEqual([undefined, 0]);
  expect([nearest(grid, 240, 30), nearest(grid, -9, 500), nearest([], 0, 0)]).toEqual([
    2,
    3,
    undefined,
  ]);
});

test('pages are paths, an app opened in place is a fragment', () => {
  expect(['/', '/processes', '/logs/', '/x'].map(pageAt)).toEqual([
    'home',
    'processes',
    'logs',
    'home',
  ]);
  const open = { id: 'a:a:sys', path: '/x/y' };
  expect(hashOf(open)).toBe('#app-a:a:sys/x/y');
  expect(openAppAt(hashOf(open))).toEqual(open);
  expect(openAppAt('#app-a%3Aa%3Asys')).toEqual({ id: 'a:a:sys', path: '' });
  expect([openAppAt(''), openAppAt('#apps'), openAppAt('#app-')]).toEqual(Array(3).fill(undefined));
  expect(openAppAt('#app-%zz')).toEqual({ id: '%zz', path: '' });
});

test('an app in a frame stays within its own paths', () => {
  const a = app('a', { path: '/a:a:sys/ui' });
  expect(frameAddress(a, '')).toBe('/a:a:sys/ui');
  expect(frameAddress(a, '/x/y')).toBe('/a:a:sys/x/y');
  expect(frameAddress(a, '//evil.example/x')).toBe('/a:a:sys/evil.example/x');
  expect(frameAddress(a, '/../b:b:sys/')).toBe('/a:a:sys/b:b:sys/');
});

test('on localhost apps open in tabs', () => {
  const hosts = ['localhost', 'x.localhost', '127.0.0.1', '[::1]', 'alice.example', '192.168.1.5'];
  expect(hosts.map(opensInTabs)).toEqual([true, true, true, true, false, false]);
});

test('what apps ask to be opened is an app that is there, or an address of the web', () => {
  const read = (data: unknown): unknown => linkRequestIn(data, APPS, 'https://alice.example');
  expect(read({ type: 'OPEN_APP', id: 'a:a:sys' })).toEqual({ app: { id: 'a:a:sys', path: '' } });
  expect(read({ type: 'OPEN_APP', id: 'clock:clock:sys' })).toBeUndefined();
  expect(read({ type: 'APP_LINK_CLICKED', url: '/b:b:sys/x' })).toEqual({
    app: { id: 'b:b:sys', path: '/x' },
  });
  expect(read({ type: 'HW_LINK_CLICKED', url: 'hw://b:b:sys' })).toEqual({
    app: { id: 'b:b:sys', path: '' },
  });
  expect(read({ type: 'APP_LINK_CLICKED', url: 'https://x.example/y' })).toEqual({
    tab: 'https://x.example/y',
  });
  expect(read({ type: 'APP_LINK_CLICKED', url: 'javascript:alert(1)' })).toBeUndefined();
  for (const data of [null, 'x', {}, { type: 'APP_LINK_CLICKED', url: 7 }]) {
    expect(read(data)).toBeUndefined();
  }
});
