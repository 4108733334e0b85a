import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Trap } from '../../process-host.ts';
import { createWasi, isWasiImport, mayWait } from './wasi.ts';
import type { WasiOptions } from './wasi.ts';
import { randomBytesMax, timerMsMax } from './limits.ts';

const dayNs = 24n * 3600n * 1_000_000_000n;

/** A process's WASI on a clock that moves only when told. */
function start(overrides: Partial<WasiOptions> = {}) {
  let nowMs = 1_700_000_000_123.5;
  let monotonicMs = 0;
  let timers: { atMs: number; ms: number; callback: () => void }[] = [];
  const abort = new AbortController();
  const printed: string[] = [];
  const note = (bytes: Uint8Array) => void printed.push(Buffer.from(bytes).toString());
  const wasi = createWasi({
    clock: { wallNowMs: () => nowMs, monotonicNowNs: () => BigInt(monotonicMs) * 1_000_000n },
    randomBytes,
    process: { stdout: note },
    setTimer(callback, ms) {
      const timer = { atMs: monotonicMs + ms, ms, callback };
      timers.push(timer);
      return () => void (timers = timers.filter((one) => one !== timer));
    },
    signal: abort.signal,
    ...overrides,
  });
  return {
    wasi,
    abort,
    printed,
    timers: () => timers,
    advance(ms: number) {
      nowMs += ms;
      monotonicMs += ms;
      const due = timers.filter((one) => one.atMs <= monotonicMs);
      timers = timers.filter((one) => one.atMs > monotonicMs);
      for (const one of due) one.callback();
    },
    call(name: string, func: string, ...args: unknown[]): unknown {
      const found = wasi.lookup(`${name}@0.2.3`)?.functions[func];
      if (found === undefined) throw new Error(`no ${name} ${func}`);
      return found(...args);
    },
  };
}

type Process = ReturnType<typeof start>;

const clocks = 'wasi:clocks/monotonic-clock';
const streams = 'wasi:io/streams';
const sleep = (process: Process, ns: bigint) => process.call(clocks, 'subscribe-duration', ns);
const block = (process: Process, pollable: unknown) =>
  process.call('wasi:io/poll', '[method]pollable.block', pollable);
const poll = (process: Process, ...pollables: unknown[]) =>
  process.call('wasi:io/poll', 'poll', pollables);

/** Whether a promise has settled by now. */
async function settled(value: unknown): Promise<boolean> {
  const pending = Symbol('pending');
  return (await Promise.race([value, Promise.resolve(pending)])) !== pending;
}

test('F8 K116 a sleep suspends its process only, and ends on time', async () => {
  const sleeper = start();
  const other = start();
  const waiting = block(sleeper, sleep(sleeper, 2_000_000_000n));
  expect(waiting).toBeInstanceOf(Promise);
  // The other one goes on in the same turn.
  expect(other.call(clocks, 'now')).toBe(0n);
  expect(poll(other, sleep(other, 0n))).toEqual([0]);
  sleeper.advance(1999);
  expect(await settled(waiting)).toBe(false);
  sleeper.advance(1);
  await waiting;
  expect(sleeper.call(clocks, 'now')).toBe(2_000_000_000n);
  expect(sleeper.timers()).toEqual([]);
});

test('F8 poll waits for the first of many with one timer and names every ready one', async () => {
  const process = start();
  const pollables = [5_000_000n, 3_000_000n, 3_000_000n, 9_000_000n].map((ns) =>
    sleep(process, ns),
  );
  const waiting = poll(process, ...pollables);
  expect(process.timers().map(({ ms }) => ms)).toEqual([3]);
  process.advance(3);
  expect(await waiting).toEqual([1, 2]);
  expect(poll(process, ...pollables)).toEqual([1, 2]);
  expect(() => poll(process)).toThrow(Trap);
});

test('F8 a wait beyond 2^31-1 ms is chained, and a timer that fires early is armed again', async () => {
  const process = start();
  const waiting = block(process, sleep(process, 30n * dayNs));
  expect(process.timers().map(({ ms }) => ms)).toEqual([timerMsMax]);
  process.advance(timerMsMax);
  expect(await settled(waiting)).toBe(false);
  const rest = 30 * 24 * 3_600_000 - timerMsMax;
  expect(process.timers().map(({ ms }) => ms)).toEqual([rest]);
  process.timers()[0]?.callback();
  expect(await settled(waiting)).toBe(false);
  process.advance(rest);
  await waiting;
});

