/** How the kernel runs runtime modules: answers, order, cancellation, quotas (style guide §3.1, runtime-modules.md §1.2). */
import { describe, expect, test } from 'vitest';
import { processId } from '../wit/address.ts';
import { MAILBOX_MESSAGES_MAX, MODULE_JOBS_PER_SOURCE_MAX } from './limits.ts';
import type { Answer, KernelPort, ModuleRequest, RuntimeModule } from './module.ts';
import { bytesOf, requestOf, settle, TestNode, textOf, type GuestApi } from './testing.ts';

const A = 'a:pkg:sys';
const B = 'b:pkg:sys';
const MODULE = 'fake.os@store:distro:sys';

interface Work {
  readonly name: string;
  readonly key: string | undefined;
}

/** Work is `name` or `name/key`; it ends when the test says so. */
class SlowModule implements RuntimeModule<Work> {
  readonly name = 'store';
  readonly public = true;
  readonly log: string[] = [];
  readonly aborted: string[] = [];
  readonly requests: ModuleRequest[] = [];
  disposed = 0;
  readonly #ends = new Map<string, (answer: Answer | undefined) => void>();

  decode(request: ModuleRequest): ReturnType<RuntimeModule<Work>['decode']> {
    this.requests.push(request);
    const [name = '', key] = textOf(request.body).split('/');
    if (name === 'throw') throw new Error('bug in decode');
    if (name === 'refuse') return { ok: false, error: { body: bytesOf('refused') } };
    if (name === 'silent') return { ok: false, error: undefined };
    this.log.push(`decoded ${name}`);
    return { ok: true, value: { name, key } };
  }

  orderKey(work: Work): string | undefined {
    return work.key;
  }

  handle(work: Work, signal: AbortSignal): Promise<Answer | undefined> {
    this.log.push(`started ${work.name}`);
    return new Promise((resolve, reject) => {
      this.#ends.set(work.name, resolve);
      signal.addEventListener('abort', () => {
        this.aborted.push(work.name);
        reject(new DOMException('aborted', 'AbortError'));
      });
      if (work.name === 'crash') reject(new Error('bug in handle'));
    });
  }

  end(name: string, answer: Answer | undefined = { body: bytesOf(name) }): void {
    this.#ends.get(name)?.(answer);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.disposed++;
    return Promise.resolve();
  }
}

async function scene(
  act: (guest: GuestApi) => Promise<void>,
): Promise<{ node: TestNode; module: SlowModule }> {
  const node = new TestNode();
  const module = new SlowModule();
  node.kernel.registerModule(module);
  await node.kernel.grant(processId('store:distro:sys'), [node.messaging(A), node.messaging(B)]);
  await node.start(A, act);
  return { node, module };
}

const idle = async (guest: GuestApi): Promise<void> => {
  for (;;) await guest.receive();
};

test('work is decoded in arrival order; equal keys wait for each other, others do not', async () => {
  const { module } = await scene(async (guest) => {
    for (const body of ['1/x', '2/x', '3/y', '4'])
      await guest.send(MODULE, { body: bytesOf(body) });
    await idle(guest);
  });
  expect(module.log).toEqual([
    'decoded 1',
    'started 1',
    'decoded 2',
    'decoded 3',
    'started 3',
    'decoded 4',
    'started 4',
  ]);
  module.end('1');
  await settle();
  expect(module.log.at(-1)).toBe('started 2');
});

test('refusals are answered at once or not at all; a throw is a level-0 line and no answer', async () => {
  const seen: string[] = [];
  const { node } = await scene(async (guest) => {
    for (const name of ['refuse', 'silent', 'throw', 'crash']) {
      const awaited = await guest.sendAndAwait(MODULE, { body: bytesOf(name), expectsResponse: 1 });
      seen.push(
        awaited.ok && awaited.value.message.kind === 'response'
          ? textOf(awaited.value.message.response.body)
          : 'error',
      );
    }
  });
  await node.clock.advance(4_000);
  expect(seen).toEqual(['refused', 'error', 'error', 'error']);
  expect(node.sink.at(0).filter((line) => line.startsWith('bug in store:distro:sys')).length).toBe(
    2,
  );
});

