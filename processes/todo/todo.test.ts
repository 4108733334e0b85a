import { afterEach, beforeEach, expect, test } from 'vitest';
import { FakeHttpServer, type FakeSocket } from '../lib/testing/fake-http-server.ts';
import { FakeVfs } from '../lib/testing/fake-vfs.ts';
import type { Sent } from '../lib/testing/memory-host.ts';
import { TestProcess } from '../lib/testing/test-process.ts';
import { changed, type Change, type Items, ITEMS_MAX, TEXT_CHARS_MAX } from './shared/list.ts';
import { CHANGES_MAX, decide, emptyBoard, PAGES_MAX } from './todo/board.ts';
import module from './todo/index.ts';
import { PING_MS, PONG_MS, RETRY_MS_MAX, RETRY_MS_MIN, Store } from './ui/parts/store.ts';

const OUR = 'alice.os@todo:todo:sys';

/** A node with the process, and pages that are connected to it. */
class World {
  server = new FakeHttpServer();
  readonly vfs = new FakeVfs();
  readonly tiles: Sent[] = [];
  process!: TestProcess<never, never>;

  async start(state?: Uint8Array): Promise<void> {
    this.vfs.put('todo:sys/pkg/ui/index.html', '<head></head>');
    this.process = (await TestProcess.start(module, {
      our: OUR,
      state,
      peers: {
        'http-server:distro:sys': this.server.peer,
        'vfs:distro:sys': this.vfs.peer,
        'homepage:homepage:sys': (sent) => void this.tiles.push(sent),
      },
    })) as never;
  }

  /** The process dies and is started again with what it stored; the module keeps the sockets, which nobody knows any more. */
  async restart(): Promise<void> {
    await this.start(this.process.host.state);
  }

  get items(): Items {
    const { items } = JSON.parse(new TextDecoder().decode(this.process.host.state)) as {
      items: Items;
    };
    return items;
  }
}

/** A page: the real store on a connection to the process, with a clock of its own. */
class Page {
  readonly store: Store;
  readonly refusals: string[] = [];
  socket: FakeSocket | undefined;
  /** Whether the network lets connections through. */
  online = true;
  nowMs = 0;
  readonly #world: World;
  #timers: { readonly dueMs: number; readonly work: () => void }[] = [];
  #outbox: string[] = [];
  #events: { opened(): void; received(data: unknown): void; closed(): void } | undefined;
  #wanted = false;

