/* oxlint-disable typescript/no-floating-promises, typescript/await-thenable, unicorn/no-thenable -- promises are what is tested */
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { describe as describeValue, guestConsole } from './console.ts';
import { initFunction } from './init.ts';
import { drainJobs, enqueueJob, onUncaught } from './jobs.ts';
import { GuestPromise } from './promise.ts';
import { cryptoObject, randomFunction } from './random.ts';
import { decodeUtf8, encodeUtf8, GuestTextDecoder } from './text.ts';

afterEach(() => onUncaught(() => {}));

test('encoding equals the platform TextEncoder for any string, lone surrogates too', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
      expect([...encodeUtf8(text)]).toEqual([...new TextEncoder().encode(text)]);
    }),
  );
  expect([...encodeUtf8('a\ud800b')]).toEqual([...new TextEncoder().encode('a\ud800b')]);
});

test('decoding equals the platform TextDecoder for any bytes, ill-formed ones too', () => {
  const lenient = new TextDecoder('utf-8', { ignoreBOM: true });
  const check = (bytes: Uint8Array): void => {
    expect(decodeUtf8(bytes)).toBe(lenient.decode(bytes));
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), check), { numRuns: 1_000 });
  // Bytes that begin or continue long sequences, so that most inputs are nearly well-formed.
  const near = fc.constantFrom(
    0x41,
    0x80,
    0xbf,
    0xc1,
    0xc2,
    0xe0,
    0xa0,
    0x9f,
    0xed,
    0xef,
    0xf0,
    0x90,
    0x8f,
    0xf4,
    0xf5,
  );
  fc.assert(
    fc.property(
      fc.array(near, { maxLength: 12 }).map((list) => Uint8Array.from(list)),
      check,
    ),
    {
      numRuns: 3_000,
    },
  );
  check(new TextEncoder().encode('é'.repeat(5_000))); // Across the chunks that fromCharCode gets.
});

test('a fatal decoder refuses, a byte order mark goes, only UTF-8 is known', () => {
  const bad = new Uint8Array([0x61, 0xff]);
  expect(() => new GuestTextDecoder('utf-8', { fatal: true }).decode(bad)).toThrow(TypeError);
  expect(new GuestTextDecoder().decode(new Uint8Array([0xef, 0xbb, 0xbf, 0x61]))).toBe('a');
  expect(new GuestTextDecoder().decode(new Uint8Array([0x61, 0x62]).buffer)).toBe('ab');
  expect(new GuestTextDecoder('UTF8').decode()).toBe('');
  expect(() => new GuestTextDecoder('latin1')).toThrow(RangeError);
});

type Constructor = typeof Promise;

/** What a program of promises logs, in order. Run on both implementations. */
const programs: Record<string, (P: Constructor, log: (what: unknown) => void) => void> = {
  'then order': (P, log) => {
    const p = P.resolve(1);
    p.then(() => log('a')).then(() => log('c'));
    p.then(() => log('b'));
    log('sync');
  },
  adoption: (P, log) => {
    P.resolve(P.resolve(7)).then(log);
    new P((resolve) => resolve(P.reject(new Error('inner')))).catch((e: Error) => log(e.message));
    P.resolve({ then: (ok: (v: string) => void) => ok('thenable') }).then(log);
    P.resolve()
      .then(() => log(1))
      .then(() => log(2))
      .then(() => log(3));
  },
  'first settles': (P, log) => {
    new P((resolve, reject) => {
      resolve('first');
      reject(new Error('second'));
      throw new Error('third');
    }).then(log, log);
  },
  'throw and catch': (P, log) => {
    P.reject(1)
      .then(() => log('no'))
      .catch((reason) => {
        log(reason);
        throw 2;
      })
      .catch((reason) => log(reason))
      .then(() => log('done'));
  },
  finally: (P, log) => {
    P.resolve('value')
      .finally(() => log('f1'))
      .then(log);
    P.reject('reason')
      .finally(() => log('f2'))
      .catch(log);
    P.resolve(0)
      .finally(() => P.reject('replaced'))
      .catch(log);
  },
  all: (P, log) => {
    P.all([1, P.resolve(2), P.resolve(3).then((n) => n * 2)]).then((v) => log(v.join()));
    P.all([]).then((v) => log(v.length));
    P.all([1, P.reject('x')]).catch(log);
    P.allSettled([1, P.reject('y')]).then((v) => log(JSON.stringify(v)));
    P.any([P.reject(1), P.resolve(2)]).then(log);
    P.any([P.reject(1)]).catch((e: AggregateError) => log(e.errors.join()));
    P.race([new P(() => {}), P.resolve('fast')]).then(log);
  },
  itself: (P, log) => {
    const { promise, resolve } = P.withResolvers<unknown>();
    resolve(promise);
    promise.catch((e: Error) => log(e.name));
  },
};