describe('when an answer is sent, where to, and with which metadata', () => {
  const table: [Answer['send'], { expects: boolean; echo?: boolean }, string | undefined][] = [
    [undefined, { expects: true }, 'meta'],
    [undefined, { expects: false }, undefined],
    [undefined, { expects: true, echo: false }, 'none'],
    ['if-expected', { expects: true }, 'none'],
    ['if-expected', { expects: false }, undefined],
    ['always', { expects: true }, 'none'],
    ['always', { expects: true, echo: true }, 'meta'],
    ['always-to-source', { expects: true }, 'none'],
  ];
  for (const [send, { expects, echo }, expected] of table) {
    test(`${send ?? 'default'}, ${expects ? 'expecting' : 'not expecting'}, echo ${echo ?? 'default'}: ${expected ?? 'no answer'}`, async () => {
      let seen: string | undefined;
      const { module } = await scene(async (guest) => {
        await guest.send(MODULE, {
          body: bytesOf('1'),
          metadata: 'meta',
          expectsResponse: expects ? 5 : undefined,
        });
        const delivery = await guest.receive();
        if (delivery.kind === 'message' && delivery.message.kind === 'response') {
          seen = delivery.message.response.metadata ?? 'none';
        }
      });
      module.end('1', {
        body: bytesOf(''),
        ...(send === undefined ? {} : { send }),
        ...(echo === undefined ? {} : { echoMetadata: echo }),
      });
      await settle();
      expect(seen).toBe(expected);
    });
  }

  test('an inherited request without expecting is answered to rsvp, or with always-to-source to its source', async () => {
    const seen: string[] = [];
    const { node, module } = await scene(async (guest) => {
      for (let n = 0; n < 2; n++) {
        const { body } = await guest.request();
        await guest.send(MODULE, { inherit: true, body: bytesOf(body) });
      }
      for (;;) seen.push(`a ${(await guest.receive()).kind}`);
    });
    await node.kernel.grant(processId(B), []);
    await node.start(
      B,
      async (guest) => {
        await guest.send(`fake.os@${A}`, { body: bytesOf('1'), expectsResponse: 9 });
        await guest.send(`fake.os@${A}`, { body: bytesOf('2'), expectsResponse: 9 });
        for (;;) seen.push(`b ${(await guest.receive()).kind}`);
      },
      { holds: [A] },
    );
    module.end('1', { body: bytesOf('') });
    module.end('2', { body: bytesOf(''), send: 'always-to-source' });
    await settle();
    expect(seen).toEqual(['b message']);
  });
});

test('a kill aborts the running work of the requester, and its waiting work never starts; others go on', async () => {
  const { node, module } = await scene(async (guest) => {
    for (const body of ['1/x', '2/x']) await guest.send(MODULE, { body: bytesOf(body) });
    await idle(guest);
  });
  await node.start(B, async (guest) => {
    await guest.send(MODULE, { body: bytesOf('3/x') });
    await idle(guest);
  });
  await node.kernel.kill(processId(A));
  await settle();
  expect(module.aborted).toEqual(['1']);
  expect(module.log.filter((line) => line.startsWith('started'))).toEqual([
    'started 1',
    'started 3',
  ]);
  expect(node.sink.at(0)).toEqual([]);
});

test('shutdown aborts what runs, starts nothing more, and disposes of the module once', async () => {
  const { node, module } = await scene(async (guest) => {
    for (const body of ['1/x', '2/x']) await guest.send(MODULE, { body: bytesOf(body) });
    await idle(guest);
  });
  await node.kernel.shutdown();
  await node.kernel.shutdown();
  expect(module.log.includes('started 2')).toBe(false);
  expect(module.disposed).toBe(1);
});

