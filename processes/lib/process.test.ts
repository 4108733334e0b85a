import { expect, test } from 'vitest';
import {
  client,
  contract,
  defineProcess,
  method,
  NoResponse,
  Refusal,
  RemoteError,
  sleep,
  stateOf,
  t,
} from './index.ts';
import { fakeTimer } from './testing/fake-timer.ts';
import type { Peer } from './testing/memory-host.ts';
import { TestProcess } from './testing/test-process.ts';

const counting = contract(
  { Add: method(t.u32, t.u32), Reset: method(t.unit, t.unit), Fail: method(t.unit, t.unit) },
  { access: { Reset: 'package' } },
);

const counter = defineProcess({
  contract: counting,
  state: stateOf(t.record({ total: t.u32 }), () => ({ total: 0 })),
  on: {
    Add: (n, _context, process) => {
      process.state = { total: process.state.total + n };
      return process.state.total;
    },
    Reset: (_args, _context, process) => {
      process.state = { total: 0 };
    },
    Fail: () => {
      throw new Refusal('Never', 'not today');
    },
  },
});

test('a request is answered under its own name, a unit result as a bare string', async () => {
  const process = await TestProcess.start(counter);
  expect(await process.ask('{"Add":2}')).toBe('{"Add":2}');
  expect(await process.ask('{"Add":3}')).toBe('{"Add":5}');
  const own = { source: process.host.our() };
  expect(await process.ask('"Reset"', own)).toBe('"Reset"');
  expect(await process.ask('{"Add":1}')).toBe('{"Add":1}');
});

test('state is stored before the answer leaves, and read back at the next start', async () => {
  const first = await TestProcess.start(counter);
  const order: string[] = [];
  const { host } = first;
  const setState = host.setState.bind(host);
  host.setState = (bytes) => (order.push('state'), setState(bytes));
  const sendResponse = host.sendResponse.bind(host);
  host.sendResponse = (response, blob) => (order.push('answer'), sendResponse(response, blob));
  await first.ask('{"Add":7}');
  expect(order).toEqual(['state', 'answer']);
  const second = await TestProcess.start(counter, { state: host.state });
  expect(await second.ask('{"Add":1}')).toBe('{"Add":8}');
});

test('refusals, bad requests and forbidden callers are answered with an error', async () => {
  const process = await TestProcess.start(counter);
  await expect(process.ask('"Fail"')).rejects.toMatchObject({
    kind: 'Never',
    message: 'not today',
  });
  await expect(process.ask('{"Add":-1}')).rejects.toMatchObject({ kind: 'BadRequest' });
  await expect(process.ask('nonsense')).rejects.toBeInstanceOf(RemoteError);
  await expect(process.ask('"Reset"')).rejects.toMatchObject({ kind: 'Forbidden' });
});

test('a request that wants no response gets none', async () => {
  const process = await TestProcess.start(counter);
  await process.ask('{"Add":2}', { expectsResponse: undefined });
  await process.ask('"Fail"', { expectsResponse: undefined });
  expect(process.host.responses).toEqual([]);
  expect(await process.ask('{"Add":1}')).toBe('{"Add":3}');
});

const relay = defineProcess({
  onMessage: async (context, process) => {
    const reply = await process.request('far:away:sys', context.body);
    return `${context.text}=${new TextDecoder().decode(reply.body)}`;
  },
});

test('interleaved handlers answer their own requesters, in whatever order responses come', async () => {
  const process = await TestProcess.start(relay);
  const { host } = process;
  const [one, two] = ['one', 'two'].map((text) =>
    host.arrive({ expectsResponse: 5, body: new TextEncoder().encode(text) }),
  );
  await process.run();
  expect(host.sent.map((sent) => new TextDecoder().decode(sent.request.body))).toEqual([
    'one',
    'two',
  ]);
  const [first, second] = host.sent;
  if (first === undefined || second === undefined || one === undefined || two === undefined)
    throw new Error();
  host.answer(second, '2');
  await process.run();
  expect([process.answerTo(one), process.answerTo(two)]).toEqual([undefined, 'two=2']);
  host.answer(first, '1');
  await process.run();
  expect(process.answerTo(one)).toBe('one=1');
});

test('a response that never comes rejects with NoResponse', async () => {
  const errors: unknown[] = [];
  const asking = defineProcess({
    onMessage: async (_context, process) => {
      await process
        .request('far:away:sys', '', { timeoutS: 2 })
        .catch((error) => errors.push(error));
      return 'gave up';
    },
  });
  const process = await TestProcess.start(asking);
  const id = process.host.arrive({ expectsResponse: 9, body: new Uint8Array() });
  await process.run();
  process.host.advance(1);
  await process.run();
  expect(process.answerTo(id)).toBe(undefined);
  process.host.advance(1);
  await process.run();
  expect(process.answerTo(id)).toBe('gave up');
  expect(errors[0]).toBeInstanceOf(NoResponse);
});

