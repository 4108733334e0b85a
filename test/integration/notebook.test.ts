/** The notebook example on a real node: every kind of storage through the process library, from the terminal, over reboots. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { buildPackage } from '../../kit/build/package.ts';
import { installPackage, type ReadablePackage, readPackage } from '../../kernel/boot.ts';
import {
  entryOf,
  grantedCapabilities,
  initialCapabilities,
  processOf,
} from '../../kernel/bundle.ts';
import { bootNode, type Node } from '../../bin/node.ts';

const FOLDER = fileURLToPath(new URL('../../processes/notebook', import.meta.url));

let notebook: ReadablePackage;
beforeAll(async () => {
  const { zip } = await buildPackage(FOLDER);
  const pkg = join(FOLDER, 'pkg');
  const files = await Promise.all(
    (await readdir(pkg)).map(async (path) => ({ path, bytes: await readFile(join(pkg, path)) })),
  );
  const metadata = await readFile(join(FOLDER, 'metadata.json'), 'utf8');
  const read = readPackage({ label: 'notebook', metadata, zip: await readFile(zip), files });
  if (!read.ok) throw new Error(read.error);
  notebook = read.value;
}, 120_000);

let home: string;
beforeEach(async () => {
  home = join(await mkdtemp(join(tmpdir(), 'hyperloom-notebook-')), 'home');
});
afterEach(() => rm(dirname(home), { recursive: true, force: true }));

class Session implements AsyncDisposable {
  readonly node: Node;
  readonly #text: () => string;

  private constructor(node: Node, text: () => string) {
    this.node = node;
    this.#text = text;
  }

  static async boot(): Promise<Session> {
    const output = new PassThrough();
    let text = '';
    output.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const node = await bootNode({
      home,
      fakeNodeName: 'test.dev',
      detached: true,
      logging: false,
      input: new PassThrough(),
      output,
      quit: () => undefined,
    });
    return new Session(node, () => text);
  }

  /** As a package manager does it: files, processes, what they hold, what they hand to others; then they run. */
  async install({ metadata, manifest, bundled }: ReadablePackage): Promise<void> {
    const { kernel } = this.node;
    await installPackage(home, { metadata, manifest, bundled });
    for (const entry of manifest) {
      const id = processOf(metadata, entry);
      const stored = entryOf(metadata, entry);
      const wasm = bundled.files.find(({ path }) => stored.wasmBytesHandle.endsWith(`/${path}`));
      const capabilities = initialCapabilities(kernel.our, metadata, entry);
      const made = await kernel.initialize(
        { ...stored, id, capabilities },
        wasm?.bytes ?? new Uint8Array(),
      );
      expect(made).toMatchObject({ ok: true });
      for (const { to, capability } of grantedCapabilities(kernel.our, metadata, entry)) {
        expect(await kernel.grant(to, [capability]), to).toBe(true);
      }
      expect(kernel.run(id)).toBeUndefined();
    }
  }

  get text(): string {
    return this.#text();
  }

  /** Types a line and waits for what it should print. */
  async type(line: string, pattern: RegExp): Promise<void> {
    const from = this.text.length;
    this.node.enter(line);
    await expect.poll(() => this.text.slice(from), { timeout: 20_000 }).toMatch(pattern);
  }

  /** Runs the notebook's script and waits for what it should print. */
  async note(line: string, pattern: RegExp): Promise<void> {
    await this.type(`note:notebook:demo ${line}`, pattern);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.node.close();
  }
}

test('notes, tags, attachments, settings and reminders work from the terminal and are there after a reboot', async () => {
  {
    await using session = await Session.boot();
    await session.install(notebook);
    await session.note('add Dave "test the tea"', /note 1$/m);
    await session.note('add milk 2024', /note 2$/m);
    await session.note('tag 1 kitchen', /note 1 is tagged kitchen/);
    await session.note('tag 2 kitchen', /note 2 is tagged kitchen/);
    await session.note('tags', /kitchen 2/);
    await session.note('find tea', /1 Dave {2}\[kitchen\]/);
    await session.note(
      'attach 1 a.txt hello there',
      /a\.txt: 12998c017066eb0d2a70b94e6ed3192985855ce390f321bbdb832022888bd251/,
    );
    await session.note('attach 1 ../../x evil', /has no slash/);
    await session.note('set list_max 1', /list_max is 1/);
    await session.note('remind 1 0 now', /reminder: now \(Dave\)/);
    await session.note('remind 2 3600 later', /in 3600 s/);
  }
  await using session = await Session.boot();
  await session.note('list', /2 milk {2}\[kitchen\]\s*$/);
  await session.note('show 1', /Dave {2}\[kitchen\]\n +test the tea\n +a\.txt \(11 bytes\)/);
  await session.note('read 1 a.txt', /hello there/);
  await session.note('remove 1', /note 1 is removed/);
  await session.note('show 1', /there is no note 1/);
  await session.note('list kitchen', /2 milk/);
  expect(await readdir(join(home, 'vfs', 'notebook:demo', 'attachments'))).toEqual([]);
});

test("M251 what a package keeps and has open is in top, in ps and in the kernel's Usage", async () => {
  await using session = await Session.boot();
  await session.install(notebook);
  await session.note('add milk 2024', /note 1$/m);
  const id = processOf(notebook.metadata, notebook.manifest[0]!);
  await session.type(`top ${id}`, /open files and databases +[1-9]/);
  // What is on disk is counted in the background, from the first time that somebody asks.
  const disk = /disk of its package +[1-9].* of 64\.0 GiB/;
  await expect
    .poll(
      () => {
        session.node.enter(`top ${id}`);
        return session.text;
      },
      { timeout: 20_000, interval: 200 },
    )
    .toMatch(disk);
  await session.type('ps', new RegExp(`${id} +running .* [1-9][\\d.]* [KM]iB `));
  await session.type(
    `m our@kernel:distro:sys '{"Debug":"Usage"}' -a 5`,
    /"package":\{"disk_bytes":[1-9]\d*,"disk_bytes_max":68719476736,"open_handles":[1-9]/,
  );
});

test('a notebook that was killed and installed again has what it had', async () => {
  await using session = await Session.boot();
  await session.install(notebook);
  await session.note('add first x', /note 1$/m);
  await session.node.kernel.kill(processOf(notebook.metadata, notebook.manifest[0]!), {
    revoke: false,
  });
  await session.note('list', /timeout|offline/);
  await session.install(notebook);
  await session.note('add second x', /note 2$/m);
  await session.note('list', /2 second.*\n.*1 first/);
});
