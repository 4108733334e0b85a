/** The host over a link that answers later, as on another thread: same visible behaviour, nothing lost in between. */
import { expect, test } from 'vitest';
import { address } from '../wit/address.ts';
import type { KernelMessage } from '../wit/types.ts';
import { StandardHost, type KernelLink } from './host-standard.ts';
import { bytesOf, FakeClock, requestOf, settle } from './testing.ts';
import { Trap, type Delivery } from './process-host.ts';
import { TimerWheel } from './timer-wheel.ts';

const A = address('fake.os@a:pkg:sys');
const B = address('fake.os@b:pkg:sys');
const capability = { issuer: A, params: '1' };

function scene(more: Partial<KernelLink> = {}): {
  host: StandardHost;
  sent: KernelMessage[];
  clock: FakeClock;
} {
  const sent: KernelMessage[] = [];
  const clock = new FakeClock();
  let id = 0;
  const link: KernelLink = {
    our: A,
    timers: new TimerWheel(clock),
    newId: () => ++id,
    resolve: (target) => target,
    send: async (message) => void sent.push(message),
    filterOutgoing: async (capabilities) => capabilities.slice(0, 1),
    saveCapabilities: async () => undefined,
    dropCapabilities: async () => undefined,
    ourCapabilities: async () => [capability],
    getState: async () => bytesOf('state'),
    setState: async () => undefined,
    clearState: async () => undefined,
    setOnExit: async () => undefined,
    spawn: async () => ({ ok: false, error: 'no-file-at-path' }),
    print: async () => undefined,
    ...more,
  };
  return { host: new StandardHost(link, { kind: 'none' }), sent, clock };
}

const response = (id: KernelMessage['id'], text: string): KernelMessage => ({
  id,
  source: B,
  target: A,
  rsvp: undefined,
  message: {
    kind: 'response',
    response: { inherit: false, body: bytesOf(text), metadata: undefined, capabilities: [] },
    context: undefined,
  },
  blob: undefined,
});

test('K57 attached capabilities are filtered before anything is sent', async () => {
  const { host, sent } = scene();
  const request = requestOf({ capabilities: [capability, { issuer: B, params: '2' }] });
  await host.sendRequest({ target: B, request, context: undefined, blob: undefined });
  const [message] = sent;
  expect(message?.message.kind === 'request' && message.message.request.capabilities).toEqual([
    capability,
  ]);
});

test('K40 an await whose capabilities are checked elsewhere is woken once, with the response or the error', async () => {
  const { host, sent, clock } = scene();
  const woken: (Delivery | Trap)[] = [];
  const ask = (): Delivery | undefined =>
    host.sendAndAwaitResponse(
      B,
      requestOf({ expectsResponse: 2, capabilities: [capability] }),
      undefined,
      (item) => woken.push(item),
    );
  expect(ask()).toBeUndefined();
  expect(sent).toEqual([]);
  await settle();
  host.reply(response(sent[0]?.id ?? 0, 'ok'));
  expect(woken.map((item) => (item instanceof Trap ? item : item.kind))).toEqual(['message']);
  expect(ask()).toBeUndefined();
  await clock.advance(2_100);
  expect(woken.length).toBe(2);
  expect(woken[1]).toMatchObject({ kind: 'send-error', error: { kind: 'timeout' } });
});

test('K44 a check that fails elsewhere traps the awaiting guest instead of leaving it asleep', async () => {
  const { host } = scene({ filterOutgoing: () => Promise.reject(new Error('hart gone')) });
  const woken: unknown[] = [];
  host.sendAndAwaitResponse(
    B,
    requestOf({ expectsResponse: 2, capabilities: [capability] }),
    undefined,
    (item) => woken.push(item),
  );
  await settle();
  expect(woken[0]).toBeInstanceOf(Trap);
});

test('K38 what arrives before the check is done is received later, in order', async () => {
  const { host, sent } = scene();
  const woken: unknown[] = [];
  host.sendAndAwaitResponse(
    B,
    requestOf({ expectsResponse: 2, capabilities: [capability] }),
    undefined,
    (item) => woken.push(item),
  );
  for (const text of ['1', '2']) {
    host.offer({
      ...response(99, text),
      message: { kind: 'request', request: requestOf({ body: bytesOf(text) }) },
    });
  }
  await settle();
  host.reply(response(sent[0]?.id ?? 0, 'ok'));
  expect(woken.length).toBe(1);
  const bodies: Delivery[] = [];
  for (let n = 0; n < 2; n++) {
    const delivery = host.receive(() => undefined);
    if (delivery !== undefined) bodies.push(delivery);
  }
  expect(
    bodies.map(
      (one) =>
        one.kind === 'message' && one.message.kind === 'request' && one.message.request.body[0],
    ),
  ).toEqual([0x31, 0x32]);
});

test('K36 K35 the flag follows the state calls when their answer comes', async () => {
  const { host } = scene();
  expect(await host.getState()).toEqual(bytesOf('state'));
  expect(host.hasBlob()).toBe(true);
  await host.setState(bytesOf('x'));
  expect(host.hasBlob()).toBe(false);
});

test('F2 a closed host refuses every call with a trap', async () => {
  const { host } = scene();
  host.close();
  const calls: (() => unknown)[] = [
    () => host.printToTerminal(0, ''),
    () => host.setOnExit({ kind: 'none' }),
    () => host.getState(),
    () => host.setState(bytesOf('')),
    () => host.clearState(),
    () => host.saveCapabilities([]),
    () => host.dropCapabilities([]),
    () => host.ourCapabilities(),
    () => host.receive(() => undefined),
    () =>
      host.sendRequest({ target: B, request: requestOf({}), context: undefined, blob: undefined }),
    () =>
      host.sendResponse(
        { inherit: false, body: bytesOf(''), metadata: undefined, capabilities: [] },
        undefined,
      ),
    () =>
      host.sendAndAwaitResponse(B, requestOf({ expectsResponse: 1 }), undefined, () => undefined),
  ];
  for (const call of calls) expect(call).toThrow(Trap);
  const options = {
    name: 'x',
    wasmPath: '/',
    onExit: { kind: 'none' as const },
    requestCapabilities: [],
    grantCapabilities: [],
    public: false,
  };
  await expect(host.spawn(options)).rejects.toThrow(Trap);
});