test('one source can have a thousand unfinished requests; the next one suspends it, at most 5 s', async () => {
  let sent = 0;
  const { node, module } = await scene(async (guest) => {
    for (; sent < MODULE_JOBS_PER_SOURCE_MAX + 2; sent++)
      await guest.send(MODULE, { body: bytesOf(String(sent)) });
    await idle(guest);
  });
  await settle();
  expect(sent).toBe(MODULE_JOBS_PER_SOURCE_MAX);
  module.end('0');
  await settle();
  expect(sent).toBe(MODULE_JOBS_PER_SOURCE_MAX + 1);
  await node.clock.advance(5_100);
  expect(sent).toBe(MODULE_JOBS_PER_SOURCE_MAX + 2);
  expect(node.sink.at(0).join()).toMatch(/dropped a request/);
});

test('F19 processes of one package share its quota of unfinished requests; another package has its own', async () => {
  const storage = {
    use: () => ({ diskBytes: 7, diskBytesMax: Infinity, openHandles: 2 }),
    operationsMax: (of: string) => (of === 'pkg:sys' ? 5 : 1_000),
  };
  const node = new TestNode({ storage });
  const module = new SlowModule();
  node.kernel.registerModule(module);
  const sent = new Map<string, number>();
  const sender = async (guest: GuestApi): Promise<void> => {
    for (let count = 1; count <= 8; count += 1) {
      await guest.send(MODULE, { body: bytesOf(`${guest.our.process}${count}/${count}`) });
      sent.set(guest.our.process, count);
    }
    await idle(guest);
  };
  await node.start(A, sender);
  await node.start(B, sender);
  await node.start('c:other:sys', sender);
  await settle();
  expect(sent.get(A)! + (sent.get(B) ?? 0)).toBe(5);
  expect(sent.get('c:other:sys')).toBe(8);
  const usage = node.kernel.usage();
  expect(usage.get(processId('c:other:sys'))).toMatchObject({ queuedOperations: 8 });
  expect(usage.get(processId(A))).toMatchObject({
    queuedOperations: sent.get(A),
    package: { diskBytes: 7, openHandles: 2 },
  });
  module.end(`${A}1`);
  await settle();
  expect(sent.get(A)! + (sent.get(B) ?? 0)).toBe(6);
});

test('a module knows its caller: local, existing, and what it holds as JSON values', async () => {
  const { node, module } = await scene(async (guest) => {
    await guest.host.saveCapabilities([{ issuer: guest.our, params: '{"a":1,"b":2}' }]);
    await guest.send(MODULE, { body: bytesOf('1') });
    await idle(guest);
  });
  await settle();
  const [request] = module.requests;
  const holds = (params: string): boolean | undefined =>
    request?.caller.holds({ issuer: node.address(A), params });
  expect([request?.local, request?.caller.exists]).toEqual([true, true]);
  expect([holds('{"b":2,"a":1}'), holds('{"a":1}')]).toEqual([true, false]);
  void node.kernel.inject({
    id: 1,
    source: { node: 'bob.os', process: processId(A) },
    target: { node: 'fake.os', process: processId('store:distro:sys') },
    rsvp: undefined,
    message: {
      kind: 'request',
      request: {
        inherit: false,
        expectsResponse: undefined,
        body: bytesOf('2'),
        metadata: undefined,
        capabilities: [],
      },
    },
    blob: undefined,
  });
  const remote = module.requests[1];
  expect([remote?.local, remote?.caller.exists, remote?.caller.holds(node.messaging(A))]).toEqual([
    false,
    false,
    false,
  ]);
});