test('F8 the end of a process ends its waits and leaves no timer', async () => {
  const process = start();
  const waiting = block(process, sleep(process, dayNs));
  const polling = poll(process, sleep(process, dayNs));
  expect(process.timers()).toHaveLength(2);
  process.abort.abort();
  await waiting;
  expect(await polling).toEqual([]);
  expect(process.timers()).toEqual([]);
  await block(process, sleep(process, dayNs));
  expect(process.timers()).toEqual([]);
});

test('F8 only poll and block may wait', () => {
  expect(mayWait('wasi:io/poll@0.2.0', 'poll')).toBe(true);
  expect(mayWait('wasi:io/poll@0.2.9', '[method]pollable.block')).toBe(true);
  expect(mayWait('wasi:io/poll@0.2.0', '[method]pollable.ready')).toBe(false);
  expect(mayWait(`${streams}@0.2.0`, '[method]input-stream.blocking-read')).toBe(false);
});

test('K96 exit is a trap, whatever its code', () => {
  const process = start();
  const exit = (name: string, arg: unknown) => () => process.call('wasi:cli/exit', name, arg);
  expect(exit('exit', { tag: 'ok' })).toThrow(new Trap('the guest called exit(0)'));
  expect(exit('exit', { tag: 'err' })).toThrow(new Trap('the guest called exit(1)'));
  expect(exit('exit-with-code', 0)).toThrow(new Trap('the guest called exit(0)'));
  expect(exit('exit-with-code', 42)).toThrow(new Trap('the guest called exit(42)'));
});

const write = (process: Process, name: 'stdout' | 'stderr', bytes: Uint8Array): unknown =>
  process.call(
    streams,
    '[method]output-stream.blocking-write-and-flush',
    process.call(`wasi:cli/${name}`, `get-${name}`),
    bytes,
  );
const text = (value: string) => new TextEncoder().encode(value);

test('K97 stderr is kept for the report, stdout goes elsewhere', () => {
  const process = start();
  expect(write(process, 'stdout', text('to the log'))).toEqual({ tag: 'ok' });
  write(process, 'stderr', text('panicked: '));
  write(process, 'stderr', text('héllo'));
  expect(process.wasi.stderrText()).toBe('panicked: héllo');
  expect(process.printed).toEqual(['to the log']);
});

test('K97 of two bytes over the ring the first are gone, and no character is cut', () => {
  const process = start();
  expect(process.wasi.stderrText()).toBe('');
  write(process, 'stderr', text('é'.repeat(2000)));
  write(process, 'stderr', text(`${'x'.repeat(1000)}!`));
  // 5,001 bytes: the first one's second half goes too.
  expect(process.wasi.stderrText()).toBe(`${'é'.repeat(1999)}${'x'.repeat(1000)}!`);
});

test('K117 1 MB to stderr neither blocks nor fails, and the last of it is kept', () => {
  const process = start();
  const expected: string[] = [];
  for (let i = 0; i < 256; i += 1) {
    const line = `${String(i).padStart(4095, '.')}\n`;
    expected.push(line);
    expect(write(process, 'stderr', text(line))).toEqual({ tag: 'ok' });
  }
  const kept = process.wasi.stderrText();
  expect(kept).toBe(expected.join('').slice(-5000));
});

test('output streams: writing what was not permitted traps', () => {
  const process = start();
  const stream = process.call('wasi:cli/stdout', 'get-stdout');
  const call = (name: string, ...args: unknown[]) =>
    process.call(streams, `[method]output-stream.${name}`, stream, ...args);
  expect(() => call('write', new Uint8Array(1))).toThrow(Trap);
  expect(call('check-write')).toEqual({ tag: 'ok', val: 65_536n });
  expect(call('write', new Uint8Array(65_535))).toEqual({ tag: 'ok' });
  expect(call('write-zeroes', 1n)).toEqual({ tag: 'ok' });
  expect(() => call('write', new Uint8Array(1))).toThrow(/permitted 0/);
  expect(() => call('write-zeroes', 2n ** 60n)).toThrow(Trap);
  expect(call('blocking-write-and-flush', new Uint8Array(4096))).toEqual({ tag: 'ok' });
  expect(() => call('blocking-write-and-flush', new Uint8Array(4097))).toThrow(/at most 4096/);
  expect(() => call('blocking-write-zeroes-and-flush', 4097n)).toThrow(Trap);
  for (const name of ['flush', 'blocking-flush']) expect(call(name)).toEqual({ tag: 'ok' });
  expect(poll(process, call('subscribe'))).toEqual([0]);
});

