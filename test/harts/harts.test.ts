/** Worker harts behind the kernel's interface: placement, messages across threads, the watchdog, moving hogs (architecture.md §2). */
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { HOG_S, WorkerHartPool } from '../../kernel/hart/hart-pool.ts';
import { HeldBlob } from '../../kernel/held-blob.ts';
import { buildComponent } from '../../kit/build/component.ts';
import { KERNEL } from '../../wit/address.ts';
import { encodeSendRefusal } from '../../wit/send-refusal.ts';
import type { LazyLoadBlob } from '../../wit/types.ts';
import { id, testNode, type TestNode } from '../support/node.ts';

const guest = (path: string): Promise<Uint8Array> =>
  buildComponent(fileURLToPath(new URL(path, import.meta.url)));

let echo: Uint8Array;
let requester: Uint8Array;
let spinner: Uint8Array;
let script: Uint8Array;
let sender: Uint8Array;
let relay: Uint8Array;
let toCatcher: Uint8Array;

beforeAll(async () => {
  [echo, requester, spinner, script, sender, relay, toCatcher] = await Promise.all([
    guest('../guests/echo.wat'),
    guest('../bench/guests/requester.wat'),
    guest('./guests/spinner.wat'),
    guest('../guests/echo.ts'),
    guest('../guests/sender.ts'),
    guest('./guests/relay.wat'),
    guest('./guests/to-catcher.wat'),
  ]);
});

interface HartNode extends AsyncDisposable {
  readonly node: TestNode;
  readonly pool: WorkerHartPool;
}

async function hartNode(workers: number): Promise<HartNode> {
  let pool: WorkerHartPool | undefined;
  const node = await testNode({
    harts: (report) =>
      (pool = new WorkerHartPool({
        workers,
        bundled: (process) => process.endsWith(':sys'),
        report,
        freezable: true,
      })),
  });
  return { node, pool: pool!, [Symbol.asyncDispose]: () => node[Symbol.asyncDispose]() };
}

function count(turns: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, turns, true);
  return bytes;
}