  constructor(world: World, name: string) {
    this.#world = world;
    this.store = new Store({
      connect: (events) => {
        this.#wanted = true;
        this.#events = events;
        this.#outbox = [];
        return { send: (text) => void this.#outbox.push(text), close: () => this.cut() };
      },
      after: (ms, work) => {
        const timer = { dueMs: this.nowMs + ms, work };
        this.#timers.push(timer);
        return () => void (this.#timers = this.#timers.filter((one) => one !== timer));
      },
      page: name,
      random: () => 1,
    });
    this.store.onRefused((message) => this.refusals.push(message));
    this.store.start();
  }

  /** Lets everything in flight arrive. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 10; turn++) {
      await this.dial();
      await this.push();
      this.pull();
    }
  }

  /** Connects, if the store wants to be. */
  async dial(): Promise<void> {
    if (!this.#wanted) return;
    this.#wanted = false;
    if (this.online) {
      this.socket = await this.#world.server.connect(this.#world.process, '/todo:todo:sys/live');
      this.#events?.opened();
    } else this.#events?.closed();
  }

  /** What the store has said reaches the process. */
  async push(): Promise<void> {
    for (const text of this.#outbox.splice(0)) {
      if (this.online && this.socket?.isOpen === true) await this.socket.send(text);
    }
  }

  /** What the process has said reaches the store. */
  pull(): void {
    if (!this.online) return;
    for (let text = this.socket?.next(); text !== undefined; text = this.socket?.next()) {
      this.#events?.received(text);
    }
    if (this.socket?.isOpen !== false) return;
    this.socket = undefined;
    this.#events?.closed();
  }

  /** The connection breaks; the process is told. */
  async cut(): Promise<void> {
    const { socket } = this;
    this.socket = undefined;
    this.#events?.closed();
    await socket?.drop();
  }

  /** Time passes for the page. */
  async wait(ms: number): Promise<void> {
    this.nowMs += ms;
    const due = this.#timers.filter(({ dueMs }) => dueMs <= this.nowMs);
    this.#timers = this.#timers.filter(({ dueMs }) => dueMs > this.nowMs);
    for (const { work } of due) work();
    await this.settle();
  }

  get texts(): string[] | undefined {
    return this.store.snapshot.items?.map(({ text, done }) => (done ? `${text} ✓` : text));
  }

  add(text: string): void {
    this.store.change(adding(text));
  }
}

function adding(text: string, before?: string): Change {
  return { kind: 'Add', value: { item: { id: `id-${text}`, text, done: false }, before } };
}

let world: World;
beforeEach(async () => {
  world = new World();
  await world.start();
});
afterEach(() => {
  expect(world.process.host.prints.filter(({ verbosity }) => verbosity === 0)).toEqual([]);
});

async function pages(...names: string[]): Promise<Page[]> {
  const made = names.map((name) => new Page(world, name));
  for (const page of made) await page.settle();
  return made;
}

async function settle(...all: Page[]): Promise<void> {
  for (const page of [...all, ...all]) await page.settle();
}

test('what one page changes the others show; it is stored before they do', async () => {
  const [one, two] = (await pages('one', 'two')) as [Page, Page];
  expect(one.texts).toEqual([]);
  one.add('milk');
  one.add('bread');
  // At once, before anybody has decided.
  expect(one.texts).toEqual(['milk', 'bread']);
  expect(one.store.snapshot.undecided).toBe(2);
  await settle(one, two);
  expect(two.texts).toEqual(['milk', 'bread']);
  expect(one.store.snapshot).toMatchObject({ undecided: 0, connected: true });
  two.store.change({ kind: 'Check', value: { id: 'id-milk', done: true } });
  two.store.change({ kind: 'Edit', value: { id: 'id-bread', text: 'rye bread' } });
  two.store.change({ kind: 'Move', value: { id: 'id-bread', before: 'id-milk' } });
  await settle(two, one);
  expect(one.texts).toEqual(['rye bread', 'milk ✓']);
  one.store.change({ kind: 'Tidy' });
  await settle(one, two);
  expect(two.texts).toEqual(['rye bread']);
  two.store.change({ kind: 'Remove', value: 'id-bread' });
  await settle(two, one);
  expect(one.texts).toEqual([]);
  expect(world.items).toEqual([]);
});

test('a page that was away is told what it missed, and says what it did meanwhile', async () => {
  const [one, two] = (await pages('one', 'two')) as [Page, Page];
  one.add('first');
  await settle(one, two);
  one.online = false;
  await one.cut();
  one.add('offline');
  expect(one.store.snapshot).toMatchObject({ connected: false, undecided: 1 });
  two.add('meanwhile');
  await settle(two);
  await one.wait(RETRY_MS_MIN);
  expect(one.store.snapshot.connected).toBe(false);
  one.online = true;
  await one.wait(2 * RETRY_MS_MIN);
  await settle(one, two);
  expect(one.texts).toEqual(['first', 'meanwhile', 'offline']);
  expect(two.texts).toEqual(one.texts);
  expect(one.store.snapshot).toMatchObject({ connected: true, undecided: 0 });
});

test('nothing is lost or made twice when the process restarts', async () => {
  const [one] = (await pages('one')) as [Page];
  one.add('kept');
  await one.settle();
  await world.restart();
  one.add('sent to nobody');
  // The old socket is unknown to the new process, which closes it.
  await one.settle();
  await one.wait(RETRY_MS_MIN);
  expect(one.texts).toEqual(['kept', 'sent to nobody']);
  expect(world.items.map(({ text }) => text)).toEqual(['kept', 'sent to nobody']);
});

test('a change whose answer was lost is not made again over what others did since', async () => {
  const [one, two] = (await pages('one', 'two')) as [Page, Page];
  one.add('a');
  await settle(one, two);
  one.store.change({ kind: 'Edit', value: { id: 'id-a', text: 'mine' } });
  // It arrives and is made, but the answer does not come back.
  await one.push();
  expect(world.items[0]?.text).toBe('mine');
  one.online = false;
  two.store.change({ kind: 'Edit', value: { id: 'id-a', text: 'theirs' } });
  await settle(two);
  await one.cut();
  one.online = true;
  await one.wait(RETRY_MS_MIN);
  await settle(one, two);
  expect(one.texts).toEqual(['theirs']);
  expect(world.items[0]?.text).toBe('theirs');
});

test('who has missed too much, or comes from another list, gets everything', async () => {
  const [one, two] = (await pages('one', 'two')) as [Page, Page];
  one.online = false;
  await one.cut();
  for (let index = 0; index <= CHANGES_MAX; index++) two.store.change({ kind: 'Tidy' });
  two.add('last');
  await settle(two);
  one.online = true;
  await one.wait(RETRY_MS_MAX);
  await one.settle();
  expect(one.texts).toEqual(['last']);
  // The state is lost: another list begins.
  await world.start();
  two.add('on the new one');
  await two.settle();
  await two.wait(RETRY_MS_MIN);
  expect(two.texts).toEqual(['on the new one']);
});

test('a refused change is taken back, and its page told why', async () => {
  const [one, two] = (await pages('one', 'two')) as [Page, Page];
  one.add('a');
  await settle(one, two);
  two.store.change({ kind: 'Remove', value: 'id-a' });
  // At the same time, so that it is refused by the process and not by the page.
  one.store.change({ kind: 'Edit', value: { id: 'id-a', text: 'b' } });
  await two.settle();
  await settle(one);
  expect(one.texts).toEqual([]);
  expect(one.refusals).toEqual(['somebody has removed this meanwhile']);
  expect(one.store.snapshot.undecided).toBe(0);
  expect(one.store.change(adding(' '))).toBe(false);
  expect(one.refusals.at(-1)).toContain('something to do');
});

test('a connection that has silently died is noticed and replaced', async () => {
  const [one] = (await pages('one')) as [Page];
  for (const ms of [PING_MS, PONG_MS, PING_MS, PONG_MS]) await one.wait(ms);
  expect(one.store.snapshot.connected).toBe(true);
  one.online = false;
  await one.wait(PING_MS);
  expect(one.store.snapshot.connected).toBe(true);
  await one.wait(PONG_MS);
  expect(one.store.snapshot.connected).toBe(false);
  one.online = true;
  await one.wait(RETRY_MS_MAX);
  expect(one.store.snapshot.connected).toBe(true);
  // Who looks at the page again learns it sooner.
  one.online = false;
  one.store.hurry();
  await one.wait(PONG_MS);
  expect(one.store.snapshot.connected).toBe(false);
  one.online = true;
  one.store.hurry();
  await one.settle();
  expect(one.store.snapshot.connected).toBe(true);
});

test('a page that talks nonsense, or before it has said who it is, is shown out', async () => {
  for (const frame of ['{"Change":{"number":1,"change":"Tidy"}}', 'nonsense', '{"Hello":{}}']) {
    const socket = await world.server.connect(world.process, '/todo:todo:sys/live');
    await socket?.send(frame);
    expect(socket?.isOpen).toBe(false);
  }
  const hello = JSON.stringify({ Hello: { page: 'x'.repeat(65), list: null, revision: 0 } });
  const socket = await world.server.connect(world.process, '/todo:todo:sys/live');
  await socket?.send(hello);
  expect(socket?.isOpen).toBe(false);
});

test('strangers see neither the page nor the list', async () => {
  const stranger = { loggedIn: false };
  for (const path of ['', '/index.html', '/export.txt']) {
    const { text } = await world.server.request(world.process, `/todo:todo:sys${path}`, stranger);
    expect(text).toBe('the login page');
  }
  expect(
    await world.server.connect(world.process, '/todo:todo:sys/live', stranger),
  ).toBeUndefined();
});

test('the page is served with its base and a strict policy; the list can be taken along', async () => {
  const [one] = (await pages('one')) as [Page];
  one.add('milk');
  await one.settle();
  const page = await world.server.request(world.process, '/todo:todo:sys');
  expect(page.text).toContain('<base href="/todo:todo:sys/">');
  expect(page.headers.get('content-security-policy')).toContain("default-src 'self'");
  const exported = await world.server.request(world.process, '/todo:todo:sys/export.txt');
  expect(exported.text).toBe('- [ ] milk\n');
  expect(exported.headers.get('content-disposition')).toContain('todo.txt');
});

test('the homepage gets a tile with an icon and a widget', () => {
  const [sent] = world.tiles;
  const { Add } = JSON.parse(new TextDecoder().decode(sent?.request.body)) as {
    Add: Record<string, string>;
  };
  expect(Add).toMatchObject({ label: 'To do', path: '/', widget: '/todo:todo:sys/widget.html' });
  expect(atob(Add['icon']?.split(',')[1] ?? '')).toMatch(/^<svg .*<\/svg>$/);
});

test('what is kept is limited', () => {
  const all = Array.from({ length: ITEMS_MAX }, (_, index) => ({
    id: String(index),
    text: 'x',
    done: false,
  }));
  expect(changed(all.slice(1), adding('one more')).ok).toBe(true);
  expect(changed(all, adding('one more'))).toMatchObject({ error: { kind: 'TooMany' } });
  const long = (length: number): Change => ({
    kind: 'Add',
    value: { item: { id: 'a', text: 'x'.repeat(length), done: false }, before: undefined },
  });
  expect(changed([], long(TEXT_CHARS_MAX)).ok).toBe(true);
  expect(changed([], long(TEXT_CHARS_MAX + 1))).toMatchObject({ error: { kind: 'TooLong' } });
  let state = emptyBoard();
  for (let index = 0; index <= PAGES_MAX; index++) {
    const change: Change = { kind: 'Tidy' };
    state = decide(state, { page: `page ${index}`, number: 1, change }).board;
  }
  expect(state.pages.size).toBe(PAGES_MAX);
  expect(state.pages.has('page 0')).toBe(false);
  expect(state.changes).toHaveLength(CHANGES_MAX);
});

test('a change that comes twice does nothing the second time', () => {
  const start: Items = [
    { id: 'a', text: 'a', done: true },
    { id: 'b', text: 'b', done: false },
    { id: 'c', text: 'c', done: false },
  ];
  const changes: Change[] = [
    adding('d', 'b'),
    { kind: 'Edit', value: { id: 'b', text: 'B' } },
    { kind: 'Check', value: { id: 'b', done: true } },
    { kind: 'Move', value: { id: 'c', before: 'a' } },
    { kind: 'Move', value: { id: 'a', before: undefined } },
    { kind: 'Move', value: { id: 'a', before: 'a' } },
    { kind: 'Move', value: { id: 'a', before: 'gone' } },
    { kind: 'Remove', value: 'b' },
    { kind: 'Tidy' },
  ];
  for (const change of changes) {
    const once = changed(start, change);
    if (!once.ok) throw new Error(JSON.stringify(change));
    expect(changed(once.value, change)).toEqual(once);
  }
});