test('K115 no environment, no arguments, no directory, no terminal; stdin has ended', () => {
  const process = start();
  expect(process.call('wasi:cli/environment', 'get-environment')).toEqual([]);
  expect(process.call('wasi:cli/environment', 'get-arguments')).toEqual([]);
  expect(process.call('wasi:cli/environment', 'initial-cwd')).toBeUndefined();
  expect(process.call('wasi:filesystem/preopens', 'get-directories')).toEqual([]);
  for (const name of ['stdin', 'stdout', 'stderr'])
    expect(process.call(`wasi:cli/terminal-${name}`, `get-terminal-${name}`)).toBeUndefined();
  const stdin = process.call('wasi:cli/stdin', 'get-stdin');
  const closed = { tag: 'err', val: { tag: 'closed' } };
  for (const name of ['read', 'blocking-read', 'skip', 'blocking-skip'])
    expect(process.call(streams, `[method]input-stream.${name}`, stdin, 10n)).toEqual(closed);
  expect(block(process, process.call(streams, '[method]input-stream.subscribe', stdin))).toBe(
    undefined,
  );
  const stdout = process.call('wasi:cli/stdout', 'get-stdout');
  expect(process.call(streams, '[method]output-stream.splice', stdout, stdin, 1n)).toEqual(closed);
});

test('K115 opening a file is refused', () => {
  const process = start();
  const files = 'wasi:filesystem/types';
  const refused = { tag: 'err', val: 'not-permitted' };
  expect(process.call(files, '[method]descriptor.open-at', {}, {}, 'a', {}, {})).toEqual(refused);
  expect(process.call(files, '[method]descriptor.stat', {})).toEqual(refused);
});

test('K116 clocks tell the host its time', () => {
  const process = start();
  expect(process.call('wasi:clocks/wall-clock', 'now')).toEqual({
    seconds: 1_700_000_000n,
    nanoseconds: 123_500_000,
  });
  process.advance(1000);
  expect(process.call(clocks, 'now')).toBe(1_000_000_000n);
  const past = process.call(clocks, 'subscribe-instant', 999n);
  expect(process.call('wasi:io/poll', '[method]pollable.ready', past)).toBe(true);
  const future = process.call(clocks, 'subscribe-instant', 1_000_000_001n);
  expect(process.call('wasi:io/poll', '[method]pollable.ready', future)).toBe(false);
  expect(process.call('wasi:clocks/timezone', 'utc-offset', {})).toBe(0);
});

test('K116 randomness has the length asked for, up to its limit', () => {
  const process = start();
  const random = (length: bigint) =>
    process.call('wasi:random/random', 'get-random-bytes', length) as Uint8Array;
  expect(random(0n)).toHaveLength(0);
  expect(random(BigInt(randomBytesMax))).toHaveLength(randomBytesMax);
  expect(() => random(BigInt(randomBytesMax) + 1n)).toThrow(Trap);
  expect(random(32n)).not.toEqual(random(32n));
  const u64 = process.call('wasi:random/random', 'get-random-u64');
  expect(u64).toBeTypeOf('bigint');
  expect(process.call('wasi:random/random', 'get-random-u64')).not.toBe(u64);
  expect(process.call('wasi:random/insecure-seed', 'insecure-seed')).toHaveLength(2);
});

