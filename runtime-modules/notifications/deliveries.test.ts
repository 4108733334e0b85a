/** Web push to a real push service that reads what it gets (runtime-modules.md §11). */
import { createPublicKey, verify } from 'node:crypto';
import { expect, test } from 'vitest';
import { turn, until } from '../shared/testing.ts';
import { DELIVERY_MS_MAX, SPACING_MS, TOKEN_S } from './limits.ts';
import { add, Browser, pushService, scene, send, WALL_MS, world } from './testing.ts';

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
