/** WASI under a real guest: core code that suspends through JSPI, with the canonical ABI between. */
import { randomBytes } from 'node:crypto';
import { parse } from '@bytecodealliance/jco';
import { beforeAll, expect, test } from 'vitest';
import { Trap } from '../../process-host.ts';
import { lowerImport } from '../abi/call.ts';
import type { AbiContext } from '../abi/context.ts';
import { ResourceTable } from '../abi/resource-table.ts';
import type { FuncType, ValueType } from '../abi/types.ts';
import { createWasi, mayWait } from './wasi.ts';

let module: WebAssembly.Module;

beforeAll(async () => {
  // run: get stderr, write "hi" to it, sleep the given time, drop everything, return the time it is then.
  const core = await parse(`(module
    (import "wasi" "now" (func $now (result i64)))
    (import "wasi" "subscribe-duration" (func $subscribe (param i64) (result i32)))
    (import "wasi" "[method]pollable.block" (func $block (param i32)))
    (import "wasi" "drop-pollable" (func $dropPollable (param i32)))
    (import "wasi" "get-stderr" (func $stderr (result i32)))
    (import "wasi" "drop-output-stream" (func $dropStream (param i32)))
    (import "wasi" "[method]output-stream.blocking-write-and-flush"
      (func $write (param i32 i32 i32 i32)))
    (import "wasi" "exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 64) "hi")
    (func (export "run") (param $ns i64) (result i64)
      (local $handle i32)
      (local.set $handle (call $stderr))
      (call $write (local.get $handle) (i32.const 64) (i32.const 2) (i32.const 16))
      (if (i32.load8_u (i32.const 16)) (then unreachable))
      (call $dropStream (local.get $handle))
      (local.set $handle (call $subscribe (local.get $ns)))
      (call $block (local.get $handle))
      (call $dropPollable (local.get $handle))
      (call $now))
    (func (export "leave") (call $exit (i32.const 0))))`);
  module = new WebAssembly.Module(new Uint8Array(core));
});

function startGuest() {
  let nowMs = 0;
  const due: { atMs: number; callback: () => void }[] = [];
  const wasi = createWasi({
    clock: { wallNowMs: () => nowMs, monotonicNowNs: () => BigInt(nowMs) * 1_000_000n },
    randomBytes,
    setTimer(callback, ms) {
      const timer = { atMs: nowMs + ms, callback };
      due.push(timer);
      return () => void due.splice(due.indexOf(timer), 1);
    },
    signal: new AbortController().signal,
  });
  const resource = (name: string, type: string) => {
    const found = wasi.lookup(`${name}@0.2.6`)?.resources[type];
    if (found === undefined) throw new Error(`no ${name} ${type}`);
    return found;
  };
  const pollable = resource('wasi:io/poll', 'pollable');
  const stream = resource('wasi:io/streams', 'output-stream');
  const resources = new ResourceTable();
  let memory: WebAssembly.Memory | undefined;
  const ctx: AbiContext = {
    memory: () => memory?.buffer ?? new ArrayBuffer(0),
    encoding: 'utf8',
    resources,
    trap(message) {
      throw new Trap(message);
    },
  };
  const bind = (name: string, func: string, params: ValueType[], result?: ValueType) => {
    const host = wasi.lookup(`${name}@0.2.6`)?.functions[func];
    if (host === undefined) throw new Error(`no ${name} ${func}`);
    const type: FuncType = { params: params.map((one) => ({ name: 'p', type: one })), result };
    const core = lowerImport(type, ctx, (args) => host(...args));
    return mayWait(`${name}@0.2.6`, func) ? new WebAssembly.Suspending(core) : core;
  };
  const u64 = { kind: 'u64' } as const;
  const failure: ValueType = {
    kind: 'variant',
    cases: [
      {
        name: 'last-operation-failed',
        type: { kind: 'own', resource: resource('wasi:io/error', 'error') },
      },
      { name: 'closed' },
    ],
  };
  const clock = 'wasi:clocks/monotonic-clock';
  const block = '[method]pollable.block';
  const write = '[method]output-stream.blocking-write-and-flush';
  const { exports } = new WebAssembly.Instance(module, {
    wasi: {
      now: bind(clock, 'now', [], u64),
      'subscribe-duration': bind(clock, 'subscribe-duration', [u64], {
        kind: 'own',
        resource: pollable,
      }),
      [block]: bind('wasi:io/poll', block, [{ kind: 'borrow', resource: pollable }]),
      'drop-pollable': (index: number) => resources.resourceDrop(pollable, index),
      'get-stderr': bind('wasi:cli/stderr', 'get-stderr', [], { kind: 'own', resource: stream }),
      'drop-output-stream': (index: number) => resources.resourceDrop(stream, index),
      [write]: bind(
        'wasi:io/streams',
        write,
        [
          { kind: 'borrow', resource: stream },
          { kind: 'list', element: { kind: 'u8' } },
        ],
        { kind: 'result', err: failure },
      ),
      exit: bind('wasi:cli/exit', 'exit', [{ kind: 'result' }]),
    },
  });
  if (exports['memory'] instanceof WebAssembly.Memory) memory = exports['memory'];
  const call = (name: string) => WebAssembly.promising(exports[name] as () => unknown);
  return {
    run: (ns: bigint): Promise<unknown> => (call('run') as (ns: bigint) => Promise<unknown>)(ns),
    leave: call('leave'),
    stderrText: () => wasi.stderrText(),
    resources,
    advance(ms: number) {
      nowMs += ms;
      for (const timer of due.splice(0)) timer.callback();
    },
  };
}

test('F8 K116 one guest sleeps while another runs to its end', async () => {
  const sleeper = startGuest();
  const other = startGuest();
  let ended = false;
  const sleeping = sleeper.run(3_600_000_000_000n).then((now) => {
    ended = true;
    return now;
  });
  expect(await other.run(0n)).toBe(0n);
  expect(ended).toBe(false);
  sleeper.advance(3_600_000);
  expect(await sleeping).toBe(3_600_000_000_000n);
  expect(sleeper.resources.size).toBe(0);
  expect(sleeper.stderrText()).toBe('hi');
});

test('K96 a guest that exits with 0 ends in a trap', async () => {
  await expect(startGuest().leave()).rejects.toThrow(new Trap('the guest called exit(0)'));
});
