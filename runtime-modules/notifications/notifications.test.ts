/** Web push with a real push service that reads what it gets (runtime-modules.md §11). */
import {
  createDecipheriv,
  createECDH,
  createPublicKey,
  hkdfSync,
  verify,
  type ECDH,
} from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MemoryStore } from '../../kernel/store.ts';
import { moduleId } from '../../wit/address.ts';
import type { NotificationsRequest } from '../../wit/notifications-api.ts';
import {
  connectorOf,
  selfSigned,
  serveTls,
  type WorldOptions,
} from '../shared/outbound/testing.ts';
import { Bench, TestClock, TestPort } from '../shared/testing.ts';
import { encryptPush, parseBrowserKeys } from './encryption.ts';
import { notifications } from './index.ts';
import {
  DELIVERY_MS_MAX,
  PAYLOAD_BYTES_MAX,
  QUEUE_MAX,
  SPACING_MS,
  SUBSCRIPTIONS_MAX,
  SUBSCRIPTION_MS_MAX,
  TOKEN_S,
} from './limits.ts';

const FROM = 'homepage:homepage:sys';
const WALL_MS = 1_800_000_000_000;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await turn();
};

interface Scene extends AsyncDisposable {
  readonly bench: Bench<NotificationsRequest>;
  readonly clock: TestClock;
  readonly port: TestPort;
  readonly ask: (body: unknown) => Promise<unknown>;
}

type Store = Pick<MemoryStore, 'readState' | 'commit'>;

function scene(
  options: WorldOptions & { readonly store?: Store; readonly wallMs?: () => number } = {},
): Scene {
  const clock = new TestClock();
  const port = new TestPort('notifications');
  const module = notifications()({
    port,
    clock,
    wallMs: options.wallMs ?? (() => WALL_MS),
    store: options.store ?? new MemoryStore(),
    connector: connectorOf(options, clock),
  });
  const bench = new Bench(module, port);
  return {
    bench,
    clock,
    port,
    // A word alone is a variant's name; other text is sent as it is.
    ask: async (body) => {
      const isName = typeof body === 'string' && /^\w{2,}$/.test(body);
      return (await bench.ask({ from: FROM, body: isName ? JSON.stringify(body) : body }))?.body;
    },
    [Symbol.asyncDispose]: () => module[Symbol.asyncDispose](),
  };
}

/** A browser: its keys, and what it makes of a push message. Written from RFC 8291, apart from the module. */
class Browser {
  readonly #key: ECDH = createECDH('prime256v1');
  readonly #auth = Buffer.from('0123456789abcdef');
  readonly endpoint: string;

  constructor(endpoint: string) {
    this.#key.generateKeys();
    this.endpoint = endpoint;
  }

  subscription(created_at = 0): unknown {
    const keys = {
      p256dh: this.#key.getPublicKey('base64url'),
      auth: this.#auth.toString('base64url'),
    };
    return { endpoint: this.endpoint, keys, created_at };
  }

  read(message: Buffer): string {
    const salt = message.subarray(0, 16);
    const idLength = message[20] ?? 0;
    const serverKey = message.subarray(21, 21 + idLength);
    const record = message.subarray(21 + idLength);
    expect([message.readUInt32BE(16), idLength]).toEqual([4096, 65]);
    const info = Buffer.concat([
      Buffer.from('WebPush: info\0'),
      this.#key.getPublicKey(),
      serverKey,
    ]);
    const ikm = Buffer.from(
      hkdfSync('sha256', this.#key.computeSecret(serverKey), this.#auth, info, 32),
    );
    const key = Buffer.from(hkdfSync('sha256', ikm, salt, 'Content-Encoding: aes128gcm\0', 16));
    const nonce = Buffer.from(hkdfSync('sha256', ikm, salt, 'Content-Encoding: nonce\0', 12));
    const decipher = createDecipheriv('aes-128-gcm', key, nonce);
    decipher.setAuthTag(record.subarray(-16));
    const padded = Buffer.concat([decipher.update(record.subarray(0, -16)), decipher.final()]);
    const end = padded.lastIndexOf(2);
    expect(padded.subarray(end + 1).every((byte) => byte === 0)).toBe(true);
    return padded.subarray(0, end).toString();
  }
}

interface Received {
  readonly path: string;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly message: Buffer;
}

const certificate = selfSigned();
const world: WorldOptions = { ca: certificate.cert };

async function pushService(status: (path: string) => number = () => 201) {
  const received: Received[] = [];
  const server = await serveTls((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const path = request.url ?? '';
      received.push({ path, headers: request.headers, message: Buffer.concat(pieces) });
      const answer = status(path);
      if (answer === 0) return;
      response.statusCode = answer;
      response.end();
    });
  }, certificate);
  return Object.assign(server, { received });
}

