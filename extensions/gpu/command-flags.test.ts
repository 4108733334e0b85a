/** Flags that say what else runs here, by what the runners then do. */
import { expect, test } from 'vitest';
import { allowedCommand, isPinned } from './command-flags.ts';
import { commandRunner } from './runners/command/runner.ts';
import { specOf } from './runners/testing.ts';

/** What a plain child may be with these flags: whether it is taken. */
async function taken(flags: readonly string[], ...cmd: readonly string[]): Promise<boolean> {
  const allow = flags.map((flag) => {
    const made = allowedCommand(flag);
    if (typeof made === 'string') throw new Error(made);
    return made;
  });
  const runner = await commandRunner({ confinement: 'no-network', allow });
  return runner.refusal(specOf({ kind: 'command', entry: { cmd: [...cmd] } })) === undefined;
}

test.skipIf(process.platform === 'win32')(
  'a command that is listed runs as a plain child, with any arguments or those that match',
  async () => {
    const flags = ['/usr/bin/ffmpeg=-i /job/in/[a-z]+ -c=copy out', '/bin/true'];
    expect(await taken(flags, '/bin/true')).toBe(true);
    expect(await taken(flags, '/bin/true', 'a\nb', 'c')).toBe(true);
    expect(await taken(flags, '/bin/false')).toBe(false);
    expect(await taken(flags, 'true')).toBe(false);
    const run = (...args: readonly string[]): Promise<boolean> =>
      taken(flags, '/usr/bin/ffmpeg', ...args);
    expect(await run('-i', '/job/in/a', '-c=copy', 'out')).toBe(true);
    expect(await run('-i', '/job/in/a', '-c=copy', 'out', '-y')).toBe(false);
    expect(await run('-i', '/etc/passwd', '-c=copy', 'out')).toBe(false);
    expect(await taken([], '/bin/true')).toBe(false);
  },
);

test('what is no program by its whole path, or no expression, is said', () => {
  for (const flag of ['', 'ffmpeg', './ffmpeg', '/', '/usr/bin/', '/usr/../bin/sh', '=x'])
    expect(allowedCommand(flag), flag).toMatch(/whole path/);
  expect(allowedCommand('/bin/sh=(')).toMatch(/no expression/);
});

test('an image to try GPUs with is named by its digest', () => {
  const digest = `sha256:${'0a'.repeat(32)}`;
  expect(isPinned(`nvcr.io/nvidia/cuda@${digest}`)).toBe(true);
  for (const image of ['nvcr.io/nvidia/cuda:12', `@${digest}`, `a@${digest}0`, `A@${digest}`])
    expect(isPinned(image), image).toBe(false);
});