test('K118 sockets reach nobody', () => {
  const process = start();
  const denied = { tag: 'err', val: 'access-denied' };
  const network = process.call('wasi:sockets/instance-network', 'instance-network');
  const address = { tag: 'ipv4', val: { port: 80, address: [127, 0, 0, 1] } };
  for (const kind of ['tcp', 'udp']) {
    const made = process.call(
      `wasi:sockets/${kind}-create-socket`,
      `create-${kind}-socket`,
      'ipv6',
    );
    expect(made).toMatchObject({ tag: 'ok' });
    const socket = (made as { val: unknown }).val;
    const call = (name: string, ...args: unknown[]) =>
      process.call(`wasi:sockets/${kind}`, `[method]${kind}-socket.${name}`, socket, ...args);
    expect(call('address-family')).toBe('ipv6');
    expect(call('start-bind', network, address)).toEqual(denied);
    expect(
      call(
        kind === 'tcp' ? 'start-connect' : 'stream',
        ...(kind === 'tcp' ? [network] : []),
        address,
      ),
    ).toEqual(denied);
    expect(call('local-address')).toEqual({ tag: 'err', val: 'invalid-state' });
    expect(call('set-send-buffer-size', 0n)).toEqual({ tag: 'err', val: 'invalid-argument' });
    expect(call('set-send-buffer-size', 4096n)).toEqual({ tag: 'ok' });
    expect(call('send-buffer-size')).toEqual({ tag: 'ok', val: 4096n });
  }
});

test('K118 names are not looked up', () => {
  const process = start();
  expect(
    process.call('wasi:sockets/ip-name-lookup', 'resolve-addresses', {}, 'example.org'),
  ).toEqual({ tag: 'err', val: 'access-denied' });
});

test('K119 any 0.2.x and the candidates of late 2023 are provided, nothing else', () => {
  for (const version of ['0.2.0', '0.2.1', '0.2.12', '0.2.99', '0.2.0-rc-2023-11-10'])
    expect(isWasiImport(`wasi:cli/environment@${version}`), version).toBe(true);
  for (const name of [
    'wasi:cli/environment',
    'wasi:cli/environment@0.2',
    'wasi:cli/environment@0.3.0',
    'wasi:cli/environment@0.2.0-rc-2024-11-10',
    'wasi:cli/environment@0.2.01',
    'wasi:cli/environment@0.2.0\n',
    'wasi:http/types@0.2.0',
    'wasi:http/outgoing-handler@0.2.0',
    'wasi:logging/logging@0.2.0',
    'wasi:cli/constructor@0.2.0',
    'evil:cli/environment@0.2.0',
  ])
    expect(isWasiImport(name), name).toBe(false);
});

/** Every function of a package of WIT, as `interface function`. */
function declaredFunctions(wit: string): string[] {
  const found: string[] = [];
  let face = '';
  let resource = '';
  for (const line of wit.split('\n')) {
    const opened = /^\s*(interface|world|resource) ([a-z0-9-]+) *(\{|;)/.exec(line);
    if (opened?.[1] === 'interface') face = opened[2] ?? '';
    if (opened?.[1] === 'world') face = '';
    if (opened?.[1] === 'resource' && opened[3] === '{') resource = `[method]${opened[2]}.`;
    else if (/^ {2,4}\}/.test(line)) resource = '';
    const func = /^\s*%?([a-z0-9-]+): func\(/.exec(line);
    if (func !== null && face !== '') found.push(`${face} ${resource}${func[1]}`);
  }
  return found;
}

test('K119 every function of the 0.2 interfaces is there, under its name', () => {
  const folder = new URL(
    '../../../node_modules/@bytecodealliance/jco/lib/wit/builtin/0.2.12/',
    import.meta.url,
  );
  const { wasi } = start();
  let count = 0;
  for (const name of ['io', 'clocks', 'random', 'cli', 'sockets', 'filesystem']) {
    const declared = declaredFunctions(
      readFileSync(new URL(`wasi-${name}/package.wit`, folder), 'utf8'),
    ).filter((one) => one !== 'run run');
    const given: string[] = [];
    for (const face of new Set(declared.map((one) => one.split(' ')[0] ?? ''))) {
      const functions = wasi.lookup(`wasi:${name}/${face}@0.2.12`)?.functions ?? {};
      given.push(...Object.keys(functions).map((func) => `${face} ${func}`));
    }
    expect(given.toSorted(), name).toEqual(declared.toSorted());
    count += declared.length;
  }
  expect(count).toBeGreaterThan(120);
});
