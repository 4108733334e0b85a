import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ProcessId } from '../../wit/types.ts';
import { type ConsoleOptions, type NativeConsole, openConsole } from './index.ts';

const guest = 'a:b:c' as ProcessId;
let home: string;
const open: NativeConsole[] = [];

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'hyperloom-console-'));
});
afterEach(async () => {
  for (const terminal of open.splice(0)) await terminal.close();
  await rm(home, { recursive: true, force: true });
});

/** A console over streams; `tty` makes both look like a terminal. */
async function start(options: Partial<ConsoleOptions> = {}, tty = false) {
  const input = Object.assign(new PassThrough(), {
    isTTY: tty,
    raw: [] as boolean[],
    setRawMode(mode: boolean) {
      this.raw.push(mode);
    },
  });
  const output = Object.assign(new PassThrough(), { isTTY: tty, columns: 80 });
  let text = '';
  output.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const submitted: string[] = [];
  const quits: string[] = [];
  const levels: number[] = [];
  const terminal = await openConsole(
    { node: 'n.dev', home, colours: false, ...options },
    {
      input,
      output,
      now: () => new Date(2026, 10, 23, 9, 5, 7),
      submit: (line) => submitted.push(line),
      quit: () => quits.push('quit'),
      verbosityChanged: (level) => levels.push(level),
    },
  );
  open.push(terminal);
  terminal.start();
  return { terminal, input, submitted, quits, levels, text: () => text };
}

/** Lets streams and key events run. */
const settle = (): Promise<void> =>
  new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

async function logged(): Promise<string> {
  const names = await readdir(join(home, '.terminal_logs'));
  const texts = names.map((name) => readFile(join(home, '.terminal_logs', name), 'utf8'));
  return (await Promise.all(texts)).join('');
}

test('M224 piped lines are submitted one by one, without a prompt', async () => {
  const { input, submitted, text } = await start();
  input.write('echo one\n\n  \necho two\r\necho th');
  input.end('ree');
  await settle();
  expect(submitted).toEqual(['echo one', 'echo two', 'echo three']);
  expect(text()).toBe('');
});

test('M224 M225 at a TTY keys edit the prompt, prints go above it, Ctrl-V cycles', async () => {
  const { terminal, input, submitted, levels, text } = await start({}, true);
  expect(input.raw).toEqual([true]);
  input.write('echo hX\u007fi');
  await settle();
  void terminal.print({ verbosity: 0, source: guest, text: 'hello' });
  // Erase the prompt, the line, the prompt again with what was typed.
  expect(text()).toContain('\r\u001b[KMon 09:05 hello\n\r\u001b[Kn.dev > echo hi');
  input.write('\r');
  await settle();
  expect(submitted).toEqual(['echo hi']);
  input.write('\u0016');
  await settle();
  expect(levels).toEqual([1]);
  expect(text()).toContain('verbose mode: debug');
  await terminal.close();
  expect(input.raw).toEqual([true, false]);
});

test('M224 Ctrl-C and Ctrl-D ask for the end and say so', async () => {
  const { input, quits, text } = await start({}, true);
  input.write('\u0003');
  await settle();
  expect(quits).toEqual(['quit']);
  expect(text()).toContain('exit code received');
});

