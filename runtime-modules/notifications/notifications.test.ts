/** What notifications is asked and answers, and what it keeps (runtime-modules.md §11). */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MemoryStore } from '../../kernel/store.ts';
import { moduleId } from '../../wit/address.ts';
import { PAYLOAD_BYTES_MAX, QUEUE_MAX, SUBSCRIPTIONS_MAX, SUBSCRIPTION_MS_MAX } from './limits.ts';
import { add, Browser, FROM, scene, send, type Store, WALL_MS } from './testing.ts';

test('M254 GetPublicKey twice gives the same 87 characters; InitializeKeys replaces them', async () => {
  await using at = scene();
  const first = await at.ask('GetPublicKey');
  expect(first).toEqual({ PublicKey: expect.stringMatching(/^B[\w-]{86}$/) });
  expect(await at.ask('GetPublicKey')).toEqual(first);
  expect(await at.ask('InitializeKeys')).toBe('KeysInitialized');
  const second = await at.ask('GetPublicKey');
  expect(second).not.toEqual(first);
  expect(await at.ask({ GetPublicKey: null })).toEqual(second);
});

test('M255 subscriptions are added, replaced, read, removed, cleared', async () => {
  await using at = scene();
  const get = (endpoint: string): Promise<unknown> => at.ask({ GetSubscription: { endpoint } });
  const one = new Browser('https://push.example/1');
  const again = new Browser('https://push.example/1');
  const two = new Browser('https://push.example/2');
  expect(await get(one.endpoint)).toEqual({ SubscriptionInfo: null });
  expect(await at.ask(add(one))).toBe('SubscriptionAdded');
  expect(await get(one.endpoint)).toEqual({ SubscriptionInfo: one.subscription(WALL_MS) });
  expect(await at.ask(add(again, 5))).toBe('SubscriptionAdded');
  expect(await get(one.endpoint)).toEqual({ SubscriptionInfo: again.subscription(5) });
  expect(await at.ask(add(two))).toBe('SubscriptionAdded');
  expect(await get(one.endpoint), 'older than 30 days, forgotten when another is added').toEqual({
    SubscriptionInfo: null,
  });
  expect(await at.ask({ RemoveSubscription: { endpoint: two.endpoint } })).toBe(
    'SubscriptionRemoved',
  );
  expect(await at.ask({ RemoveSubscription: { endpoint: 'unknown' } })).toBe('SubscriptionRemoved');
  expect(await get(two.endpoint)).toEqual({ SubscriptionInfo: null });
  await at.ask(add(one));
  expect(await at.ask('ClearSubscriptions')).toBe('SubscriptionsCleared');
  expect(await get(one.endpoint)).toEqual({ SubscriptionInfo: null });
});

test('M255 the thirty days, on both sides', async () => {
  let nowMs = WALL_MS;
  await using at = scene({ wallMs: () => nowMs });
  const one = new Browser('https://push.example/1');
  const present = async (): Promise<boolean> =>
    JSON.stringify(await at.ask({ GetSubscription: { endpoint: one.endpoint } })).includes(
      'p256dh',
    );
  await at.ask(add(one));
  nowMs += SUBSCRIPTION_MS_MAX;
  await at.ask(add(new Browser('https://push.example/2')));
  expect(await present()).toBe(true);
  nowMs += 1;
  await at.ask(add(new Browser('https://push.example/3')));
  expect(await present()).toBe(false);
});

test('M258 what cannot be done is answered with its reason', async () => {
  await using at = scene();
  const because = (kind: string, why: RegExp): unknown => ({
    Err: { [kind]: { error: expect.stringMatching(why) } },
  });
  expect(await at.ask(send('x'))).toEqual({ Err: 'KeysNotInitialized' });
  await at.ask('InitializeKeys');
  expect(await at.ask(send('x'))).toEqual(because('SendError', /no browser is subscribed/));
  expect(await at.ask('{')).toEqual(because('BadJson', /./));
  expect(
    await at.ask({
      AddSubscription: { subscription: { endpoint: 'https://x', keys: { p256dh: '', auth: '' } } },
    }),
  ).toEqual(because('BadJson', /created_at/));
  const good = new Browser('https://push.example/').subscription() as {
    keys: { p256dh: string; auth: string };
  };
  for (const [subscription, why] of [
    [{ ...good, endpoint: 'http://push.example/' }, /no https URL/],
    [{ ...good, endpoint: 'x' }, /no https URL/],
    [{ ...good, endpoint: `https://x/${'a'.repeat(3000)}` }, /longer than 2048/],
    [{ ...good, keys: { ...good.keys, p256dh: `B${'A'.repeat(86)}` } }, /no P-256 point/],
    [{ ...good, keys: { ...good.keys, p256dh: 'AA' } }, /no P-256 point/],
    [{ ...good, keys: { ...good.keys, auth: 'AA' } }, /not 16 bytes/],
  ] as const)
    expect(await at.ask({ AddSubscription: { subscription } })).toEqual(because('BadRequest', why));
  await at.ask({ AddSubscription: { subscription: good } });
  const empty = JSON.stringify({ title: 't', body: '', icon: null, data: null }).length;
  expect(await at.ask(send('t', { body: 'x'.repeat(PAYLOAD_BYTES_MAX - empty) }))).toBe(
    'NotificationSent',
  );
  expect(await at.ask(send('t', { body: 'x'.repeat(PAYLOAD_BYTES_MAX - empty + 1) }))).toEqual(
    because('BadRequest', /3994 bytes/),
  );
  for (let n = 1; n < QUEUE_MAX; n += 1) expect(await at.ask(send('x'))).toBe('NotificationSent');
  expect(await at.ask(send('x'))).toEqual(because('SendError', /100 notifications are waiting/));
});

