/** Hostile arguments to every host function: only that guest traps, with a reason of its own, and the host notices nothing. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Image } from '../../kernel/engine.ts';
import type { Delivery } from '../../kernel/process-host.ts';
import { FUNCTIONS, guest, guestText, ofCore, parameterCount } from '../support/engine-guests.ts';
import { delivery, EngineBench, OUR, RecordingHost } from '../support/engine-host.ts';

const seed = 20_261_121;
const RUNS_PER_FUNCTION = 60;
/** Where the generated words lie: whole records fit behind each of them. */
const RECORDS = 0x10000;
const WORDS = 128;
const PAGES = 17;

/** UTF-8 takes the lean bindings, UTF-16 the generic ones (findings.md F9). */
const ENCODINGS = ['utf8', 'utf16'] as const;
type Encoding = (typeof ENCODINGS)[number];

const bench = new EngineBench();
let images: Readonly<Record<Encoding, Image>>;
const rejections: unknown[] = [];
const onRejection = (reason: unknown): void => void rejections.push(reason);

beforeAll(async () => {
  process.on('unhandledRejection', onRejection);
  images = {
    utf8: await bench.engine.load(await caller('utf8')),
    utf16: await bench.engine.load(await caller('utf16')),
  };
});
afterAll(() => {
  process.off('unhandledRejection', onRejection);
  bench[Symbol.dispose]();
});

/**
 * Receives one message of words: the number of a function, 14 arguments, then what goes to `RECORDS`; calls the function and ends. It
 * reads each argument by its place, so that every function gets as many as it takes.
 */
function caller(encoding: Encoding): Promise<Uint8Array> {
  const calls = FUNCTIONS.map((name, i) => {
    const args = Array.from(
      { length: parameterCount(name) },
      (_, p) => `(i32.load (i32.const ${0x8004 + 4 * p}))`,
    );
    // The result of has-blob is counted among its i32s.
    const call =
      name === 'has-blob' ? `(drop (call $${name}))` : `(call $${name} ${args.join(' ')})`;
    return `(if (i32.eq (i32.load (i32.const 0x8000)) (i32.const ${i})) (then ${call}))`;
  });
  const text = guestText({
    imports: FUNCTIONS,
    memory: `${PAGES}`,
    init: `
      (call $receive (i32.const 1024))
      (memory.copy (i32.const 0x8000) (i32.load (i32.const 1096)) (i32.const 60))
      (memory.copy (i32.const ${RECORDS}) (i32.add (i32.load (i32.const 1096)) (i32.const 60)) (i32.const ${4 * WORDS}))
      ${calls.join('\n')}`,
  });
  return ofCore(text, { encoding });
}

/** Answers whatever would wait. */
class Prompt extends RecordingHost {
  #first = true;
  override receive(wake: (got: Delivery) => void): Delivery | undefined {
    if (this.#first) {
      this.#first = false;
      return super.receive(wake);
    }
    return delivery('again');
  }
  override sendAndAwaitResponse(
    ...args: Parameters<RecordingHost['sendAndAwaitResponse']>
  ): Delivery | undefined {
    super.sendAndAwaitResponse(...args);
    return delivery('answer');
  }
}

const END = PAGES * 65_536;
const word = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(0, 1, 2, 3, 8, 64) },
  { weight: 4, arbitrary: fc.nat(WORDS - 1).map((i) => RECORDS + 4 * i) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      END,
      END - 1,
      END - 4,
      END - 8,
      END - 128,
      0x7fff_ffff,
      0x8000_0000,
      0xffff_ffff,
      0xffff_fff8,
    ),
  },
  { weight: 1, arbitrary: fc.nat(0xffff_ffff) },
);
const words = (count: number): fc.Arbitrary<number[]> =>
  fc.array(word, { minLength: count, maxLength: count });

/** Every reason the bindings know for refusing what a guest passed. */
const REASONS =
  /^(a string is not valid|\d+ is no case of a|pointer \d+ is not aligned|\d+ bytes at pointer|a string (of \d+ bytes )?at pointer|option has no case|on-exit has no case|a list of \d+ elements is longer|a call may pass at most|realloc returned|unreachable|the component has no realloc|memory access out of bounds)/;

test.each(
  ENCODINGS.flatMap((encoding) => FUNCTIONS.map((name, index) => ({ encoding, name, index }))),
)(
  'F9 F12 fuzz $encoding $name: hostile arguments trap that guest alone',
  async ({ encoding, name, index }) => {
    let trapped = 0;
    await fc.assert(
      fc.asyncProperty(words(14), words(WORDS), async (args, records) => {
        const host = new Prompt();
        host.deliver(delivery(Buffer.from(Uint32Array.from([index, ...args, ...records]).buffer)));
        const running = bench.engine.start(images[encoding], OUR, host);
        const end = await running.ended;
        if (end.kind === 'returned') return;
        expect(end.kind).toBe('trapped');
        if (end.kind !== 'trapped') return;
        trapped += 1;
        expect(end.report.split('\n')[0]).toMatch(REASONS);
        expect(end.report).toMatch(/\n {2}at init/);
      }),
      { seed, numRuns: RUNS_PER_FUNCTION, endOnFailure: true },
    );
    expect(rejections).toEqual([]);
    if (parameterCount(name) > 0 && name !== 'has-blob')
      expect(trapped, 'some were hostile enough').toBeGreaterThan(0);
  },
);

test('F4 F12 lists that overlap cannot describe more than a call may pass', async () => {
  // 1,000 requests, each with the same body of 1 MiB: 1 GB from 129 KB of guest memory.
  const component = await guest({
    imports: ['send-requests'],
    memory: '64',
    init: `(local $i i32)
      (loop $l
        (i32.store (i32.add (i32.const 0x180018) (i32.mul (local.get $i) (i32.const 128))) (i32.const 0))
        (i32.store offset=32 (i32.add (i32.const 0x180018) (i32.mul (local.get $i) (i32.const 128))) (i32.const 0))
        (i32.store offset=36 (i32.add (i32.const 0x180018) (i32.mul (local.get $i) (i32.const 128))) (i32.const 0x100000))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $i) (i32.const 1000))))
      (call $send-requests (i32.const 0x180000) (i32.const 1000))`,
  });
  const host = new RecordingHost();
  const running = await bench.start(component, host);
  expect(await running.ended).toMatchObject({
    kind: 'trapped',
    report: expect.stringMatching(/^a call may pass at most \d+ bytes/),
  });
  expect(host.calls).toEqual([]);
});
