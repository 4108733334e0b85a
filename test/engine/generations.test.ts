/** What differs between the generations of the contract, seen by real components (kernel.md §9). */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { answer, ofCore, ofText, REALLOC } from '../support/engine-guests.ts';
import { EngineBench, RecordingHost, texts, turns } from '../support/engine-host.ts';
import { testNode, type TestNode } from '../support/node.ts';

const bench = new EngineBench();
let node: TestNode;
beforeAll(async () => {
  node = await testNode();
});
afterAll(async () => {
  await node[Symbol.asyncDispose]();
  bench[Symbol.dispose]();
});

const GENERATIONS = {
  '0.7.0': ['generations/kinode-0.7.0.wit', 'process', 'kinode:process/standard@0.7.0'],
  '0.8.0': ['generations/kinode-0.8.0.wit', 'process-v0', 'kinode:process/standard@0.8.0'],
  '1.0.0': ['generations/kinode-1.0.0.wit', 'process-v1', 'kinode:process/standard@1.0.0'],
} as const;
type Version = keyof typeof GENERATIONS;

/** A guest of a generation: these functions, by name and core type, and the body of init. */
async function guestOf(
  version: Version,
  functions: Readonly<Record<string, string>>,
  init: string,
): Promise<Uint8Array> {
  const [file, world, name] = GENERATIONS[version];
  const witSource = await readFile(join(import.meta.dirname, '..', '..', 'wit', file), 'utf8');
  const imports = Object.entries(functions).map(
    ([one, type]) => `(import "${name}" "${one}" (func $${one} ${type}))`,
  );
  const text = `(module ${imports.join('\n')} (memory (export "memory") 17) ${REALLOC}
    (data (i32.const 64) "childpackagesys")
    (func (export "init") (param i32 i32) ${init}))`;
  return ofCore(text, { witSource, world });
}

const I14 = `(param${' i32'.repeat(14)})`;

test.each(['0.7.0', '0.8.0', '1.0.0'] as const)(
  'K-generations %s: the blob register',
  async (version) => {
    // Answers with one byte: whether get-blob gives one.
    const bytes = await guestOf(
      version,
      { receive: '(param i32)', 'get-blob': '(param i32)', 'send-response': I14 },
      `(loop $l
      (global.set $next (i32.const 0x100000))
      (call $receive (i32.const 1024))
      (call $get-blob (i32.const 256))
      ${answer('(i32.const 256)', '(i32.const 1)')}
      (br $l))`,
    );
    const name = `blob-${version.replaceAll('.', '-')}:gen:sys`;
    await node.start(name, bytes);
    const blob = { mime: undefined, bytes: Uint8Array.of(1) };
    expect([...(await node.ask(name, '', { blob })).body]).toEqual([1]);
    expect([...(await node.ask(name, '')).body]).toEqual([0]);
    const host = new RecordingHost();
    const running = await bench.start(bytes, host);
    await turns(2);
    expect(host.calls[0]?.name).toBe(version === '1.0.0' ? 'receive' : 'clears-blob');
    running.kill();
  },
);

test('K-generations 0.7.0 and 0.8.0 grant messaging and nothing else when they spawn; 1.0.0 says what', async () => {
  for (const version of ['0.7.0', '0.8.0', '1.0.0'] as const) {
    const host = new RecordingHost();
    const slots = [64, 5, 69, 7, 76, 3, 64, 5].map(
      (value, i) => `(i32.store (i32.const ${512 + 4 * i}) (i32.const ${value}))`,
    );
    const bytes = await guestOf(
      version,
      { spawn: I14 },
      `${slots.join('\n')}
       (call $spawn (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 64) (i32.const 5) (i32.const 0) (i32.const 0) (i32.const 0)
         (i32.const 0) (i32.const 0) (i32.const 512) (i32.const 1) (i32.const 1) (i32.const 256))`,
    );
    expect(await (await bench.start(bytes, host)).ended).toEqual({ kind: 'returned' });
    const [options] = host.calls.find(({ name }) => name === 'spawn')!.args;
    expect(options).toMatchObject({
      wasmPath: 'child',
      public: true,
      grantCapabilities: [
        { process: 'child:package:sys', params: version === '1.0.0' ? 'child' : '"messaging"' },
      ],
    });
  }
});

test('K-generations 0.7.0: a send error has no target, so its message lies 32 bytes earlier', async () => {
  class Offline extends RecordingHost {
    override sendAndAwaitResponse(
      ...[target, request, blob]: Parameters<RecordingHost['sendAndAwaitResponse']>
    ): ReturnType<RecordingHost['sendAndAwaitResponse']> {
      this.record('send-and-await-response', target, request, blob);
      return {
        kind: 'send-error',
        error: { kind: 'timeout', target, message: { kind: 'request', request }, blob: undefined },
        context: undefined,
      };
    }
  }
  for (const [version, bodyAt] of [
    ['0.7.0', 8 + 8 + 8 + 24],
    ['0.8.0', 8 + 40 + 8 + 24],
  ] as const) {
    const host = new Offline();
    const stores = [64, 5, 64, 5, 69, 7, 76, 3].map(
      (value, i) => `(i32.store (i32.const ${512 + 4 * i}) (i32.const ${value}))`,
    );
    const bytes = await guestOf(
      version,
      { 'send-and-await-response': '(param i32 i32)', 'print-to-terminal': '(param i32 i32 i32)' },
      `${stores.join('\n')}
       (i32.store (i32.const ${544 + 24}) (i32.const 69)) (i32.store (i32.const ${544 + 28}) (i32.const 7))
       (call $send-and-await-response (i32.const 512) (i32.const 1024))
       (if (i32.ne (i32.load8_u (i32.const 1024)) (i32.const 1)) (then (unreachable)))
       (if (i32.ne (i32.load8_u (i32.const 1032)) (i32.const 1)) (then (unreachable)))
       (call $print-to-terminal (i32.const 0) (i32.load (i32.const ${1024 + bodyAt})) (i32.load (i32.const ${1028 + bodyAt})))`,
    );
    expect(await (await bench.start(bytes, host)).ended, version).toEqual({ kind: 'returned' });
    expect(host.printed).toEqual(['package']);
  }
});

test('K102 a component of a generation this node does not run is reported by name, and initializing it succeeded', async () => {
  for (const [name, contract, shown] of [
    ['newer:gen:sys', 'hyperware:process/standard@2.0.0', 'hyperware:process@2.0.0'],
    ['older:gen:sys', 'kinode:process/standard@0.6.0', 'kinode:process@0.6.0'],
    ['oldest:gen:sys', 'uqbar:process/standard@0.1.0', 'uqbar:process@0.1.0'],
  ] as const) {
    await node.start(name, await ofText(`(component (import "${contract}" (instance)))`));
    const said = (): string | undefined =>
      texts(node).find((text) => text.startsWith(`could not start ${name}`));
    while (said() === undefined) await turns(1);
    expect(said()).toContain(`built for ${shown}, a WIT generation this node does not support`);
    expect(node.prints.find((one) => 'text' in one && one.text === said())?.verbosity).toBe(0);
  }
});