describe('M229 the process-verbosity screen', () => {
  const CTRL_W = '\u0017';
  async function onScreen() {
    const console = await start({}, true);
    const { input, text } = console;
    input.write(`echo hi${CTRL_W}`);
    await settle();
    const type = async (keys: string): Promise<string> => {
      const from = text().length;
      input.write(keys);
      await settle();
      return text().slice(from);
    };
    return { ...console, type };
  }

  test('M229 sets, mutes and removes; input that sets nothing stands', async () => {
    const { text, type } = await onScreen();
    expect(text()).toContain('\u001b[?1049h');
    expect(text()).toContain('no process has a level of its own');
    expect(await type(`${guest} 3\r`)).toMatch(/a:b:c  3(.|\r|\n)*> $/);
    expect(await type(`${guest} mute\r`)).toMatch(/a:b:c  muted(.|\r|\n)*> $/);
    expect(await type(`${guest} 256\r`)).toMatch(/a:b:c  muted(.|\r|\n)*> a:b:c 256$/);
    expect(await type('\u007f'.repeat(3).concat('x\r'))).toMatch(/> a:b:c x$/);
    expect(await type('\u007f\u007f\r')).toMatch(/no process has a level of its own(.|\r|\n)*> $/);
    expect(await type('nonsense\r')).toMatch(/> nonsense$/);
  });

  test('M229 prints wait, are shown by the new levels, and the line typed before is back', async () => {
    const { terminal, submitted, type, text } = await onScreen();
    void terminal.print({ verbosity: 0, source: guest, text: 'waits' });
    void terminal.print({ verbosity: 3, source: 'd:e:f' as ProcessId, text: 'now shown' });
    void terminal.print({ verbosity: 3, source: 'g:h:i' as ProcessId, text: 'still hidden' });
    expect(text()).not.toContain('waits');
    await type('d:e:f 3\r');
    const back = await type(CTRL_W);
    expect(back.indexOf('\u001b[?1049l')).toBe(0);
    expect(back).toMatch(/waits\n(.|\r|\n)*now shown\n(.|\r|\n)*n\.dev > echo hi[^>\n]*$/);
    expect(back).not.toContain('still hidden');
    expect(back).not.toContain('Dropped');
    await type('\r');
    expect(submitted).toEqual(['echo hi']);
    // Nothing that was shown already is shown again the next time.
    await type(CTRL_W);
    expect(await type(CTRL_W)).not.toContain('waits');
  });

  test('M229 past 256 prints the oldest are dropped, and how many is said', async () => {
    const { terminal, type } = await onScreen();
    for (let i = 0; i < 259; i++)
      void terminal.print({ verbosity: 0, source: guest, text: `print ${i}.` });
    const back = await type(CTRL_W);
    expect(back).toContain('Dropped 3 prints while on alternate screen');
    expect(back).not.toContain('print 2.');
    expect(back).toContain('print 3.');
    expect(back).toContain('print 258.');
    await terminal.close();
    expect(await logged()).toContain('print 0.');
  });

  test('M229 a process cannot draw on it, and the end leaves it', async () => {
    const { terminal, type, text } = await onScreen();
    const before = text().length;
    void terminal.print({ verbosity: 0, source: guest, text: '\u001b[2J' });
    void terminal.print({ verbosity: 0, source: guest, text: 'of the node' });
    expect(text().length).toBe(before);
    expect(await type('x'.repeat(1000))).toMatch(/> x{77}$/);
    await terminal.close();
    const end = text().slice(text().lastIndexOf('\u001b[?1049l'));
    expect(end).toContain('of the node');
    expect(end).not.toContain('\u001b[2J');
  });

  test('M229 Ctrl-C on the screen ends the node', async () => {
    const { type, quits } = await onScreen();
    expect(await type('\u0003')).toContain('exit code received');
    expect(quits).toEqual(['quit']);
  });
});

test('K129 M225 a level-2 print is hidden at verbosity 0 and written to the log', async () => {
  const { terminal, text } = await start();
  void terminal.print({ verbosity: 2, source: guest, text: 'a:b: detail' });
  void terminal.print({ verbosity: 0, source: guest, text: 'a:b: plain' });
  await terminal.close();
  expect(text()).toBe('Mon 09:05 a:b: plain\n');
  expect(await logged()).toMatch(/a:b: detail\n.*a:b: plain\n$/s);
});

