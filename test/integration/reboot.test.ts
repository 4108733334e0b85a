/** What a reboot does with processes, on a real node inside this process (kernel.md §7.2; K121-K127). */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { buildComponent } from '../../kit/build/component.ts';
import { bootNode, type Node } from '../../bin/node.ts';
import { processId } from '../../wit/address.ts';
import type { OnExit } from '../../wit/types.ts';

let echo: Uint8Array;
beforeAll(async () => {
  echo = await buildComponent(fileURLToPath(new URL('../guests/echo.wat', import.meta.url)));
});

let home: string;
beforeEach(async () => {
  home = join(await mkdtemp(join(tmpdir(), 'hyperloom-reboot-')), 'home');
});
afterEach(() => rm(dirname(home), { recursive: true, force: true }));

const mine = processId('main:mine:me.os');
const HANDLE = '/mine:me.os/pkg/main.wasm';

class Session implements AsyncDisposable {
  readonly node: Node;
  readonly #text: () => string;
  constructor(node: Node, text: () => string) {
    this.node = node;
    this.#text = text;
  }

  static async boot(): Promise<Session> {
    const output = new PassThrough();
    let text = '';
    output.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const node = await bootNode({
      home,
      fakeNodeName: 'test.dev',
      detached: true,
      logging: false,
      verbosity: 2,
      input: new PassThrough(),
      output,
      quit: () => undefined,
    });
    return new Session(node, () => text);
  }

  get text(): string {
    return this.#text();
  }

  async type(line: string, pattern: RegExp): Promise<void> {
    const from = this.text.length;
    this.node.enter(line);
    await expect.poll(() => this.text.slice(from)).toMatch(pattern);
  }

  /** Installs the echo as a package of the user's would be: its file in the vfs, then Initialize and Run. */
  async install(onExit: OnExit): Promise<void> {
    const path = join(home, 'vfs', HANDLE);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, echo);
    const capabilities = [
      {
        issuer: { node: 'test.dev', process: processId('kernel:distro:sys') },
        params: '"messaging"',
      },
    ];
    const settings = {
      id: mine,
      wasmBytesHandle: HANDLE,
      witVersion: 1,
      onExit,
      public: true,
      capabilities,
    };
    expect(await this.node.kernel.initialize(settings, echo)).toMatchObject({ ok: true });
    expect(this.node.kernel.run(mine)).toBeUndefined();
  }

  close(): Promise<void> {
    return this.node.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

test('K126 an installed package runs again after a reboot, with its capabilities', async () => {
  {
    await using session = await Session.boot();
    await session.install({ kind: 'restart' });
    await session.type('m our@main:mine:me.os hello -a 5', /terminal:sys: hello/);
  }
  await using again = await Session.boot();
  await again.type('m our@main:mine:me.os hello -a 5', /terminal:sys: hello/);
  const held = again.node.kernel.processMap().get(mine)?.capabilities;
  expect(held?.map(({ issuer, params }) => [issuer.process, params])).toEqual(
    expect.arrayContaining([
      ['kernel:distro:sys', '"messaging"'],
      ['main:mine:me.os', '"messaging"'],
    ]),
  );
});

test('K123 a process whose wasm vanished is dropped from the map, with a line, for good', async () => {
  {
    await using session = await Session.boot();
    await session.install({ kind: 'restart' });
  }
  await rm(join(home, 'vfs', HANDLE));
  for (const [boot, told] of [
    [1, true],
    [2, false],
  ] as const) {
    await using session = await Session.boot();
    expect(session.node.kernel.processMap().has(mine), `boot ${boot}`).toBe(false);
    expect(session.text.includes('main:mine:me.os is removed'), `boot ${boot}`).toBe(told);
  }
});

test('H7 a process with on-exit None is not started by a reboot', async () => {
  {
    await using session = await Session.boot();
    await session.install({ kind: 'none' });
    await session.type('m our@main:mine:me.os hello -a 5', /terminal:sys: hello/);
  }
  await using again = await Session.boot();
  expect(again.node.kernel.processMap().has(mine)).toBe(false);
});

test('K124 a kept process with on-exit Requests fires them at boot, and starts', async () => {
  const kernel = { node: 'test.dev', process: processId('kernel:distro:sys') };
  const request = {
    inherit: false,
    expectsResponse: undefined,
    // Not a command, so that the kernel says from whom it came.
    body: new TextEncoder().encode('"fired at boot"'),
    metadata: undefined,
    capabilities: [],
  };
  {
    await using session = await Session.boot();
    await session.install({
      kind: 'requests',
      requests: [{ target: kernel, request, blob: undefined }],
    });
    expect(session.text).not.toContain('fired at boot');
  }
  await using again = await Session.boot();
  await expect.poll(() => again.text).toMatch(/main:mine:me\.os.*fired at boot/);
  await again.type('m our@main:mine:me.os hello -a 5', /terminal:sys: hello/);
});

test('K121 a bundled process holds what its manifest says and keeps what it gained', async () => {
  const terminal = processId('terminal:terminal:sys');
  const extra = { issuer: { node: 'test.dev', process: mine }, params: '{"gained":true}' };
  const held = (session: Session) => session.node.kernel.processMap().get(terminal)?.capabilities;
  {
    await using session = await Session.boot();
    expect(held(session)).not.toContainEqual(extra);
    expect(held(session)).toContainEqual({
      issuer: { node: 'test.dev', process: processId('vfs:distro:sys') },
      params: '{"drive":"/terminal:sys/pkg","kind":"write"}',
    });
    await session.node.kernel.grant(terminal, [extra]);
  }
  await using again = await Session.boot();
  expect(held(again)).toContainEqual(extra);
  expect(again.node.kernel.processMap().has(processId('tester:tester:sys'))).toBe(false);
});

test('M252 kill ends a process for good, and prints it', async () => {
  {
    await using session = await Session.boot();
    await session.install({ kind: 'restart' });
    await session.type('kill main:mine:me.os', /killed process main:mine:me\.os/);
    expect(session.node.kernel.processMap().has(mine)).toBe(false);
    await session.type('top main:mine:me.os', /process main:mine:me\.os not running/);
  }
  await using again = await Session.boot();
  expect(again.node.kernel.processMap().has(mine)).toBe(false);
});
