import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { address } from '../../wit/address.ts';
import { FakeKv } from '../lib/testing/fake-kv.ts';
import { FakeSqlite } from '../lib/testing/fake-sqlite.ts';
import { fakeTimer } from '../lib/testing/fake-timer.ts';
import { FakeVfs } from '../lib/testing/fake-vfs.ts';
import type { Sent } from '../lib/testing/memory-host.ts';
import { TestProcess } from '../lib/testing/test-process.ts';
import process from './notebook/index.ts';

const OUR = 'alice.os@notebook:notebook:demo';
const script = { source: address('alice.os@42:notebook:demo') };

class World {
  readonly vfs = new FakeVfs();
  readonly kv = new FakeKv();
  readonly sqlite = new FakeSqlite();
  /** What other processes were sent. */
  readonly shared: Sent[] = [];

  async start(state?: Uint8Array): Promise<TestProcess<never, never>> {
    return (await TestProcess.start(process, {
      our: OUR,
      state,
      peers: {
        'vfs:distro:sys': this.vfs.peer,
        'kv:distro:sys': this.kv.peer,
        'sqlite:distro:sys': this.sqlite.peer,
        'timer:distro:sys': fakeTimer(),
        'reader:other:sys': (sent) => (this.shared.push(sent), '"Shared"'),
      },
    })) as never;
  }
}

/** The result of a call, parsed. */
async function call(
  notebook: TestProcess<never, never>,
  method: string,
  args?: unknown,
  blob?: string,
): Promise<unknown> {
  const body = JSON.stringify(args === undefined ? method : { [method]: args });
  const bytes = blob === undefined ? undefined : new TextEncoder().encode(blob);
  const answer = await notebook.ask(body, {
    ...script,
    blob: bytes && { mime: undefined, bytes },
  });
  const value = JSON.parse(answer ?? 'null') as unknown;
  return typeof value === 'string' ? value : (value as Record<string, unknown>)[method];
}

test('notes are added, listed, found, shown and removed with all that belongs to them', async () => {
  const world = new World();
  const notebook = await world.start();
  expect(await call(notebook, 'Add', { title: 'first', body: '100% of it' })).toBe(1);
  expect(await call(notebook, 'Add', { title: 'second', body: 'test' })).toBe(2);
  await call(notebook, 'Tag', { id: 1, tag: 'work' });
  await call(notebook, 'Tag', { id: 2, tag: 'work' });
  await call(notebook, 'Tag', { id: 1, tag: 'home' });
  const hash = await call(notebook, 'Attach', { id: 1, name: 'a.txt' }, 'content');
  expect(hash).toBe(createHash('sha256').update('content').digest('hex'));
  expect(await call(notebook, 'List', { tag: null })).toEqual([
    { id: 2, title: 'second', tags: ['work'] },
    { id: 1, title: 'first', tags: ['home', 'work'] },
  ]);
  expect(await call(notebook, 'Find', '0% o')).toMatchObject([{ id: 1 }]);
  expect(await call(notebook, 'Find', '0_ o')).toEqual([]);
  expect(await call(notebook, 'List', { tag: 'home' })).toMatchObject([{ id: 1 }]);
  expect(await call(notebook, 'Tags')).toEqual([
    { tag: 'home', notes: 1 },
    { tag: 'work', notes: 2 },
  ]);
  expect(await call(notebook, 'Show', 1)).toEqual({
    id: 1,
    title: 'first',
    body: '100% of it',
    tags: ['home', 'work'],
    attachments: [{ name: 'a.txt', bytes: 7 }],
  });
  await call(notebook, 'Attachment', { id: 1, name: 'a.txt' });
  const answered = notebook.host.responses.at(-1);
  expect(new TextDecoder().decode(answered?.blob?.bytes)).toBe('content');
  await call(notebook, 'Remove', 1);
  await expect(call(notebook, 'Show', 1)).rejects.toMatchObject({ kind: 'NoNote' });
  expect(world.vfs.files.size).toBe(0);
  expect(await call(notebook, 'Tags')).toEqual([{ tag: 'work', notes: 1 }]);
});

test('only processes of the package are served; names that are paths are refused', async () => {
  const notebook = await new World().start();
  await expect(notebook.ask('"Tags"', { source: address('alice.os@x:other:sys') })).rejects.toThrow(
    'package callers',
  );
  await call(notebook, 'Add', { title: 't', body: '' });
  for (const name of ['../x', 'a/b', '']) {
    await expect(call(notebook, 'Attach', { id: 1, name }, 'x')).rejects.toMatchObject({
      kind: 'BadName',
    });
  }
  await expect(call(notebook, 'Attach', { id: 1, name: '..' }, 'x')).rejects.toThrow('BadPath');
  await expect(call(notebook, 'Tag', { id: 1, tag: 'a/b' })).rejects.toMatchObject({
    kind: 'BadTag',
  });
});

test('reminders ring in their order, wake who waits, and outlive the process', async () => {
  const world = new World();
  const first = await world.start();
  await call(first, 'Add', { title: 'tea', body: '' });
  await call(first, 'Remind', { id: 1, in_s: 3_600, text: 'later' });
  await call(first, 'Remind', { id: 1, in_s: 0, text: 'now' });
  const rings = (notebook: typeof first): string[] =>
    notebook.host.prints.map(({ text }) => text).filter((text) => text.startsWith('reminder'));
  await first.run();
  expect(rings(first)).toEqual(['reminder: now (tea)']);
  const waiting = first.host.arrive({
    ...script,
    expectsResponse: 60,
    body: new TextEncoder().encode('"AwaitReminder"'),
  });
  await first.run();
  await call(first, 'Remind', { id: 1, in_s: 0, text: 'wake' });
  await first.run();
  first.host.advance(1);
  await first.run();
  expect(first.answerTo(waiting)).toBe('{"AwaitReminder":"wake"}');
  const again = await world.start();
  const delays = again.host.sent
    .filter(({ target }) => target.process === 'timer:distro:sys')
    .map(({ request }) => new TextDecoder().decode(request.body));
  // One timer, for the one that is left, about an hour ahead.
  expect(delays).toHaveLength(1);
  expect(Number(/\d+/.exec(delays[0] ?? '')?.[0])).toBeGreaterThan(3_500_000);
});

test('settings are kept in the state', async () => {
  const world = new World();
  const notebook = await world.start();
  await call(notebook, 'Configure', { list_max: 1, default_tags: ['new'] });
  await call(notebook, 'Add', { title: 'a', body: '' });
  const again = await world.start(notebook.host.state);
  await call(again, 'Add', { title: 'b', body: '' });
  expect(await call(again, 'List', { tag: null })).toEqual([{ id: 2, title: 'b', tags: ['new'] }]);
});

test('M19 M65 sharing hands over the rights to read, and no more', async () => {
  const world = new World();
  const notebook = await world.start();
  await call(notebook, 'ShareWith', 'reader:other:sys');
  const [sent] = world.shared;
  expect(new TextDecoder().decode(sent?.request.body)).toBe(
    '{"Shared":{"database":"notes","drive":"/notebook:demo/attachments"}}',
  );
  expect(sent?.request.capabilities.map(({ issuer, params }) => [issuer.process, params])).toEqual([
    [
      'sqlite:distro:sys',
      '{"kind":"read","db_key":[{"package_name":"notebook","publisher_node":"demo"},"notes"]}',
    ],
    ['vfs:distro:sys', '{"kind":"read","drive":"/notebook:demo/attachments"}'],
  ]);
});
