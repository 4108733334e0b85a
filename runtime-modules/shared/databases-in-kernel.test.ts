/** kv and sqlite behind a real kernel: who hears their answers, what capabilities they grant, and whose end they learn of. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../kernel/clock.ts';
import { TestNode, type GuestApi } from '../../kernel/testing.ts';
import { processId } from '../../wit/address.ts';
import type { Capability } from '../../wit/types.ts';
import { kv } from '../kv/index.ts';
import { sqlite } from '../sqlite/index.ts';

const MODULES = ['kv', 'sqlite'] as const;
const ME = 'p:a:fake.os';

let home: string;
let node: TestNode;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'databases-'));
  node = new TestNode();
  const { kernel } = node;
  kernel.registerModule(kv({ root: join(home, 'kv') })({ port: kernel.port('kv') }));
  kernel.registerModule(
    sqlite({ root: join(home, 'sqlite') })({ port: kernel.port('sqlite'), clock: systemClock }),
  );
  await kernel.boot([]);
});
afterEach(async () => {
  await node.kernel.shutdown();
  await rm(home, { recursive: true });
});

/** Asks a module and parses its answer; `timeout` when there is none. */
async function ask(guest: GuestApi, module: string, action: unknown): Promise<unknown> {
  const body = { package_id: { package_name: 'a', publisher_node: 'fake.os' }, db: 'm', action };
  const answer = await guest.sendAndAwait(`fake.os@${module}:distro:sys`, {
    body: new TextEncoder().encode(JSON.stringify(body)),
  });
  if (!answer.ok) return answer.error.kind;
  const { message } = answer.value;
  if (message.kind !== 'response') throw new Error('not a response');
  return JSON.parse(new TextDecoder().decode(message.response.body));
}

/** Runs code as a process that may ask the modules and whose answers reach it. */
async function run<T>(code: (guest: GuestApi) => Promise<T>, id = ME): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  await node.start(id, (guest) => code(guest).then(resolve, reject), {
    holds: MODULES.map((module) => `${module}:distro:sys`),
    public: true,
  });
  return promise;
}

for (const module of MODULES) {
  test(`M65 M85 ${module}: Open answers Ok, and the process then holds both capabilities`, async () => {
    const held = await run(async (guest) => {
      expect(await ask(guest, module, 'Open')).toBe('Ok');
      expect(await ask(guest, module, 'BeginTx')).toHaveProperty('BeginTx.tx_id');
      return guest.host.ourCapabilities();
    });
    const issued = held.filter(
      ({ issuer }: Capability) => issuer.process === `${module}:distro:sys`,
    );
    const params = issued.map((capability) => capability.params);
    for (const kind of ['read', 'write']) {
      expect(params).toContain(
        `{"kind":"${kind}","db_key":[{"package_name":"a","publisher_node":"fake.os"},"m"]}`,
      );
    }
  });

  test(`M4 ${module}: a private process that granted it nothing never hears its answers`, async () => {
    const ended = Promise.withResolvers<void>();
    const heard: unknown[] = [];
    await node.start(
      ME,
      async (guest) => {
        heard.push(await ask(guest, module, 'Open'));
        ended.resolve();
      },
      { holds: [`${module}:distro:sys`] },
    );
    // Done when the capability is there; its answer was refused before.
    const target = processId(ME);
    while (!(node.kernel.processMap().get(target)?.capabilities ?? []).some(isDatabase)) {
      await new Promise(setImmediate);
    }
    expect(heard).toEqual([]);
    await node.clock.advance(10_000);
    await ended.promise;
    expect(heard).toEqual(['timeout']);
  });

  test(`M78 ${module}: transactions end with their process`, async () => {
    const begun = await run(async (guest) => {
      await ask(guest, module, 'Open');
      return (await ask(guest, module, 'BeginTx')) as { BeginTx: { tx_id: number } };
    });
    const { tx_id } = begun.BeginTx;
    await node.kernel.kill(processId(ME));
    const after = await run(async (guest) => {
      await ask(guest, module, 'Open');
      return ask(guest, module, { Commit: { tx_id } });
    });
    expect(after).toEqual({ Err: { NoTx: tx_id } });
  });
}

function isDatabase({ params }: { readonly params: string }): boolean {
  return params.includes('db_key');
}