/** Checks a VAPID header against the key it names, and gives back its claims and that key. */
function claimsOf(authorization: unknown): { readonly claims: unknown; readonly key: string } {
  const match = /^vapid t=([\w-]+)\.([\w-]+)\.([\w-]+), k=([\w-]+)$/.exec(String(authorization));
  const [, header = '', claims = '', signature = '', key = ''] = match ?? [];
  const point = Buffer.from(key, 'base64url');
  const publicKey = createPublicKey({
    format: 'jwk',
    key: {
      kty: 'EC',
      crv: 'P-256',
      x: point.subarray(1, 33).toString('base64url'),
      y: point.subarray(33).toString('base64url'),
    },
  });
  const valid = verify(
    'sha256',
    Buffer.from(`${header}.${claims}`),
    { key: publicKey, dsaEncoding: 'ieee-p1363' },
    Buffer.from(signature, 'base64url'),
  );
  expect(valid).toBe(true);
  expect(JSON.parse(Buffer.from(header, 'base64url').toString())).toEqual({
    typ: 'JWT',
    alg: 'ES256',
  });
  return { claims: JSON.parse(Buffer.from(claims, 'base64url').toString()), key };
}

const send = (title: string, more: object = {}): unknown => ({
  SendNotification: { title, body: 'b', icon: null, data: null, ...more },
});
const add = (browser: Browser, created_at = 0): unknown => ({
  AddSubscription: { subscription: browser.subscription(created_at) },
});

test('RFC 8291 appendix A: the example is encrypted to the same bytes', async () => {
  const bytes = (text: string): Buffer => Buffer.from(text, 'base64url');
  const ephemeral = createECDH('prime256v1');
  ephemeral.setPrivateKey(bytes('yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw'));
  const browser = parseBrowserKeys(
    'BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4',
    'BTBZMqHH6r4Tts7J_aSIgg',
  );
  if (!browser.ok) throw new Error(browser.error);
  const plaintext = Buffer.from('When I grow up, I want to be a watermelon');
  const message = encryptPush(plaintext, browser.value, {
    ephemeral,
    salt: bytes('DGv6ra1nlYgDCS1FRnbzlw'),
  });
  expect(Buffer.from(message).toString('base64url')).toBe(
    'DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN',
  );
});

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

test('M256 a notification is queued at once and arrives encrypted, with a token for that service', async () => {
  await using service = await pushService();
  await using at = scene(world);
  const { PublicKey } = (await at.ask('GetPublicKey')) as { PublicKey: string };
  const browsers = ['/a?x', '/b'].map((path) => new Browser(`${service.origin}${path}`));
  for (const browser of browsers) await at.ask(add(browser));
  const text = `{"SendNotification":{"title":"t","body":"b \\u00e9","icon":"/i.png","data":{"deep":[1,1.0,"x",18446744073709551615]}}}`;
  expect(await at.ask(text)).toBe('NotificationSent');
  expect(service.received).toEqual([]);
  await at.clock.advance(0);
  await until(() => service.received.length === 2);
  for (const browser of browsers) {
    const got = service.received.find(({ path }) => browser.endpoint.endsWith(path));
    if (got === undefined) throw new Error('nothing came');
    expect(browser.read(got.message)).toBe(
      '{"title":"t","body":"b \u00e9","icon":"/i.png","data":{"deep":[1,1.0,"x",18446744073709551615]}}',
    );
    expect(got.headers).toMatchObject({
      'content-encoding': 'aes128gcm',
      ttl: '2419200',
      'content-type': 'application/octet-stream',
      'content-length': String(got.message.length),
    });
    expect(claimsOf(got.headers['authorization'])).toEqual({
      claims: {
        aud: service.origin,
        exp: WALL_MS / 1000 + TOKEN_S,
        sub: 'mailto:admin@hyperware.ai',
      },
      key: PublicKey,
    });
  }
  expect(service.received[0]?.message.subarray(0, 16)).not.toEqual(
    service.received[1]?.message.subarray(0, 16),
  );
});

