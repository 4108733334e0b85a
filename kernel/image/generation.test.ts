import { describe, expect, test } from 'vitest';
import { unsupportedGeneration } from './generation.ts';
import { accept, importOf, processBytes, refuse } from './testing.ts';
import { validateComponent } from './validate.ts';

describe('imports', () => {
  test('K119 every WASI interface is accepted at any 0.2 release', async () => {
    const names = [
      'io/error',
      'io/poll',
      'io/streams',
      'clocks/monotonic-clock',
      'clocks/wall-clock',
      'random/random',
      'random/insecure',
      'random/insecure-seed',
      'cli/environment',
      'cli/exit',
      'cli/stdin',
      'cli/stdout',
      'cli/stderr',
      'cli/terminal-input',
      'cli/terminal-output',
      'cli/terminal-stdin',
      'cli/terminal-stdout',
      'cli/terminal-stderr',
      'filesystem/types',
      'filesystem/preopens',
      'sockets/network',
      'sockets/instance-network',
      'sockets/ip-name-lookup',
      'sockets/tcp',
      'sockets/tcp-create-socket',
      'sockets/udp',
      'sockets/udp-create-socket',
    ];
    // The candidate is what Rust components of kinode:process@0.7.0 import.
    for (const version of ['0.2.0', '0.2.3', '0.2.12', '0.2.4000', '0.2.0-rc-2023-11-10']) {
      const before = names.map((name) => importOf(`wasi:${name}@${version}`).before).join('\n');
      expect((await accept({ before })).imports).toEqual(
        names.map((name) => ({ name: `wasi:${name}@${version}`, provider: 'wasi' })),
      );
    }
  });

  test.for([
    'wasi:http/types@0.2.0',
    'wasi:http/outgoing-handler@0.2.3',
    'wasi:logging/logging',
    'wasi:io/poll@0.2.0-rc-2024-11-10',
    'wasi:io/poll@0.2.1-rc-2023-11-10',
    'wasi:io/poll@0.3.0',
    'wasi:io/poll@0.2.01',
    'wasi:io/poll@0.2',
    'wasi:io/poll',
    'wasi:io/nothing@0.2.0',
    'wasi:keyvalue/store@0.2.0',
    'evil:io/poll@0.2.0',
    'evil:process/standard@1.0.0',
    'hyperware:process/other@1.0.0',
    'chat:chat:alice.os/chat',
    'plain',
  ])('K119 an import of %s is refused by name', async (name) => {
    const escaped = name.replaceAll(/[.]/g, String.raw`\.`);
    await refuse(importOf(name), 'unsupported-import', new RegExp(`"${escaped}"`));
  });

  test('F1 only interfaces can be imported, whatever they are called', async () => {
    await refuse({ before: '(import "f" (func))' }, 'unsupported-import', /imports the func "f"/);
    await refuse(
      { before: '(import "wasi:io/poll@0.2.0" (func))' },
      'unsupported-import',
      /imports the func/,
    );
    await refuse(
      { before: '(import "t" (type (sub resource)))' },
      'unsupported-import',
      /the type/,
    );
    await refuse({ before: '(import "c" (component))' }, 'unsupported-feature', /components as/);
    await refuse(
      { before: '(import "m" (core module))' },
      'unsupported-feature',
      /core modules as/,
    );
  });

  test('an interface of nothing but value types needs no provider', async () => {
    const types = '(type (record (field "a" u8))) (export "r" (type (eq 0)))';
    expect((await accept(importOf('a:b/types@1.0.0', types))).imports).toEqual([
      { name: 'a:b/types@1.0.0', provider: 'types' },
    ]);
    const resource = '(export "r" (type (sub resource)))';
    await refuse(importOf('a:b/types@1.0.0', resource), 'unsupported-import', /a:b/);
  });
});

describe('generations', () => {
  test.for([
    ['hyperware:process/standard@1.0.0', 'hyperware', '1.0.0', 'hyperware:process@1'],
    ['hyperware:process/standard@1.7.2', 'hyperware', '1.7.2', 'hyperware:process@1'],
    ['kinode:process/standard@1.0.0', 'kinode', '1.0.0', 'kinode:process@1.0.0'],
    ['kinode:process/standard@0.8.0', 'kinode', '0.8.0', 'kinode:process@0.8.0'],
    ['kinode:process/standard@0.7.0', 'kinode', '0.7.0', 'kinode:process@0.7.0'],
  ])('%s is recognised', async ([name = '', packageName, version, generation]) => {
    const { standard, imports } = await accept(importOf(name));
    expect(standard).toEqual({ packageName, version, generation });
    expect(imports).toEqual([{ name, provider: 'standard' }]);
  });

  test.for([
    'hyperware:process/standard@2.0.0',
    'hyperware:process/standard@0.9.0',
    'hyperware:process/standard@1.0.0-rc.1',
    'hyperware:process/standard@1.0',
    'hyperware:process/standard',
    'kinode:process/standard@0.9.0',
    'kinode:process/standard@0.7.1',
    'uqbar:process/standard@0.5.0',
  ])('%s is refused by name, in the words used everywhere', async (name) => {
    const file = await processBytes(importOf(name));
    expect(() => validateComponent(file)).toThrow(
      expect.objectContaining({
        code: 'unsupported-generation',
        message: unsupportedGeneration(name),
      }),
    );
    expect(unsupportedGeneration(name)).toContain(name.replace('/standard', ''));
  });

  test('two at once are refused; none is a process that only computes', async () => {
    const both =
      importOf('kinode:process/standard@0.8.0').before +
      importOf('hyperware:process/standard@1.0.0').before;
    await refuse({ before: both }, 'unsupported-import', /two generations/);
    expect((await accept()).standard).toBeUndefined();
  });
});