test('a module that asks gets its response or its send error, with the id send returned, never inside send', async () => {
  const node = new TestNode();
  const seen: string[] = [];
  const ids: unknown[] = [];
  let port: KernelPort | undefined;
  port = node.kernel.registerModule({
    name: 'store',
    public: false,
    decode: () => ({ ok: false, error: undefined }),
    handle: () => Promise.resolve(undefined),
    onResponse: (message) => seen.push(`response ${ids.indexOf(message.id)}`),
    onSendError: (error, id) => seen.push(`${error.kind} ${ids.indexOf(id)}`),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
  await node.start(
    A,
    async (guest) => {
      await guest.request();
      await guest.respond('ok');
      await guest.receive();
    },
    { public: true, holds: ['store:distro:sys'] },
  );
  const ask = (target: string): void => {
    const message = {
      kind: 'request' as const,
      request: {
        inherit: false,
        expectsResponse: 5,
        body: bytesOf(''),
        metadata: undefined,
        capabilities: [],
      },
    };
    const parsed = {
      node: target.split('@')[0] ?? '',
      process: processId(target.split('@')[1] ?? ''),
    };
    ids.push(port?.send({ target: parsed, rsvp: undefined, message, blob: undefined }));
    seen.push('sent');
  };
  ask(`our@${A}`);
  ask('bob.os@b:pkg:sys');
  await settle();
  expect(seen).toEqual(['sent', 'sent', 'offline 1', 'response 0']);
  await expect(port.grant(processId('no:such:process'), [])).resolves.toBe(false);
});

/** A module that notes what it is told about others. */
function witness(seen: string[]): RuntimeModule<never> {
  return {
    name: 'store',
    public: true,
    decode: () => ({ ok: false, error: undefined }),
    handle: () => Promise.resolve(undefined),
    onSendError: (_error, _id, why) => seen.push(why),
    onProcessGone: (process, ending) => seen.push(`${process} ${ending}`),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

test('H15 a module is told whether a process that ended comes back', async () => {
  const node = new TestNode();
  const seen: string[] = [];
  node.kernel.registerModule(witness(seen));
  const over = (): Promise<void> => Promise.resolve();
  const stays = async (guest: GuestApi): Promise<void> => void (await guest.receive());
  await node.start('none:pkg:sys', over);
  await node.start('requests:pkg:sys', over, { onExit: { kind: 'requests', requests: [] } });
  let starts = 0;
  await node.start('again:pkg:sys', (guest) => (starts++ === 0 ? over() : stays(guest)), {
    onExit: { kind: 'restart' },
  });
  await node.start('killed:pkg:sys', stays, { onExit: { kind: 'restart' } });
  await node.kernel.kill(processId('killed:pkg:sys'));
  await settle();
  expect(seen.filter((each) => !each.startsWith('again'))).toEqual([
    'none:pkg:sys ended',
    'requests:pkg:sys ended',
    'killed:pkg:sys ended',
  ]);
  expect(seen.filter((each) => each.startsWith('again'))).toEqual(['again:pkg:sys restarting']);
});

test('a module is told why its request reached nobody', async () => {
  const node = new TestNode();
  const seen: string[] = [];
  const port = node.kernel.registerModule(witness(seen));
  const ask = (target: string): void => {
    const [name = '', process = ''] = target.split('@');
    port.send({
      target: { node: name, process: processId(process) },
      rsvp: undefined,
      message: { kind: 'request', request: requestOf({ expectsResponse: 5 }) },
      blob: undefined,
    });
  };
  const stays = async (guest: GuestApi): Promise<void> => {
    await new Promise(() => guest);
  };
  await node.start(A, stays);
  await node.start(B, stays, { public: true });
  ask(`our@${A}`);
  ask('our@no:such:process');
  ask('bob.os@b:pkg:sys');
  for (let sent = 0; sent <= MAILBOX_MESSAGES_MAX; sent++) ask(`our@${B}`);
  await settle();
  expect(seen).toEqual(['not-permitted', 'gone', 'unreachable', 'full']);
});

test('two modules of one name are a mistake of the composition root', () => {
  const node = new TestNode();
  node.kernel.registerModule(new SlowModule());
  expect(() => node.kernel.registerModule(new SlowModule())).toThrow(/registered already/);
});