test.each(Object.keys(programs))('promises settle as the platform says: %s', async (name) => {
  const program = programs[name];
  const ours: unknown[] = [];
  const theirs: unknown[] = [];
  program?.(GuestPromise as unknown as Constructor, (what) => ours.push(what));
  drainJobs();
  program?.(Promise, (what) => theirs.push(what));
  await new Promise((resolve) => setTimeout(resolve, 0));
  expect(ours.length).toBeGreaterThan(0);
  if (name === 'all') expect(new Set(ours)).toEqual(new Set(theirs)); // Between combinators the order is free.
  else expect(ours).toEqual(theirs);
});

test('lowered async functions do as the platform does, in the same order beside others', async () => {
  type Log = (what: unknown) => void;
  const thenable = { then: (ok: (value: string) => void) => ok('thenable') };
  const theirs: unknown[] = [];
  const native = async (name: string, log: Log): Promise<unknown> => {
    log(`${name} begins`);
    log(await Promise.resolve(1));
    try {
      await Promise.reject('refused');
    } catch (error) {
      log(error);
    } finally {
      log(await thenable);
    }
    log(await Promise.resolve(Promise.resolve(name)));
    if (name === 'b') throw new Error('b fails');
    return Promise.resolve(`${name} ends`);
  };
  const lowered = function* (name: string, log: Log): Generator {
    log(`${name} begins`);
    log(yield GuestPromise.resolve(1));
    try {
      yield GuestPromise.reject('refused');
    } catch (error) {
      log(error);
    } finally {
      log(yield thenable);
    }
    log(yield GuestPromise.resolve(GuestPromise.resolve(name)));
    if (name === 'b') throw new Error('b fails');
    return GuestPromise.resolve(`${name} ends`);
  };
  const ours: unknown[] = [];
  for (const name of ['a', 'b', 'c']) {
    const log: Log = (what) => ours.push(what);
    const failed = (error: unknown): unknown => log(String(error));
    GuestPromise.async(undefined, [name, log], lowered as never).then(log, failed);
  }
  drainJobs();
  for (const name of ['a', 'b', 'c']) {
    const log: Log = (what) => theirs.push(what);
    native(name, log).then(log, (error: unknown) => log(String(error)));
  }
  await new Promise((resolve) => setTimeout(resolve, 0));
  expect(ours).toEqual(theirs);
  expect(ours).toContain('Error: b fails');
  const early = GuestPromise.async(undefined, [], () => {
    throw new Error('before it begins');
  });
  const reasons: unknown[] = [];
  early.catch((error) => reasons.push(String(error)));
  drainJobs();
  expect(reasons).toEqual(['Error: before it begins']);
});

test('an unhandled rejection is reported once, a handled one is not', () => {
  const reports: unknown[] = [];
  onUncaught((reason) => reports.push(reason));
  void GuestPromise.reject('lost');
  GuestPromise.reject('found').catch(() => {});
  drainJobs();
  expect(reports).toEqual(['lost']);
});

test('a job that throws is reported and does not stop the others', () => {
  const seen: unknown[] = [];
  onUncaught((reason) => seen.push(reason));
  enqueueJob(() => {
    throw 'first';
  });
  enqueueJob(() => seen.push('second'));
  drainJobs();
  expect(seen).toEqual(['first', 'second']);
});

test('init runs what it awaits before it returns, and lets errors out', () => {
  const order: string[] = [];
  const init = initFunction(
    { init: () => GuestPromise.resolve().then(() => order.push('job')) },
    () => {},
  );
  init('a@b:c:d');
  expect(order).toEqual(['job']);
  const failing = initFunction({ init: () => GuestPromise.reject(new Error('late')) }, () => {});
  expect(() => failing('a@b:c:d')).toThrow('late');
  expect(() => initFunction({}, () => {})).toThrow('neither init nor a default');
});

test('random numbers come from the source, 53 bits of them', () => {
  let asked = 0;
  const source = (length: number): Uint8Array => {
    asked += length;
    return new Uint8Array(length).fill(0xff);
  };
  const random = randomFunction(source);
  expect(asked).toBe(0); // Not at the module's top level, where there is no host.
  expect(random()).toBe(1 - 2 ** -53);
  const { getRandomValues, randomUUID } = cryptoObject(source);
  expect([...getRandomValues(new Uint16Array(2))]).toEqual([0xffff, 0xffff]);
  expect(randomUUID()).toBe('ffffffff-ffff-4fff-bfff-ffffffffffff');
  expect(() => getRandomValues(new Uint8Array(65_537))).toThrow(RangeError);
});

test('the console prints by level and never throws', () => {
  const prints: [number, string][] = [];
  const console = guestConsole((verbosity, text) => prints.push([verbosity, text]));
  console.log('a', 1, { b: 2n });
  console.debug(null, undefined);
  const loop: Record<string, unknown> = {};
  loop['self'] = loop;
  console.error(loop);
  expect(prints).toEqual([
    [0, 'a 1 {"b":"2n"}'],
    [1, 'null undefined'],
    [0, '[object Object]'],
  ]);
  expect(describeValue(new TypeError('x'))).toContain('TypeError: x');
});
