import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Trap } from '../process-host.ts';
import { rustName } from './rust-names.ts';
import { trapReport } from './trap-report.ts';

function unwound(...frames: string[]): Error {
  const error = new WebAssembly.RuntimeError('unreachable');
  error.stack = ['RuntimeError: unreachable', ...frames.map((frame) => `    at ${frame}`)].join(
    '\n',
  );
  return error;
}

test('a report is the fault, then the guest frames by name; JavaScript frames are left out', () => {
  const report = trapReport(
    undefined,
    unwound(
      'boom (wasm://wasm/8e3c5a0e:wasm-function[12]:0x2ab)',
      'wasm://wasm/8e3c5a0e:wasm-function[7]:0x99',
      'RunningGuest.run (file:///kernel/hart/guest.ts:1:1)',
    ),
  );
  expect(report).toBe('unreachable\n  at boom (0x2ab)\n  at function 7 (0x99)');
});

test("the host's reason goes before what came out of the stack", () => {
  const report = trapReport(
    new Trap('the guest called exit(3)'),
    unwound('main (wasm://wasm/aa:wasm-function[1]:0x5)'),
  );
  expect(report).toBe('the guest called exit(3)\n  at main (0x5)');
});

test('names are the guest’s: none of their control characters reach a terminal, and long ones are cut', () => {
  const report = trapReport(
    undefined,
    unwound(`\u{1b}[2Jx\u{202e}${'y'.repeat(500)} (wasm://wasm/aa:wasm-function[1]:0x5)`),
  );
  expect(report).not.toContain('\u{1b}');
  expect(report).not.toContain('\u{202e}');
  expect(report.length).toBeLessThan(250);
});

test.for([
  ['_ZN3std9panicking11begin_panic17h0123456789abcdefE', 'std::panicking::begin_panic'],
  [
    '_ZN4core3ptr42drop_in_place$LT$alloc..string..String$GT$17h18a93a373504e744E',
    'core::ptr::drop_in_place<alloc::string::String>',
  ],
  ['_ZN3foo28_$u7b$$u7b$closure$u7d$$u7d$17h1a93a373504e7446E', 'foo::{{closure}}'],
  ['memcpy', 'memcpy'],
  ['_ZN9999aE', '_ZN9999aE'],
  ['_ZNE', '_ZNE'],
])('a Rust symbol %s reads %s', ([symbol, name]) => {
  expect(rustName(symbol!)).toBe(name);
});

test('any other name stays as it is, whatever it looks like', () => {
  fc.assert(fc.property(fc.string(), (text) => typeof rustName(`_ZN${text}E`) === 'string'));
  fc.assert(
    fc.property(
      fc.string().filter((text) => !text.startsWith('_ZN')),
      (text) => rustName(text) === text,
    ),
  );
});
