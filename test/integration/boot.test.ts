/** A real node in its own process: first boot, reboot, kill -9, bad input, and the ways to end (kernel.md §7, runtime-modules.md §9, §10). */
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RunningNode } from '../support/running-node.ts';

let home: string;
beforeEach(async () => {
  home = join(await mkdtemp(join(tmpdir(), 'hyperloom-node-')), 'home');
});
// What a killed node leaves behind, such as a database's process, may write for a moment yet.
afterEach(() => rm(join(home, '..'), { recursive: true, force: true, maxRetries: 10 }));

const pkg = (): string => join(home, 'vfs', 'terminal:sys', 'pkg');

describe('boot and reboot', () => {
  test('K120 K125 a first boot installs the bundled packages; a reboot replaces what was edited in pkg/', async () => {
    {
      await using node = await RunningNode.start(home);
      expect((await stat(join(pkg(), 'terminal:sys.zip'))).size).toBeGreaterThan(1000);
      expect((await node.end('SIGTERM')).code).toBe(0);
      expect(node.output).toContain('exiting due to SIGTERM');
    }
    const shipped = await readFile(join(pkg(), 'scripts.json'), 'utf8');
    await writeFile(join(pkg(), 'scripts.json'), '{}');
    await writeFile(join(pkg(), 'extra'), 'x');
    await mkdir(join(home, 'vfs', 'terminal:sys', 'notes'));
    await writeFile(join(home, 'vfs', 'terminal:sys', 'notes', 'mine'), 'kept');
    await using node = await RunningNode.start(home);
    expect(await readFile(join(pkg(), 'scripts.json'), 'utf8')).toBe(shipped);
    expect(await readdir(pkg())).not.toContain('extra');
    await node.type('cat /terminal:sys/notes/mine', /terminal:sys: kept/);
  });

  test('M244 K121 an alias survives kill -9 the moment it was announced', async () => {
    for (let round = 0; round < 3; round += 1) {
      await using node = await RunningNode.start(home);
      for (let earlier = 0; earlier < round; earlier += 1) {
        await node.type(`say${earlier} round ${round}`, new RegExp(`terminal:sys: round ${round}`));
      }
      await node.type(
        `alias say${round} echo:terminal:sys`,
        new RegExp(`alias say${round} set for`),
      );
      expect((await node.end('SIGKILL')).signal).toBe('SIGKILL');
    }
  });
});

describe('the console', () => {
  test('M224 M240 M242 a typed line runs a script, whose result is printed, and which is gone afterwards', async () => {
    await using node = await RunningNode.start(home);
    await node.type('echo hello  world', /^\w{3} \d\d:\d\d terminal:sys: hello {2}world$/m);
    const listed = await node.type('ps', /PROCESS[^]*?processes;.*/);
    // The one script that runs is ps itself.
    expect(listed[0].match(/^\s+\d+:terminal:sys/gm)).toHaveLength(1);
    expect(listed[0]).toMatch(/terminal:terminal:sys\s+running/);
    await node.type('nonsense', /'nonsense' not found, either as an alias or process ID/);
    await node.type('kfetch', /node\s+test\.dev/);
  });

  test('M247 M250 M251 m, cat and top reach what they name', async () => {
    await using node = await RunningNode.start(home);
    await node.type(
      `m our@kernel:distro:sys '{"Debug":{"Process":"a:b:c"}}' -a 5`,
      /{"Debug":{"Process":null}}/,
    );
    await node.type('cat /terminal:sys/pkg/scripts.json', /"echo\.wasm"/);
    await node.type(
      'cat /terminal:sys/none',
      /failed to read file \/terminal:sys\/none from VFS.*No such file/,
    );
    await node.type('top vfs:distro:sys', /wasm\s+\(runtime\)/);
    await node.type('top x:y:z', /process x:y:z not running/);
  });

  test('M249 hi reaches this node itself; a node that nobody has told of is offline', async () => {
    await using node = await RunningNode.start(home);
    await node.type('hi our hello', /test\.dev: hello[^]*response from our: ack/);
    await node.type('hi bob.os hello', /bob\.os is offline or does not exist/);
  });
});

