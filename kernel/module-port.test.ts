/** What modules may do with the kernel beyond answering: requests that wait for room, and capabilities that limit their holder. */
import { expect, test } from 'vitest';
import { processId } from '../wit/address.ts';
import { plainRequest } from '../wit/message.ts';
import type { Capability } from '../wit/types.ts';
import { MAILBOX_MESSAGES_MAX, SUSPENDED_SENDER_S } from './limits.ts';
import type { KernelPort, ModuleRequest, RuntimeModule } from './module.ts';
import { bytesOf, settle, TestNode, textOf, type GuestApi } from './testing.ts';

const A = 'a:pkg:sys';
const idle = async (guest: GuestApi): Promise<void> => {
  for (;;) await guest.receive();
};

function moduleNamed(name: string, more: Partial<RuntimeModule> = {}): RuntimeModule {
  return {
    name,
    public: true,
    decode: () => ({ ok: false, error: undefined }),
    handle: () => Promise.resolve(undefined),
    [Symbol.asyncDispose]: () => Promise.resolve(),
    ...more,
  };
}

const eventTo = (
  node: TestNode,
  process: string,
  text: string,
): Parameters<KernelPort['send']>[0] => ({
  target: node.address(process),
  rsvp: undefined,
  message: { kind: 'request', request: plainRequest(bytesOf(text)) },
  blob: undefined,
});

test('an offer to a process with room is taken at once, to a full one when there is room, else it is full', async () => {
  const node = new TestNode();
  const port = node.kernel.registerModule(moduleNamed('push'));
  const read: string[] = [];
  let go = (): void => undefined;
  const gate = new Promise<void>((resolve) => (go = resolve));
  await node.start(
    A,
    async (guest) => {
      await gate;
      read.push((await guest.request()).body);
      await new Promise(() => undefined);
    },
    { public: true },
  );
  for (let n = 0; n < MAILBOX_MESSAGES_MAX; n += 1)
    expect(port.offer(eventTo(node, A, String(n)))).toBe('taken');
  const waiting = port.offer(eventTo(node, A, 'patient'));
  expect(waiting).toBeInstanceOf(Promise);
  go();
  expect(await waiting).toBe('taken');
  await settle();
  expect(read).toEqual(['0']);
  const late = port.offer(eventTo(node, A, 'late'));
  await node.clock.advance((SUSPENDED_SENDER_S + 1) * 1000);
  expect(await late).toBe('full');
});

test('an offer is refused where nobody is, to a process that did not grant messaging, and when that dies', async () => {
  const node = new TestNode();
  const port = node.kernel.registerModule(moduleNamed('push'));
  expect(port.offer(eventTo(node, 'no:such:process', ''))).toBe('refused');
  await node.start(A, idle);
  expect(port.offer(eventTo(node, A, ''))).toBe('refused');
  await node.start('b:pkg:sys', () => new Promise(() => undefined), { public: true });
  for (let n = 0; n < MAILBOX_MESSAGES_MAX; n += 1) void port.offer(eventTo(node, 'b:pkg:sys', ''));
  const waiting = port.offer(eventTo(node, 'b:pkg:sys', 'last'));
  await node.kernel.kill(processId('b:pkg:sys'));
  expect(await waiting).toBe('full');
});

test('a module sees the id of a request, how long its sender waits, and what that holds of an issuer', async () => {
  const node = new TestNode();
  const requests: ModuleRequest[] = [];
  node.kernel.registerModule(
    moduleNamed('push', {
      decode: (request) => {
        requests.push(request);
        return { ok: false, error: undefined };
      },
    }),
  );
  const own: Capability = { issuer: node.address('push:distro:sys'), params: '{"a":1}' };
  const others: Capability = { ...own, issuer: node.address('other:distro:sys') };
  await node.start(
    A,
    async (guest) => {
      await guest.send('fake.os@push:distro:sys', { expectsResponse: 7 });
      await guest.send('fake.os@push:distro:sys', { expectsResponse: undefined });
    },
    { holds: ['push:distro:sys', own, others] },
  );
  expect(requests.map(({ timeoutS }) => timeoutS)).toEqual([7, undefined]);
  expect(new Set(requests.map(({ id }) => id)).size).toBe(2);
  expect(
    requests[0]?.caller.heldFrom(node.address('push:distro:sys')).map(({ params }) => params),
  ).toEqual(['"messaging"', '{"a":1}']);
});

test('a capability that limits its holder is not dropped, and what the holder spawns has it too', async () => {
  const node = new TestNode();
  node.kernel.registerModule(
    moduleNamed('push', { limits: ({ params }) => params.startsWith('{"only"') }),
  );
  const wasm = node.engine.component('child', idle);
  node.kernel.registerModule(
    moduleNamed('vfs', {
      decode: () => ({
        ok: false,
        error: { body: bytesOf('"Read"'), blob: { mime: undefined, bytes: wasm } },
      }),
    }),
  );
  const issuer = node.address('push:distro:sys');
  const limit: Capability = { issuer, params: '{"only":"b"}' };
  const right: Capability = { issuer, params: '{"may":"c"}' };
  await node.start(
    A,
    async (guest) => {
      await guest.host.dropCapabilities([limit, right]);
      await guest.host.spawn({
        name: 'child',
        wasmPath: '/pkg:sys/pkg/child.wasm',
        onExit: { kind: 'none' },
        requestCapabilities: [],
        grantCapabilities: [],
        public: false,
      });
      await idle(guest);
    },
    { holds: ['vfs:distro:sys', limit, right] },
  );
  for (let turn = 0; turn < 3; turn += 1) await settle();
  const heldBy = (id: string): string[] =>
    (node.kernel.processMap().get(processId(id))?.capabilities ?? []).flatMap(
      ({ issuer: by, params }) => (by.process === issuer.process ? [params] : []),
    );
  expect(heldBy(A)).toEqual(['{"only":"b"}']);
  expect(heldBy('child:pkg:sys')).toEqual(['{"only":"b"}']);
  expect(node.sink.at(0)).toEqual([expect.stringContaining('keeps what limits it')]);
});

test('a module that throws over a capability counts as saying that it limits', async () => {
  const node = new TestNode();
  node.kernel.registerModule(
    moduleNamed('push', {
      limits: ({ params }) => {
        throw new Error(textOf(bytesOf(params)));
      },
    }),
  );
  const limit: Capability = { issuer: node.address('push:distro:sys'), params: '{"only":"b"}' };
  await node.start(
    A,
    (guest) => Promise.resolve(guest.host.dropCapabilities([limit])).then(() => idle(guest)),
    {
      holds: [limit],
    },
  );
  expect(
    node.kernel
      .processMap()
      .get(processId(A))
      ?.capabilities.map(({ params }) => params),
  ).toContain('{"only":"b"}');
});