test('M256 icon and data are null when they are not given', async () => {
  await using service = await pushService();
  await using at = scene(world);
  const browser = new Browser(`${service.origin}/a`);
  await at.ask('InitializeKeys');
  await at.ask(add(browser));
  await at.ask({ SendNotification: { title: 't', body: '' } });
  await at.clock.advance(0);
  await until(() => service.received.length === 1);
  expect(browser.read(service.received[0]?.message ?? Buffer.alloc(0))).toBe(
    '{"title":"t","body":"","icon":null,"data":null}',
  );
});

test('M257 two notifications are 5 s apart, in order', async () => {
  await using service = await pushService();
  await using at = scene(world);
  const browser = new Browser(`${service.origin}/a`);
  await at.ask('InitializeKeys');
  await at.ask(add(browser));
  const titles = (): unknown[] =>
    service.received.map(
      ({ message }) => (JSON.parse(browser.read(message)) as { title: string }).title,
    );
  for (const title of ['one', 'two', 'three'])
    expect(await at.ask(send(title))).toBe('NotificationSent');
  for (let n = 1; n <= 3; n += 1) {
    await at.clock.advance(n === 1 ? 0 : 1);
    await until(() => service.received.length === n);
    for (let again = 0; again < 20; again += 1) await turn();
    await at.clock.advance(SPACING_MS - 1);
    expect(titles()).toEqual(['one', 'two', 'three'].slice(0, n));
  }
  await at.clock.advance(SPACING_MS);
  await at.ask(send('later'));
  await at.clock.advance(0);
  await until(() => service.received.length === 4);
});

test('M257 410 and 404 remove the endpoint; other failures are printed, without what is secret, and keep it', async () => {
  await using service = await pushService((path) => Number(path.slice(1, 4)));
  await using at = scene(world);
  await at.ask('InitializeKeys');
  const browsers = ['/410', '/404', '/500secret', '/201'].map(
    (path) => new Browser(`${service.origin}${path}`),
  );
  const nowhere = new Browser('https://nowhere.example/secret');
  const inner = new Browser('https://10.0.0.1/secret');
  for (const browser of [...browsers, nowhere, inner]) await at.ask(add(browser));
  await at.ask(send('x'));
  await at.clock.advance(0);
  await until(() => at.port.prints.length === 3 && service.received.length === 4);
  for (let again = 0; again < 20; again += 1) await turn();
  const left = [];
  for (const { endpoint } of [...browsers, nowhere, inner])
    if (JSON.stringify(await at.ask({ GetSubscription: { endpoint } })).includes('p256dh'))
      left.push(endpoint.replace(service.origin, ''));
  expect(left).toEqual(['/500secret', '/201', nowhere.endpoint, inner.endpoint]);
  const lines = at.port.prints.map(({ text }) => text).toSorted();
  expect(lines).toEqual([
    expect.stringMatching(/10\.0\.0\.1: .* may not reach/),
    expect.stringMatching(/127\.0\.0\.1:\d+: the push service answered 500$/),
    expect.stringMatching(/nowhere.example: there is no host/),
  ]);
  expect(lines.join('')).not.toContain('secret');
});

test('a push service that does not answer holds up nothing for ever', async () => {
  await using service = await pushService((path) => (path === '/mute' ? 0 : 201));
  await using at = scene(world);
  await at.ask('InitializeKeys');
  for (const path of ['/mute', '/a']) await at.ask(add(new Browser(`${service.origin}${path}`)));
  await at.ask(send('one'));
  await at.ask(send('two'));
  await at.clock.advance(0);
  await until(() => service.received.length === 2);
  await at.clock.advance(DELIVERY_MS_MAX);
  await until(() => at.port.prints.length === 1);
  expect(at.port.prints[0]?.text).toMatch(/no answer within 30 s$/);
  await at.clock.advance(SPACING_MS);
  await until(() => service.received.length === 4);
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

test('closing ends deliveries that are under way', async () => {
  await using service = await pushService(() => 0);
  const at = scene(world);
  await at.ask('InitializeKeys');
  await at.ask(add(new Browser(`${service.origin}/a`)));
  await at.ask(send('x'));
  await at.ask(send('y'));
  await at.clock.advance(0);
  await until(() => service.received.length === 1);
  await at[Symbol.asyncDispose]();
  expect([at.clock.pending, at.port.prints]).toEqual([0, []]);
});
