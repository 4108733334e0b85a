/** Spawn: K70 - K78. The vfs is a runtime module that knows a few paths. */
import { expect, test } from 'vitest';
import { processId } from '../wit/address.ts';
import { parseJson, type JsonObject } from '../wit/json.ts';
import type { Capability, ProcessId, Result, SpawnOptions } from '../wit/types.ts';
import type { RuntimeModule } from './module.ts';
import {
  bytesOf,
  settle,
  TestNode,
  textOf,
  type GuestApi,
  type GuestCode,
  type StartOptions,
} from './testing.ts';

const PARENT = 'parent:pkg:sys';
const at = (id: string): string => `fake.os@${id}`;
const idle: GuestCode = async (guest) => {
  for (;;) await guest.receive();
};

function filesModule(files: Map<string, Uint8Array>): RuntimeModule<Uint8Array | undefined> {
  return {
    name: 'vfs',
    public: false,
    decode(request) {
      const body = parseJson(request.body) as JsonObject;
      return { ok: true, value: files.get(body['path'] as string) };
    },
    handle: (bytes) =>
      Promise.resolve(
        bytes === undefined
          ? { body: bytesOf('{"Err":"FileNotFound"}') }
          : { body: bytesOf('"Read"'), blob: { mime: undefined, bytes } },
      ),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

const options = (more: Partial<SpawnOptions> = {}): SpawnOptions => ({
  name: 'child',
  wasmPath: '/pkg:sys/pkg/child.wasm',
  onExit: { kind: 'none' },
  requestCapabilities: [],
  grantCapabilities: [],
  public: false,
  ...more,
});

interface Scene {
  readonly node: TestNode;
  readonly result: Result<ProcessId, string> | undefined;
  readonly children: GuestApi[];
}

/** Runs one parent that does `act`, with `/pkg:sys/pkg/child.wasm` in the vfs. */
async function scene(
  act: (guest: GuestApi, node: TestNode) => Promise<Result<ProcessId, string> | undefined>,
  more: StartOptions & { readonly child?: GuestCode; readonly noVfs?: boolean } = {},
): Promise<Scene> {
  const node = new TestNode();
  const children: GuestApi[] = [];
  const child = more.child ?? idle;
  const wasm = node.engine.component('child', (guest) => {
    children.push(guest);
    return child(guest);
  });
  if (more.noVfs !== true) {
    node.kernel.registerModule(filesModule(new Map([['/pkg:sys/pkg/child.wasm', wasm]])));
  }
  let result: Result<ProcessId, string> | undefined;
  await node.start(
    PARENT,
    async (guest) => {
      result = await act(guest, node);
      await idle(guest);
    },
    { ...more, holds: ['vfs:distro:sys', ...(more.holds ?? [])] },
  );
  for (let turn = 0; turn < 3; turn++) await settle();
  return { node, result, children };
}

test("K70 without a name: a decimal 64-bit name in the caller's package", async () => {
  const { result, children } = await scene(
    (guest) => guest.host.spawn(options({ name: undefined })) as Promise<Result<ProcessId, string>>,
  );
  if (result?.ok !== true) throw new Error(JSON.stringify(result));
  expect(result.value).toMatch(/^\d{1,20}:pkg:sys$/);
  expect(children[0]?.our.process).toBe(result.value);
});

test('K71 child and parent can message each other, the child from its first instruction on', async () => {
  const seen: string[] = [];
  await scene(
    async (guest) => {
      await guest.host.spawn(options());
      const { source, body } = await guest.request();
      seen.push(`${source.process} ${body}`);
      await guest.send(at('child:pkg:sys'), { body: bytesOf('hello child') });
      return undefined;
    },
    {
      child: async (guest) => {
        await guest.send(at(PARENT), { body: bytesOf('hello parent') });
        seen.push((await guest.request()).body);
      },
    },
  );
  expect(seen).toEqual(['child:pkg:sys hello parent', 'hello child']);
});

test('K72 request-capabilities that the caller does not hold are not given', async () => {
  const held: Capability = {
    issuer: { node: 'fake.os', process: processId('x:y:z') },
    params: '"held"',
  };
  const notHeld: Capability = { ...held, params: '"not held"' };
  const { node } = await scene(
    (guest) =>
      guest.host.spawn(options({ requestCapabilities: [held, notHeld] })) as Promise<
        Result<ProcessId, string>
      >,
    { holds: [held] },
  );
  const params = node.kernel
    .processMap()
    .get(processId('child:pkg:sys'))
    ?.capabilities.map((capability) => capability.params);
  expect(params).toContain('"held"');
  expect(params).not.toContain('"not held"');
});

test('K73 grant-capabilities gives params verbatim, also to a module; unknown processes are ignored', async () => {
  const { node, result } = await scene(
    (guest) =>
      guest.host.spawn(
        options({
          grantCapabilities: [
            { process: processId('vfs:distro:sys'), params: '{ "x": 1 }' },
            { process: processId('no:such:process'), params: '"messaging"' },
          ],
        }),
      ) as Promise<Result<ProcessId, string>>,
  );
  expect(result?.ok).toBe(true);
  const granted = node.kernel
    .processMap()
    .get(processId('vfs:distro:sys'))
    ?.capabilities.find((capability) => capability.issuer.process === 'child:pkg:sys');
  expect(granted?.params).toBe('{ "x": 1 }');
});

test('K74 no such file, no vfs capability, no vfs: no-file-at-path', async () => {
  const expected = { ok: false, error: 'no-file-at-path' };
  const missing = await scene(
    (guest) =>
      guest.host.spawn(options({ wasmPath: '/nowhere' })) as Promise<Result<ProcessId, string>>,
  );
  expect(missing.result).toEqual(expected);
  const unable = await scene(async (guest, node) => {
    await guest.host.dropCapabilities([node.messaging('vfs:distro:sys')]);
    return guest.host.spawn(options());
  });
  expect(unable.result).toEqual(expected);
  const absent = await scene(
    (guest) => guest.host.spawn(options()) as Promise<Result<ProcessId, string>>,
    { noVfs: true },
  );
  expect(absent.result).toEqual(expected);
});

test('K75 an unsafe name traps the caller', async () => {
  const { node } = await scene(
    (guest) =>
      guest.host.spawn(options({ name: 'Bad_Name' })) as Promise<Result<ProcessId, string>>,
  );
  expect(node.sink.at(0).join()).toMatch(
    /ended with an error:\nspawn: "Bad_Name:pkg:sys" is no safe process id/,
  );
});

test('K76 a live duplicate: ok with its id, no second instance, no stray run', async () => {
  const received: string[] = [];
  const { result, children } = await scene(
    async (guest) => {
      await guest.host.spawn(options());
      return guest.host.spawn(options());
    },
    {
      child: async (guest) => {
        for (;;) received.push((await guest.request()).body);
      },
    },
  );
  expect(result).toEqual({ ok: true, value: 'child:pkg:sys' });
  expect(children.length).toBe(1);
  expect(received).toEqual([]);
});

test('K77 spawn keeps last-blob and hides get-blob', async () => {
  const seen: unknown[] = [];
  await scene(async (guest) => {
    await guest.send(at(PARENT), {}, { blob: { mime: undefined, bytes: bytesOf('mine') } });
    await guest.receive();
    await guest.host.spawn(options());
    const last = guest.host.lastBlob();
    seen.push(
      guest.host.hasBlob(),
      guest.host.getBlob(),
      last === undefined ? '' : textOf(last.bytes),
    );
    return undefined;
  });
  expect(seen).toEqual([false, undefined, 'mine']);
});

test('K77 what arrives while spawn reads its file is received afterwards', async () => {
  const seen: string[] = [];
  await scene(async (guest) => {
    await guest.send(at(PARENT), { body: bytesOf('before') });
    await guest.host.spawn(options());
    seen.push((await guest.request()).body);
    return undefined;
  });
  expect(seen).toEqual(['before']);
});

test("K78 the child gets the caller's wit_version; public is honoured", async () => {
  const { node } = await scene(
    (guest) => guest.host.spawn(options({ public: true })) as Promise<Result<ProcessId, string>>,
  );
  const child = node.kernel.processMap().get(processId('child:pkg:sys'));
  expect(child).toMatchObject({
    witVersion: 1,
    public: true,
    wasmBytesHandle: '/pkg:sys/pkg/child.wasm',
  });
});

test('F6 no room for another process: spawn fails with a level-0 line and leaves nothing behind', async () => {
  const { node, result } = await scene(async (guest, inside) => {
    inside.engine.refusal = 'too many live processes';
    return guest.host.spawn(options());
  });
  expect(result).toEqual({ ok: false, error: 'no-file-at-path' });
  expect(node.sink.at(0).join()).toMatch(/cannot start child:pkg:sys: too many live processes/);
  expect(node.kernel.processMap().has(processId('child:pkg:sys'))).toBe(false);
});