test('a handler that waits for another handler still answers its own requester', async () => {
  let release = (): void => {};
  const gate = defineProcess({
    onMessage: async (context) => {
      if (context.text === 'open') {
        release();
        return 'opened';
      }
      await new Promise<void>((resolve) => (release = resolve));
      return 'went through';
    },
  });
  const process = await TestProcess.start(gate);
  const waiting = process.host.arrive({
    expectsResponse: 60,
    body: new TextEncoder().encode('wait'),
  });
  await process.run();
  expect(await process.ask('open')).toBe('opened');
  expect(process.answerTo(waiting)).toBe(undefined);
  process.host.advance(1); // The request to itself, which makes the waiting one current again.
  await process.run();
  expect(process.answerTo(waiting)).toBe('went through');
});

let release = (): void => {};
const waits = defineProcess({
  onMessage: async (context) => {
    if (context.text === 'open') return release();
    await new Promise<void>((resolve) => (release = resolve));
    return 'went through';
  },
});

/** A `TestProcess`, whatever it is. */
type AnyProcess = Pick<TestProcess<never, never>, 'host' | 'run'>;

/** Lets time pass as a node would, millisecond by millisecond. */
async function pass(process: AnyProcess, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 1) {
    process.host.advance(0.001);
    await process.run();
  }
}

async function open(process: AnyProcess): Promise<void> {
  process.host.arrive({ body: new TextEncoder().encode('open') });
  await process.run();
}

async function wait(process: AnyProcess): Promise<number> {
  const id = process.host.arrive({ expectsResponse: 60, body: new Uint8Array([1]) });
  await process.run();
  return id;
}

test('a handler that waits for another message goes on as soon as that has come', async () => {
  const process = await TestProcess.start(waits, { peers: { 'timer:distro:sys': fakeTimer() } });
  for (const waitMs of [0, 20, 300]) {
    const waiting = await wait(process);
    await pass(process, waitMs);
    const { responses } = process.host;
    expect(responses.map(({ id }) => id)).not.toContain(waiting);
    await open(process);
    // No time has passed since.
    expect(process.answerTo(waiting), `${waitMs}`).toBe('went through');
  }
});

test('once the timer has been rung, a handler that waits costs one timer a second', async () => {
  const process = await TestProcess.start(waits, { peers: { 'timer:distro:sys': fakeTimer() } });
  await wait(process);
  await open(process);
  const { sent } = process.host;
  const bodies = (): string[] => sent.map(({ request }) => new TextDecoder().decode(request.body));
  expect(bodies()).toEqual(['{"SetTimer":4}', '{"Ring":"lib:1"}']);
  sent.length = 0;
  const waiting = await wait(process);
  await pass(process, 900);
  await open(process);
  expect(process.answerTo(waiting)).toBe('went through');
  expect(bodies()).toEqual(['{"SetTimer":999}', '{"Ring":"lib:2"}']);
});

test('where the timer cannot be rung, the answer to a request that waited is late by half of that, no more', async () => {
  const timer = fakeTimer();
  const deaf: Peer = (sent, host) =>
    new TextDecoder().decode(sent.request.body).includes('Ring') ? undefined : timer(sent, host);
  for (const waitMs of [20, 300, 5_000]) {
    const process = await TestProcess.start(waits, { peers: { 'timer:distro:sys': deaf } });
    const waiting = await wait(process);
    await pass(process, waitMs);
    await open(process);
    expect(process.answerTo(waiting)).toBe(undefined);
    await pass(process, Math.min(1_000, waitMs / 2 + 5));
    expect(process.answerTo(waiting), `${waitMs}`).toBe('went through');
  }
});

test('a request that is never answered stops costing anything when its requester has given up', async () => {
  const never = defineProcess({ onMessage: (context) => void context.deferReply() });
  const process = await TestProcess.start(never);
  process.host.arrive({ expectsResponse: 3, body: new Uint8Array() });
  for (let second = 0; second < 10; second++) {
    await process.run();
    process.host.advance(1);
  }
  await process.run();
  expect(process.host.sent).toHaveLength(3);
});

