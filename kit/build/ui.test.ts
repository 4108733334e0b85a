import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { buildPackage } from './package.ts';
import { buildUi } from './ui.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'kit-ui-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function put(path: string, content: string): Promise<void> {
  const to = join(root, path);
  await mkdir(join(to, '..'), { recursive: true });
  await writeFile(to, content);
}

async function putPage(): Promise<void> {
  await put(
    'ui/index.html',
    '<!doctype html><script type="module" src="./main.js"></script><link rel="stylesheet" href="./main.css">',
  );
  await put('ui/main.ts', "import { word } from './parts/word.ts';\ndocument.title = word(2);");
  await put('ui/parts/word.ts', 'export const word = (n: number): string => `word ${n}`;');
  await put('ui/main.css', "@import './parts/base.css';\nbody { color: rgb(255, 0, 0) }");
  await put('ui/parts/base.css', 'html { margin: 0px }');
  await put('ui/icons/a b.svg', '<svg/>');
}

const ui = (path: string): Promise<string> => readFile(join(root, 'pkg/ui', path), 'utf8');
const made = async (): Promise<string[]> => {
  const entries = await readdir(join(root, 'pkg/ui'), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files
    .map((file) => join(file.parentPath, file.name).slice(root.length + 8))
    .map((path) => path.replaceAll('\\', '/'))
    .toSorted();
};

test('a ui folder becomes minified modules and styles, its pages and pictures as they are', async () => {
  await putPage();
  await put('ui/main.test.ts', 'throw new Error("a test is not shipped");');
  await put('ui/tsconfig.json', '{}');
  await put('ui/.hidden', '');
  const report = await buildUi(root);
  expect(report?.files.map(({ path }) => path)).toEqual(await made());
  expect(await made()).toEqual(['icons/a b.svg', 'index.html', 'main.css', 'main.js']);
  expect(await ui('main.js')).toMatch(/^var \w=\w=>`word \$\{\w\}`;document\.title=\w\(2\);\n$/);
  expect(await ui('main.css')).toBe('html{margin:0}body{color:red}\n');
  expect(await ui('index.html')).toBe(await readFile(join(root, 'ui/index.html'), 'utf8'));
});

test('KT14 a changed source is built again; what has no source any more goes', async () => {
  await putPage();
  await put('pkg/ui/old.js', 'old()');
  expect((await buildUi(root))?.cached).toBe(false);
  expect(await made()).not.toContain('old.js');
  expect((await buildUi(root))?.cached).toBe(true);
  await put('ui/parts/word.ts', 'export const word = (n: number): string => `other ${n}`;');
  expect((await buildUi(root))?.cached).toBe(false);
  expect(await ui('main.js')).toContain('other');
  await put('pkg/ui/main.js', 'damaged');
  expect((await buildUi(root))?.cached).toBe(false);
  expect(await ui('main.js')).toContain('other');
});

test('several entries share what both import, and every top-level source is an entry', async () => {
  await putPage();
  await put('ui/worker.ts', "import { word } from './parts/word.ts';\npostMessage(word(3));");
  await buildUi(root);
  const files = await made();
  const chunk = files.find((file) => file.startsWith('chunks/'));
  expect(files).toContain('worker.js');
  for (const entry of ['main.js', 'worker.js']) expect(await ui(entry)).toContain(`./${chunk}`);
});

test('preact, htm and the style of uplot are there for packages anywhere, without a network', async () => {
  await put(
    'ui/main.tsx',
    "import htm from 'htm';\nimport { h, render } from 'preact';\nconst html = htm.bind(h);\nrender(<p>{html`<b>x</b>`}</p>, document.body);",
  );
  await put('ui/main.css', "@import 'uplot/dist/uPlot.min.css';\n@import '/hyperware.css';");
  await buildUi(root);
  expect(await ui('main.js')).toContain('createElement');
  expect(await ui('main.css')).toMatch(/^@import"\/hyperware\.css";.*\.uplot/s);
});

test('files of the node are left to the browser', async () => {
  await put('ui/main.ts', "import '/our.js';\nawait fetch('/apps');");
  await put('ui/main.css', 'p { background: url(/icon.svg), url(./dot.png) }');
  await put('ui/dot.png', 'png');
  await buildUi(root);
  expect(await ui('main.js')).toContain('import"/our.js"');
  expect(await ui('main.css')).toMatch(/url\(\/icon\.svg\),url\("\.\/assets\/dot-\w+\.png"\)/);
});

test('equal content makes equal files, wherever', async () => {
  await putPage();
  await put('ui/worker.ts', "import { word } from './parts/word.ts';\npostMessage(word(3));");
  const first = await buildUi(root);
  const elsewhere = await mkdtemp(join(tmpdir(), 'kit-ui-elsewhere-'));
  try {
    await cp(join(root, 'ui'), join(elsewhere, 'deep/ui'), { recursive: true });
    expect((await buildUi(join(elsewhere, 'deep')))?.files).toEqual(first?.files);
    expect(await readFile(join(elsewhere, 'deep/pkg/ui/main.js'), 'utf8')).toBe(
      await ui('main.js'),
    );
  } finally {
    await rm(elsewhere, { recursive: true, force: true });
  }
});

test('what is wrong is said with file and line, and leaves what was there', async () => {
  await putPage();
  await buildUi(root);
  const before = await ui('main.js');
  await put('ui/main.ts', "import './absent.ts';");
  await expect(buildUi(root)).rejects.toMatchObject({
    code: 'source',
    message: expect.stringMatching(/main\.ts:1:8.*absent\.ts/),
  });
  await put('ui/main.ts', 'export {};');
  await put('ui/index.html', '<script type="module" src="./mian.js"></script>');
  await expect(buildUi(root)).rejects.toMatchObject({
    code: 'source',
    message: expect.stringMatching(/index\.html refers to \.\/mian\.js/),
  });
  await put('ui/index.html', '<!-- <img src="./gone.png"> --><a href="./">up</a>');
  await put('ui/main.js', '1');
  await expect(buildUi(root)).rejects.toMatchObject({ message: expect.stringMatching(/rename/) });
  expect(await ui('main.js')).toBe(before);
});

test('without a ui folder pkg/ui is the author’s own', async () => {
  await put('pkg/ui/index.html', 'mine');
  expect(await buildUi(root)).toBeUndefined();
  expect(await ui('index.html')).toBe('mine');
});

test('a ui with a build script of its own is built by that, once', async () => {
  await put(
    'ui/package.json',
    JSON.stringify({ scripts: { build: 'node -e "require(\'./make.cjs\')"' } }),
  );
  await put('ui/node_modules/.keep', '');
  await put(
    'ui/make.cjs',
    "const fs = require('fs'); fs.mkdirSync('dist/a', { recursive: true });\n" +
      "fs.writeFileSync('dist/a/index.html', String(Math.random()));",
  );
  await put('pkg/ui/old.html', '');
  expect((await buildUi(root))?.files.map(({ path }) => path)).toEqual(['a/index.html']);
  const first = await ui('a/index.html');
  expect((await buildUi(root))?.cached).toBe(true);
  expect(await ui('a/index.html')).toBe(first);
  expect((await buildUi(root, { force: true }))?.cached).toBe(false);
  expect(await ui('a/index.html')).not.toBe(first);
  await put('ui/make.cjs', 'console.error("no way"); process.exit(3);');
  await expect(buildUi(root)).rejects.toMatchObject({ message: expect.stringMatching(/no way/) });
  await put('ui/package.json', '{');
  await expect(buildUi(root)).rejects.toMatchObject({ code: 'bad-manifest' });
});

test('the ui is part of the package and of its hash', async () => {
  await put('metadata.json', '{"properties":{"package_name":"sample","publisher":"bob.os"}}');
  await put('pkg/manifest.json', '[]');
  await putPage();
  const first = await buildPackage(root);
  expect(first.ui?.files.length).toBe(4);
  expect((await buildPackage(root)).upToDate).toBe(true);
  await put('ui/main.css', 'body { color: blue }');
  const second = await buildPackage(root);
  expect(second.upToDate).toBe(false);
  expect(second.zipHash).not.toBe(first.zipHash);
  await put('ui/main.css', 'body { color: green }');
  expect((await buildPackage(root, { ui: false })).zipHash).toBe(second.zipHash);
});