test('M258 replies go out only when wanted, without metadata', async () => {
  await using at = scene();
  expect(
    await at.bench.ask({ from: FROM, body: '"GetPublicKey"', expectsResponse: false }),
  ).toBeUndefined();
  expect(await at.bench.ask({ from: FROM, body: '"GetPublicKey"', metadata: 'm' })).toMatchObject({
    metadata: undefined,
    blob: undefined,
  });
  expect(await at.bench.ask({ from: `bob.os@${FROM}`, body: '"GetPublicKey"' })).toBeUndefined();
  expect(at.port.prints[0]).toMatchObject({ verbosity: 2 });
});

test('subscriptions are limited', async () => {
  await using at = scene();
  for (let n = 0; n < SUBSCRIPTIONS_MAX; n += 1)
    expect(await at.ask(add(new Browser(`https://push.example/${n}`)))).toBe('SubscriptionAdded');
  expect(await at.ask(add(new Browser('https://push.example/x')))).toEqual({
    Err: { BadRequest: { error: expect.stringContaining('100 subscriptions') } },
  });
  expect(await at.ask(add(new Browser('https://push.example/0'))), 'replacing').toBe(
    'SubscriptionAdded',
  );
});

test('M259 H22 keys and subscriptions both survive a restart, in either order of writing', async () => {
  const one = new Browser('https://push.example/1');
  {
    const store = new MemoryStore();
    {
      await using at = scene({ store });
      await at.ask(add(one));
      await at.ask('InitializeKeys');
    }
    await using at = scene({ store });
    const found = await at.ask({ GetSubscription: { endpoint: one.endpoint } });
    expect(found).toEqual({ SubscriptionInfo: one.subscription(WALL_MS) });
  }
  const store = new MemoryStore();
  let key: unknown;
  {
    await using at = scene({ store });
    key = await at.ask('GetPublicKey');
    await at.ask(add(one));
  }
  await using at = scene({ store });
  expect(await at.ask('GetPublicKey')).toEqual(key);
  expect(await at.ask({ GetSubscription: { endpoint: one.endpoint } })).toEqual({
    SubscriptionInfo: one.subscription(WALL_MS),
  });
  const kept = JSON.parse(
    Buffer.from((await store.readState(moduleId('notifications'))) ?? []).toString(),
  ) as object;
  expect(kept).toEqual({
    public_key: expect.stringMatching(/^[\w-]{87}$/),
    private_key: expect.stringMatching(/^[\w-]{43}$/),
  });
});

test('a store that fails is a StateError, and nothing is taken as done; damaged keys are not replaced unasked', async () => {
  const memory = new MemoryStore();
  let failing = true;
  const store: Store = {
    readState: (id) => memory.readState(id),
    commit: (changes) =>
      failing ? Promise.reject(new Error('the disk is full')) : memory.commit(changes),
  };
  await using at = scene({ store });
  const broken = { Err: { StateError: { error: 'the disk is full' } } };
  expect(await at.ask('GetPublicKey')).toEqual(broken);
  const one = new Browser('https://push.example/1');
  expect(await at.ask(add(one))).toEqual(broken);
  expect(await at.ask({ GetSubscription: { endpoint: one.endpoint } })).toEqual({
    SubscriptionInfo: null,
  });
  failing = false;
  for (const damaged of [
    'x',
    '{}',
    '[]',
    '{"public_key":"","private_key":""}',
    `{"public_key":"x","private_key":"${'A'.repeat(43)}"}`,
  ]) {
    await memory.commit([
      { kind: 'put-state', id: moduleId('notifications'), bytes: Buffer.from(damaged) },
    ]);
    expect(await at.ask('GetPublicKey'), damaged).toEqual({
      Err: { StateError: { error: expect.stringMatching(/InitializeKeys makes new ones$/) } },
    });
  }
  expect(await at.ask('InitializeKeys')).toBe('KeysInitialized');
});

test('M258 hostile bodies are answered and never throw', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  await using at = scene();
  const names = fc.constantFrom(
    'SendNotification',
    'AddSubscription',
    'GetSubscription',
    'GetPublicKey',
    '__proto__',
    'x',
  );
  const bodies = fc.oneof(
    fc.uint8Array(),
    fc
      .tuple(names, fc.jsonValue())
      .map(([name, value]) => Buffer.from(JSON.stringify({ [name]: value }))),
    fc
      .record({
        endpoint: fc.webUrl(),
        p256dh: fc.string(),
        auth: fc.string(),
        created_at: fc.maxSafeNat(),
      })
      .map(({ endpoint, p256dh, auth, created_at }) =>
        Buffer.from(
          JSON.stringify({
            AddSubscription: { subscription: { endpoint, keys: { p256dh, auth }, created_at } },
          }),
        ),
      ),
  );
  await fc.assert(
    fc.asyncProperty(bodies, async (body) => {
      expect(await at.bench.ask({ from: FROM, body })).toBeDefined();
    }),
    { seed, numRuns: 500 },
  );
});