test('serial handlers block on their requests and take the next request afterwards', async () => {
  const order: string[] = [];
  const serial = defineProcess({
    concurrency: 'serial',
    onMessage: async (context, process) => {
      order.push(`begin ${context.text}`);
      await sleep(process, 20);
      order.push(`end ${context.text}`);
      return context.text;
    },
  });
  const process = await TestProcess.start(serial, { peers: { 'timer:distro:sys': () => '' } });
  process.host.arrive({ expectsResponse: 5, body: new TextEncoder().encode('a') });
  expect(await process.ask('b')).toBe('b');
  expect(order).toEqual(['begin a', 'end a', 'begin b', 'end b']);
});

test('a blob is still there after its handler has waited, and after state calls', async () => {
  const reader = defineProcess({
    onMessage: async (context, process) => {
      process.host.setState(new Uint8Array([1]));
      await process.request('far:away:sys', '');
      return String(context.blob()?.bytes.length);
    },
  });
  const process = await TestProcess.start(reader);
  const id = process.host.arrive({
    expectsResponse: 5,
    body: new Uint8Array(),
    blob: { mime: undefined, bytes: new Uint8Array(3) },
  });
  await process.run();
  const [sent] = process.host.sent;
  if (sent === undefined) throw new Error('nothing sent');
  process.host.answer(sent, '', { mime: undefined, bytes: new Uint8Array(8) });
  await process.run();
  expect(process.answerTo(id)).toBe('3');
});

test('requests that arrive during setup wait for it, responses do not', async () => {
  const slow = defineProcess({
    setup: async (process) => {
      await process.request('far:away:sys', 'hello');
    },
    onMessage: () => 'ready',
  });
  const process = await TestProcess.start(slow);
  const id = process.host.arrive({ expectsResponse: 60, body: new Uint8Array() });
  await process.run();
  expect(process.answerTo(id)).toBe(undefined);
  const [sent] = process.host.sent;
  if (sent === undefined) throw new Error('nothing sent');
  process.host.answer(sent, '');
  await process.run();
  process.host.advance(1);
  await process.run();
  expect(process.answerTo(id)).toBe('ready');
});

test('a setup that fails ends the process with its error', async () => {
  const broken = defineProcess({
    setup: () => {
      throw new Error('no luck');
    },
  });
  await expect(TestProcess.start(broken)).rejects.toThrow('no luck');
});

test('a client decodes results, errors and nonsense', async () => {
  const seen: unknown[] = [];
  const calling = defineProcess({
    setup: async (process) => {
      const remote = client(process, counting, 'counter:test:sys');
      seen.push(await remote.Add(4));
      seen.push(await remote.Fail().catch((error: unknown) => error));
      seen.push(await remote.Reset().catch((error: unknown) => error));
    },
  });
  const process = await TestProcess.start(calling);
  const answerLast = async (body: string, metadata?: string): Promise<void> => {
    const sent = process.host.sent.at(-1);
    if (sent === undefined) throw new Error('nothing sent');
    process.host.answer(sent, body, undefined, metadata);
    await process.run();
  };
  await answerLast('{"Add":9}');
  await answerLast('{"Err":{"kind":"Never","message":"no"}}', '{"error":true}');
  await answerLast('"Add"');
  expect(seen[0]).toBe(9);
  expect(seen[1]).toMatchObject({ name: 'RemoteError', kind: 'Never', message: 'no' });
  expect(seen[2]).toMatchObject({ name: 'RemoteError', kind: 'BadResponse' });
});

test('what a peer refused or did not answer is passed on by its kind, a fault of ours is Internal', async () => {
  const relaying = defineProcess({
    onMessage: async (context, process) => {
      if (context.text === 'fault') throw new TypeError('oops');
      await client(process, counting, 'counter:test:sys', { timeoutS: 1 }).Fail();
    },
  });
  const process = await TestProcess.start(relaying);
  const begin = async (text: string): Promise<number> => {
    const id = process.host.arrive({ expectsResponse: 60, body: new TextEncoder().encode(text) });
    await process.run();
    return id;
  };
  const kindOf = async (id: number): Promise<unknown> => {
    await process.run();
    try {
      return process.answerTo(id);
    } catch (error) {
      return error instanceof RemoteError ? error.kind : error;
    }
  };
  const refused = await begin('ask');
  const [sent] = process.host.sent;
  if (sent === undefined) throw new Error('nothing sent');
  process.host.answer(sent, '{"Err":{"kind":"Never","message":"no"}}', undefined, '{"error":true}');
  expect(await kindOf(refused)).toBe('Never');
  const silent = await begin('ask');
  process.host.advance(1);
  expect(await kindOf(silent)).toBe('NoResponse');
  expect(await kindOf(await begin('fault'))).toBe('Internal');
  const shown = process.host.prints.filter((print) => print.verbosity === 0);
  expect(shown.map((print) => print.text).join()).toContain('TypeError: oops');
  expect(shown).toHaveLength(1);
});