test('K130 M226 a muted process shows nothing, and is logged', async () => {
  const processVerbosity = new Map([[guest, 'muted' as const]]);
  const { terminal, text } = await start({ processVerbosity });
  void terminal.print({ verbosity: 0, source: guest, text: 'quiet' });
  await terminal.close();
  expect(text()).toBe('');
  expect(await logged()).toContain('quiet');
});

test('M233 --logging-off starts without a log', async () => {
  const { terminal } = await start({ logging: false });
  void terminal.print({ verbosity: 0, source: guest, text: 'x' });
  await terminal.close();
  expect(await readdir(home)).not.toContain('.terminal_logs');
});

test('M234 detached reads nothing, and still prints', async () => {
  const { terminal, input, submitted, text } = await start({ detached: true }, true);
  input.write('echo one\n');
  await settle();
  void terminal.print({ verbosity: 0, source: guest, text: 'x' });
  expect(submitted).toEqual([]);
  expect(input.raw).toEqual([]);
  expect(text()).toBe('Mon 09:05 x\n');
});

test('M232 what a guest prints cannot leave its line or forge a prompt', async () => {
  const { terminal, text } = await start({}, true);
  const before = text().length;
  void terminal.print({ verbosity: 0, source: guest, text: 'x\u001b[2J\r\nn.dev > rm' });
  const shown = text().slice(before);
  expect(shown).toContain('Mon 09:05 x␛[2J\n          n.dev > rm\n');
  expect(shown.match(/(^|\n)n\.dev > /g)).toBeNull();
});

test('M224 a line over the limit is dropped and said so', async () => {
  const { input, submitted, text } = await start();
  input.write(`${'x'.repeat(65_537)}\n`);
  await settle();
  expect(submitted).toEqual([]);
  expect(text()).toContain('dropped');
  input.write(`${'x'.repeat(65_536)}\n`);
  await settle();
  expect(submitted).toHaveLength(1);
});

describe('a screen that does not keep up', () => {
  /** A console whose output takes nothing until told to. */
  async function stuck() {
    const waiting: (() => void)[] = [];
    let shown = '';
    const output = Object.assign(
      new Writable({
        write(chunk: Buffer, _encoding, done) {
          shown += chunk.toString();
          waiting.push(done);
        },
      }),
      { isTTY: false },
    );
    const terminal = await openConsole(
      { node: 'n.dev', colours: false, detached: true },
      {
        input: new PassThrough(),
        output,
        now: () => new Date(),
        submit: () => undefined,
        quit: () => undefined,
      },
    );
    open.push(terminal);
    const take = async (): Promise<void> => {
      for (let done = waiting.shift(); done !== undefined; done = waiting.shift()) {
        done();
        await settle();
      }
    };
    return { terminal, take, shown: () => shown };
  }

  const big = (letter: string) => ({ verbosity: 0, source: guest, text: letter.repeat(60_000) });

  test('F5 whoever prints too fast gets a promise, which settles when the screen has caught up', async () => {
    const { terminal, take } = await stuck();
    expect(terminal.print({ verbosity: 0, source: guest, text: 'small' })).toBeUndefined();
    let wait: Promise<void> | undefined;
    for (let n = 0; n < 5; n += 1) wait = terminal.print(big('x'));
    expect(wait).toBeInstanceOf(Promise);
    let settled = false;
    void wait?.then(() => (settled = true));
    await settle();
    expect(settled).toBe(false);
    await take();
    expect(settled).toBe(true);
    expect(terminal.print({ verbosity: 0, source: guest, text: 'small' })).toBeUndefined();
  });

  test('F5 prints of those who do not wait are dropped at the limit, and counted', async () => {
    const { terminal, take, shown } = await stuck();
    for (let n = 0; n < 200; n += 1) void terminal.print(big('y'));
    await take();
    await take();
    const kept = shown().match(/y{60000}/g)?.length ?? 0;
    expect(kept).toBeGreaterThan(100);
    expect(kept).toBeLessThan(150);
    expect(shown()).toContain(`${200 - kept} prints were dropped`);
  });
});
