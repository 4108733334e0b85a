/** Typed networking helpers on the in-memory net, and blobs in pieces between two processes. */
import { expect, test } from 'vitest';
import { address } from '../../wit/address.ts';
import type { NetIdentity } from '../../wit/net-api.ts';
import { defineProcess, NoResponse, type Process } from './index.ts';
import { diagnostics, hi, NetError, peer, peers, sign, verify } from './net.ts';
import { FakeNet } from './testing/fake-net.ts';
import { TestProcess } from './testing/test-process.ts';

const BOB: NetIdentity = {
  name: 'bob.os',
  networking_key: 'ab'.repeat(32),
  routing: {
    kind: 'Direct',
    value: { ip: '192.0.2.1', ports: new Map([['tcp', 9_000]]) },
  },
};
const CAROL: NetIdentity = {
  name: 'carol.os',
  networking_key: 'cd'.repeat(32),
  routing: { kind: 'Routers', value: ['bob.os'] },
};

/** A process that has set up, to call helpers with, and its host. */
async function started(fake?: FakeNet): Promise<[Process<unknown>, TestProcess<never, unknown>]> {
  let process: Process<unknown> | undefined;
  const module = defineProcess({
    setup: (made) => void (process = made),
  });
  const run = await TestProcess.start(
    module,
    fake === undefined ? {} : { peers: { 'net:distro:sys': fake.peer } },
  );
  if (process === undefined) throw new Error('it did not start');
  return [process, run as never];
}

/** What a call came to, when the process has run. */
async function outcome<T>(run: TestProcess<never, unknown>, call: Promise<T>): Promise<T> {
  call.catch(() => undefined);
  await run.run();
  run.host.advance(15);
  await run.run();
  return call;
}

test('what net knows of nodes, typed', async () => {
  const net = new FakeNet();
  net.connect(BOB);
  net.known.set('carol.os', CAROL);
  const [process, run] = await started(net);
  expect(await outcome(run, peer(process, 'bob.os'))).toEqual(BOB);
  expect(await outcome(run, peer(process, 'carol.os'))).toEqual(CAROL);
  expect(await outcome(run, peer(process, 'mallory.os'))).toBe(undefined);
  expect(await outcome(run, peers(process))).toEqual([BOB]);
  expect(await outcome(run, diagnostics(process))).toBe('all is well');
});

test('hi is heard by the other node, and fails where nobody is', async () => {
  const net = new FakeNet();
  net.connect(BOB);
  const [process, run] = await started(net);
  expect(await outcome(run, hi(process, 'bob.os', 'good morning'))).toBe('ack');
  expect(net.hellos).toEqual([{ node: 'bob.os', text: 'good morning' }]);
  await expect(outcome(run, hi(process, 'carol.os', 'hm'))).rejects.toBeInstanceOf(NoResponse);
});

test('a signature is of these bytes and this process', async () => {
  const [process, run] = await started(new FakeNet());
  const bytes = Uint8Array.of(1, 2, 3);
  const signature = await outcome(run, sign(process, bytes));
  expect(signature).toHaveLength(64);
  const ours = process.our;
  expect(await outcome(run, verify(process, ours, { bytes, signature }))).toBe(true);
  const other = { bytes: Uint8Array.of(1, 2, 4), signature };
  expect(await outcome(run, verify(process, ours, other))).toBe(false);
  const spy = address('alice.os@spy:spy:sys');
  expect(await outcome(run, verify(process, spy, { bytes, signature }))).toBe(false);
});

test('who forgot to request net is told so', async () => {
  const [process, run] = await started();
  const error = await outcome(run, peers(process)).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(NetError);
  expect(String(error)).toContain('request_capabilities lack "net:distro:sys"');
});