async function until(what: () => boolean): Promise<void> {
  while (!what()) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe('placement', () => {
  test('bundled packages stay on hart 0, installed ones are spread over the others', async () => {
    await using made = await hartNode(2);
    await made.node.start('echo:bundled:sys', echo);
    expect(made.pool.harts()).toHaveLength(0);
    await made.node.start('echo:one:os', echo);
    await made.node.start('echo:two:os', echo);
    await made.node.ask('echo:two:os', 'x');
    expect(made.pool.harts().map((hart) => [hart.number, hart.size])).toEqual([
      [1, 1],
      [2, 1],
    ]);
  });

  test('a process that hogs hart 0 moves at its next start, and not before', async () => {
    await using made = await hartNode(1);
    const { node, pool } = made;
    const pid = await node.start('echo:bundled:sys', echo);
    expect((await node.ask('echo:bundled:sys', 'x')).text).toBe('x');
    // What the sampler sees of it: a core, all the time.
    let cpuMs = 0;
    const { promise: ended } = Promise.withResolvers<never>();
    pool.watch(pid, {
      ended,
      kill: () => undefined,
      usage: () => ({ fuel: 0, cpuMs, memoryBytes: 0 }),
    });
    const startMs = performance.now();
    for (let seconds = 5; seconds < HOG_S; seconds += 5) {
      cpuMs = seconds * 1000;
      pool.sample(startMs + cpuMs);
    }
    expect(node.prints).toEqual([]);
    cpuMs = (HOG_S + 5) * 1000;
    pool.sample(startMs + cpuMs);
    expect(node.prints).toMatchObject([
      { text: expect.stringContaining('echo:bundled:sys has used over half a core') },
    ]);
    expect(pool.harts()).toHaveLength(0);
    await node.kernel.kill(pid);
    await node.start('echo:bundled:sys', echo);
    expect((await node.ask('echo:bundled:sys', 'y')).text).toBe('y');
    expect(pool.harts().map((hart) => hart.size)).toEqual([1]);
  });

  test('one that is busy for less time, or with less than half a core, stays', async () => {
    await using made = await hartNode(1);
    const { node, pool } = made;
    const { promise: ended } = Promise.withResolvers<never>();
    let cpuMs = 0;
    pool.watch(id('calm:bundled:sys'), {
      ended,
      kill: () => undefined,
      usage: () => ({ fuel: 0, cpuMs, memoryBytes: 0 }),
    });
    const startMs = performance.now();
    for (let seconds = 5; seconds <= 300; seconds += 5) {
      // Busy for 25 s of every 30, then at 40 %.
      const busy = seconds <= 150 ? seconds % 30 !== 0 : false;
      cpuMs += busy ? 5_000 : 2_000;
      pool.sample(startMs + seconds * 1000);
    }
    expect(node.prints).toEqual([]);
  });
});

describe('messages across harts', () => {
  test('requests, responses and blobs arrive whole and in order, native and TypeScript', async () => {
    await using made = await hartNode(1);
    await made.node.start('echo:bench:sys', echo);
    await made.node.start('requester:bench:os', requester);
    await made.node.start('script:bench:os', script);
    const answer = await made.node.ask('requester:bench:os', count(500));
    expect(new DataView(answer.body.buffer, answer.body.byteOffset).getUint32(0, true)).toBe(500);
    const bytes = Uint8Array.from({ length: 1_000_000 }, (_, i) => i % 251);
    const echoed = await made.node.ask('script:bench:os', 'body', { blob: { mime: 'a/b', bytes } });
    expect(echoed.text).toBe('body');
    expect(echoed.blob?.mime).toBe('a/b');
    expect(Buffer.from(echoed.blob!.bytes).equals(Buffer.from(bytes))).toBe(true);
  });

  test('F15 a blob on its way to another hart is not given back, whatever becomes of its sender', async () => {
    await using made = await hartNode(1);
    const { node } = made;
    const caught: (LazyLoadBlob | undefined)[] = [];
    node.kernel.registerModule({
      name: 'catcher',
      public: true,
      decode: ({ blob }) => {
        caught.push(blob);
        return { ok: false, error: undefined };
      },
      handle: () => Promise.resolve(undefined),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });
    await node.start('relay:bench:os', toCatcher);
    await node.start('relay:bench:sys', relay);
    for (const n of [1, 2, 3]) {
      const blob = new HeldBlob(undefined, new Uint8Array(100_000).fill(n));
      void node.ask('relay:bench:sys', 'x', { blob });
    }
    await until(() => caught.length === 3 || node.prints.length > 0);
    expect(node.prints).toEqual([]);
    expect(caught.map((blob) => [blob?.bytes.length, blob?.bytes[0]])).toEqual([
      [100_000, 1],
      [100_000, 2],
      [100_000, 3],
    ]);
  });

  test('more requests than a mailbox holds are all answered once: room comes back as the guest takes them', async () => {
    await using made = await hartNode(1);
    await made.node.start('echo:far:os', echo);
    const answers: string[] = [];
    for (let round = 0; round < 4; round++) {
      const batch = Array.from({ length: 900 }, (_, i) => `${round} ${i}`);
      const got = await Promise.all(batch.map((body) => made.node.ask('echo:far:os', body)));
      answers.push(...got.map((reply) => reply.text));
    }
    expect(new Set(answers).size).toBe(3_600);
  });

  test('a guest in an endless loop on a worker hart is killed, and the hart goes on', async () => {
    await using made = await hartNode(1);
    const hog = await made.node.start('spinner:far:os', spinner);
    await made.node.start('echo:far:os', echo);
    void made.node.ask('spinner:far:os', '');
    expect((await made.node.ask('echo:far:os', 'still here')).text).toBe('still here');
    expect(await made.node.kernel.kill(hog)).toBe(true);
    await until(() => made.pool.harts()[0]?.size === 1);
    expect((await made.node.ask('echo:far:os', 'and now')).text).toBe('and now');
  });

  test.each([
    [0, 'sender:sender:sys'],
    [1, 'sender:sender:os'],
  ])(
    'F24 on hart %i a process learns that its message is too large for another node',
    async (_, name) => {
      await using made = await hartNode(2);
      const { node } = made;
      const value = { bytes: 70_000_000n, bytes_max: 10_485_800n };
      const refusal = encodeSendRefusal({ kind: 'TooLarge', value });
      node.kernel.setNet({
        send: (message) =>
          (message.blob?.bytes.length ?? 0) > 1_000
            ? node.kernel.failed(message, 'timeout', refusal)
            : node.kernel.failed(message, 'timeout'),
      });
      const network = { issuer: { node: 'test.os', process: KERNEL }, params: '"network"' };
      await node.start(name, sender, { capabilities: [network] });
      expect((await node.ask(name, '2000')).text).toMatch(
        /^MessageTooLarge timeout: 70000000 > 10485800: bob\.os@sink:sink:sys: a message of/,
      );
      expect((await node.ask(name, '10')).text).toBe('NoResponse timeout');
    },
  );

  test('the usage of a process on another hart reaches the kernel', async () => {
    await using made = await hartNode(1);
    const pid = await made.node.start('spinner:far:os', spinner);
    await made.node.ask('spinner:far:os', 'work');
    await until(() => made.node.kernel.usage().get(pid)!.fuel > 1_000_000);
    expect(made.node.kernel.usage().get(pid)).toMatchObject({
      memoryBytes: 131_072,
      state: 'running',
    });
  });
});

describe('watchdog', () => {
  test('a hart that stops answering is torn down, its processes follow their on-exit, and a new hart takes over', async () => {
    await using made = await hartNode(1);
    const { node, pool } = made;
    const restarting = id('echo:again:os');
    const initialized = await node.kernel.initialize(
      {
        id: restarting,
        wasmBytesHandle: '',
        witVersion: 1,
        onExit: { kind: 'restart' },
        public: true,
        capabilities: [],
      },
      echo,
    );
    expect(initialized.ok).toBe(true);
    node.kernel.run(restarting);
    await node.start('echo:once:os', echo);
    expect((await node.ask('echo:again:os', 'before')).text).toBe('before');
    pool.harts()[0]!.freeze();
    await until(() =>
      node.prints.some((line) => 'text' in line && line.text.includes('has not answered')),
    );
    // on-exit none: gone; restart: back by its backoff, on a fresh thread.
    expect(node.kernel.processMap().has(id('echo:once:os'))).toBe(false);
    await until(() => node.kernel.usage().get(restarting)?.restarts === 1);
    expect((await node.ask('echo:again:os', 'after')).text).toBe('after');
    expect(pool.harts().map((hart) => hart.dead)).toEqual([false]);
  });
});
