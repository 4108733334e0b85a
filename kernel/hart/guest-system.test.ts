import { expect, test } from 'vitest';
import { guestSystem } from './guest-system.ts';

const text = (bytes: string): Uint8Array => new TextEncoder().encode(bytes);

test('F8 what a guest writes to stdout and stderr is kept, in order and bounded; a trap shows stderr only', () => {
  const system = guestSystem(new AbortController().signal);
  const call = (name: string, ...args: unknown[]): unknown => {
    const at = name.lastIndexOf('#');
    return system.interfaces(`wasi:${name.slice(0, at)}@0.2.3`, name.slice(at + 1))!(args);
  };
  const write = (stream: unknown, bytes: string): void => {
    expect(
      call('io/streams#[method]output-stream.blocking-write-and-flush', stream, text(bytes)),
    ).toMatchObject({
      tag: 'ok',
    });
  };
  const out = call('cli/stdout#get-stdout');
  const err = call('cli/stderr#get-stderr');
  write(out, 'one\n');
  write(err, 'two\n');
  write(out, 'three\n');
  expect(system.output()).toBe('one\ntwo\nthree\n');
  expect(system.stderr()).toBe('two\n');
  for (let i = 0; i < 100; i++) write(out, 'x'.repeat(4_096));
  expect(system.output()).toBe('x'.repeat(16_384));
  expect(system.stderr()).toBe('two\n');
});

test('functions and interfaces that are not WASI 0.2 are not there, whatever they are called', () => {
  const { interfaces } = guestSystem(new AbortController().signal);
  expect(interfaces('wasi:cli/stdout@0.2.3', 'constructor')).toBeUndefined();
  expect(interfaces('wasi:http/types@0.2.3', 'toString')).toBeUndefined();
  expect(interfaces('wasi:cli/stdout@0.3.0', 'get-stdout')).toBeUndefined();
});
