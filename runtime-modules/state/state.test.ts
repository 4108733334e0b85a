import * as fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { MemoryStore } from '../../kernel/store.ts';
import { Bench, TestPort } from '../shared/testing.ts';
import { state, type StateWork } from './index.ts';

const TERMINAL = 'terminal:terminal:sys';
let bench: Bench<StateWork>;
let store: MemoryStore;
let backups: number;
beforeEach(() => {
  const port = new TestPort('state');
  store = new MemoryStore();
  backups = 0;
  const backup = (): Promise<void> => {
    backups += 1;
    return Promise.resolve();
  };
  bench = new Bench(state()({ store, backup, port }), port);
});

const ask = (body: unknown, rest: object = {}) => bench.ask({ from: TERMINAL, body, ...rest });

test('K79 set, get and delete by message', async () => {
  expect((await ask({ SetState: 'a:b:c' }, { blob: 'bytes' }))?.body).toBe('SetState');
  const got = await ask({ GetState: 'a:b:c' });
  expect(new TextDecoder().decode(got?.blob?.bytes)).toBe('bytes');
  expect((await ask({ DeleteState: 'a:b:c' }))?.body).toBe('DeleteState');
  expect((await ask({ GetState: 'a:b:c' }))?.body).toEqual({
    Err: { NotFound: { process_id: 'a:b:c' } },
  });
});

test('K82 ordinary packages, remote nodes and look-alikes get no answer', async () => {
  for (const from of ['p:k:q', 'x:distro:evil', 'terminal:sys:distro', `bob.os@${TERMINAL}`])
    expect(await bench.ask({ from, body: { GetState: 'a:b:c' } })).toBeUndefined();
  expect(bench.port.prints.map(({ verbosity }) => verbosity)).toEqual([1, 1, 1, 1]);
  expect(await bench.ask({ from: 'any:distro:sys', body: { DeleteState: 'a:b:c' } })).toBeDefined();
});

test('K83 deleting what is not there succeeds', async () => {
  expect((await ask({ DeleteState: 'no:such:process' }))?.body).toBe('DeleteState');
});

test('K84 GetState: body, mime, metadata echoed, to rsvp', async () => {
  await ask({ SetState: 'a:b:c' }, { blob: '' });
  const rsvp = { node: 'alice.os', process: 'r:s:v' } as never;
  const reply = await ask({ GetState: 'a:b:c' }, { metadata: 'm', rsvp, expectsResponse: false });
  expect(reply).toEqual({
    to: rsvp,
    body: 'GetState',
    blob: { mime: 'application/octet-stream', bytes: new Uint8Array() },
    metadata: 'm',
  });
  expect(await ask({ GetState: 'a:b:c' }, { expectsResponse: false })).toBeUndefined();
});

test('K85 a missing key: NotFound, no blob, no metadata, also when no response was expected', async () => {
  expect(await ask({ GetState: 'a:b:c' }, { metadata: 'm', expectsResponse: false })).toEqual({
    to: { node: 'alice.os', process: TERMINAL },
    body: { Err: { NotFound: { process_id: 'a:b:c' } } },
    blob: undefined,
    metadata: undefined,
  });
});

test('K86 SetState without a blob', async () => {
  expect((await ask({ SetState: 'a:b:c' }))?.body).toEqual({
    Err: { BadBytes: { action: 'SetState' } },
  });
});

test('K84 Backup runs, and is refused where nothing is on disk', async () => {
  expect((await ask('"Backup"'))?.body).toBe('Backup');
  expect(backups).toBe(1);
  const bare = new Bench(state()({ store, port: bench.port }), bench.port);
  expect((await bare.ask({ from: TERMINAL, body: '"Backup"' }))?.body).toHaveProperty(
    'Err.IOError',
  );
});

test('K85 a failing store is an error answer, not a throw', async () => {
  store.commit = () => Promise.reject(new Error('disk on fire'));
  expect((await ask({ SetState: 'a:b:c' }, { blob: 'x' }))?.body).toEqual({
    Err: { RocksDBError: { action: 'SetState', error: 'disk on fire' } },
  });
});

test('M11 writes to one key take effect in the order sent', async () => {
  const writes = ['1', '2', '3', '4'].map((blob) => ask({ SetState: 'a:b:c' }, { blob }));
  await Promise.all(writes);
  expect(new TextDecoder().decode(await store.readState('a:b:c' as never))).toBe('4');
});

test('K86 hostile bodies are BadJson and never throw', async () => {
  const kinds = fc.constantFrom('GetState', 'SetState', 'DeleteState', 'Backup', 'x');
  const bodies = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.uint8Array(),
    fc.json(),
    fc
      .tuple(kinds, fc.oneof(fc.constantFrom('a:b', 'a:b:c:d', '::', ''), fc.integer()))
      .map(([kind, id]) => ({ [kind]: id })),
  );
  await fc.assert(
    fc.asyncProperty(bodies, async (body) => {
      expect((await ask(body))?.body).toHaveProperty('Err.BadJson');
    }),
    { examples: [['{"GetState":"a:b:c"}x'], ['{"GetState":"a:b:c","GetState":"a:b:c"}']] },
  );
});