describe('the ways to end', () => {
  test('M234 SIGTERM and SIGINT end in order with code 0; the home is free afterwards', async () => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      await using node = await RunningNode.start(home, ['--detached']);
      expect((await node.end(signal)).code).toBe(0);
      expect(node.output).toContain(`exiting due to ${signal}`);
      expect(await readdir(home)).not.toContain('.lock');
    }
  });

  test('F19 kill -9 at any moment of a start leaves a home that starts', async () => {
    {
      await using node = await RunningNode.start(home);
      await node.type('alias keep echo:terminal:sys', /alias keep set for/);
      await node.end('SIGTERM');
    }
    for (const afterMs of [80, 160, 240, 320, 400, 480, 560, 640]) {
      await using node = RunningNode.spawn([home, '--fake-node-name', 'test.dev', '--detached']);
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      await node.end('SIGKILL');
    }
    await using again = await RunningNode.start(home);
    await again.type('keep all there', /terminal:sys: all there/);
    expect(again.output).not.toContain('damaged');
  });

  test('M234 a signal during the start ends it at once', async () => {
    await using node = RunningNode.spawn([home, '--fake-node-name', 'test.dev']);
    // The first sign of life that a start gives is its lock.
    await expect
      .poll(() => readdir(home).catch(() => []), { timeout: 20_000, interval: 5 })
      .toContain('.lock');
    const { code } = await node.end('SIGTERM');
    // Either it was still starting, or it had just finished and ended in order.
    expect([0, 143]).toContain(code);
    await using again = await RunningNode.start(home);
    expect((await again.end('SIGTERM')).code).toBe(0);
  });

  test('M234 the end of piped input does not end the node', async () => {
    await using node = await RunningNode.start(home);
    node.child.stdin?.end('echo last words\n');
    await node.until(/terminal:sys: last words/);
    expect((await node.end('SIGTERM')).code).toBe(0);
  });

  test('K105 a Shutdown command ends the node with code 0', async () => {
    await using node = await RunningNode.start(home);
    node.child.stdin?.write(`m our@kernel:distro:sys '"Shutdown"'\n`);
    expect((await node.exited).code).toBe(0);
  });
});

describe('bad input', () => {
  test('F19 a second node on the same home is refused with code 3', async () => {
    await using first = await RunningNode.start(home);
    await using second = RunningNode.spawn([home, '--fake-node-name', 'test.dev']);
    expect((await second.exited).code).toBe(3);
    expect(second.output).toContain(`process id ${first.child.pid}`);
  });

  test('F10 damaged images in the cache are made again', async () => {
    {
      await using node = await RunningNode.start(home);
      await node.type('echo one', /terminal:sys: one/);
      await node.end('SIGTERM');
    }
    const cache = join(home, 'cache');
    const files = (await readdir(cache, { recursive: true, withFileTypes: true })).filter((entry) =>
      entry.isFile(),
    );
    expect(files.length).toBeGreaterThan(0);
    for (const file of files) await writeFile(join(file.parentPath, file.name), 'damaged');
    await using again = await RunningNode.start(home);
    await again.type('echo two', /terminal:sys: two/);
  });

  test('K120 a damaged database is set aside with a line that says where, and the node boots', async () => {
    {
      await using node = await RunningNode.start(home);
      await node.end('SIGTERM');
    }
    for (const name of await readdir(join(home, 'kernel'))) {
      if (name !== 'LOCK') await writeFile(join(home, 'kernel', name), 'damaged');
    }
    await using again = await RunningNode.start(home);
    expect(again.output).toMatch(/database was damaged.*kept as/);
    await again.type('echo still here', /terminal:sys: still here/);
  });

  test('K120 a damaged development key is named, and nothing is overwritten', async () => {
    await mkdir(home);
    await writeFile(join(home, '.development-key'), '{');
    await writeFile(join(home, '.hyperloom'), '{"layout":1}');
    await using node = RunningNode.spawn([home, '--fake-node-name', 'test.dev']);
    expect((await node.exited).code).toBe(5);
    expect(node.output).toContain('.development-key is damaged');
    expect(await readFile(join(home, '.development-key'), 'utf8')).toBe('{');
  });
});

describe('the command line', () => {
  test('M235 wrong flags end with code 2 and name the flag; a real node says what is missing', async () => {
    await using wrong = RunningNode.spawn(['--harts', 'many', home]);
    expect((await wrong.exited).code).toBe(2);
    expect(wrong.output).toContain('--harts');
    await using real = RunningNode.spawn([home, '--password', 'x', '--fakechain-port', '9']);
    expect((await real.exited).code).toBe(5);
    expect(real.output).toContain('hyperloom register');
    await using version = RunningNode.spawn(['--version']);
    expect((await version.exited).code).toBe(0);
    expect(version.output).toMatch(/^hyperloom \d+\.\d+\.\d+$/m);
  });
});
