/** `echo`, `sha256`, `sleep` and `fail`: for trying out a market, and for its tests. */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { type Builtin, numberOf, problemOf, textOf, wholeNumber } from './builtin.ts';

const TEXT_CHARS_MAX = 64 * 1024;
const CODE_MAX = 255;
const SLEEP_MS_MAX = 86_400_000;
const SLICE_MS = 100;
const BUFFER_BYTES = 1024 * 1024;

/** `args.text` on stdout and in `echo.txt`, with a newline. */
export const echo: Builtin = {
  check: ({ text = '' }) =>
    typeof text === 'string' && text.length <= TEXT_CHARS_MAX
      ? undefined
      : `args.text must be a text of at most ${TEXT_CHARS_MAX} characters`,
  run({ args, output, stdout }) {
    const line = `${textOf(args, 'text', '')}\n`;
    stdout(line);
    output('echo.txt', line);
    return 0;
  },
};

/** SHA-256 of all inputs one behind another, as hex on stdout and in `sha256.txt`. */
export const sha256: Builtin = {
  check: () => undefined,
  run({ inputs, output, stdout, progress }) {
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(BUFFER_BYTES);
    for (const [index, path] of inputs.entries()) {
      const file = openSync(path, 'r');
      try {
        for (let got = readSync(file, buffer); got > 0; got = readSync(file, buffer))
          hash.update(buffer.subarray(0, got));
      } finally {
        closeSync(file);
      }
      progress(Math.floor(((index + 1) * 1_000_000) / inputs.length));
    }
    const line = `${hash.digest('hex')}\n`;
    stdout(line);
    output('sha256.txt', line);
    return 0;
  },
};

/** Waits `args.ms`; says `tick` every `args.everyMs`, if there is such a number. */
export const sleep: Builtin = {
  check: (args) =>
    problemOf(
      wholeNumber(args, 'ms', { least: 0, most: SLEEP_MS_MAX }),
      wholeNumber(args, 'everyMs', { least: 0, most: SLEEP_MS_MAX, otherwise: 0 }),
    ),
  run({ args, stdout, progress }) {
    const ms = numberOf(args, 'ms', 0);
    const everyMs = numberOf(args, 'everyMs', 0);
    const start = performance.now();
    const cell = new Int32Array(new SharedArrayBuffer(4));
    let ticks = 0;
    for (let at = 0; at < ms; at = performance.now() - start) {
      Atomics.wait(cell, 0, 0, Math.min(SLICE_MS, everyMs || SLICE_MS, ms - at));
      const passed = Math.min(ms, performance.now() - start);
      progress(Math.floor((passed * 1_000_000) / ms));
      while (everyMs > 0 && (ticks + 1) * everyMs <= passed) stdout(`tick ${(ticks += 1)}\n`);
    }
    return 0;
  },
};

/** `args.message` on stderr, and an end with `args.code`. */
export const fail: Builtin = {
  check: (args) =>
    typeof (args['message'] ?? '') === 'string'
      ? problemOf(wholeNumber(args, 'code', { least: 1, most: CODE_MAX, otherwise: 1 }))
      : 'args.message must be a text',
  run({ args, stderr }) {
    stderr(`${textOf(args, 'message', 'failed')}\n`);
    return numberOf(args, 'code', 1);
  },
};
