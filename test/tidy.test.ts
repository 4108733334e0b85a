/** Rules about the source that a test can check (style: what is enforced is not argued about). */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const SKIPPED = new Set([
  'node_modules',
  'target',
  'pkg',
  'templates',
  'guests',
  'dist',
  'coverage',
  'vectors',
]);
/** Target is 300; over this a file has two ideas in it. */
const LINES_MAX = 440;

function sources(folder: string): string[] {
  return readdirSync(join(root, folder)).flatMap((name) => {
    const path = join(folder, name);
    if (SKIPPED.has(name) || name.startsWith('.')) return [];
    if (statSync(join(root, path)).isDirectory()) return sources(path);
    return name.endsWith('.ts') ? [path] : [];
  });
}

const files = [
  'bin',
  'wit',
  'contracts',
  'kernel',
  'runtime-modules',
  'processes',
  'kit',
  'extensions',
  'test',
]
  .flatMap(sources)
  .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));

interface Import {
  readonly from: string;
  /** Relative to the root, or the bare specifier. */
  readonly to: string;
}

const imports: Import[] = files.flatMap(({ path, text }) =>
  [
    ...text.matchAll(/^(?:import|export)[^'"\n]*(?:\n[^'"]*?)?from '([^']+)'|^import '([^']+)'/gm),
  ].map((match) => {
    const to = match[1] ?? match[2]!;
    return {
      from: path,
      to: to.startsWith('.') ? relative(root, resolve(root, dirname(path), to)) : to,
    };
  }),
);

const isTest = (path: string): boolean =>
  /\.test\.ts$|(^|\/)testing(\.ts$|\/)|-harness\.ts$/.test(path);

/** Who may import what: the first folder that matches `from` decides. */
const DIRECTION: readonly { from: RegExp; may: RegExp }[] = [
  { from: /^wit\//, may: /^wit\/|^@noble\/hashes\// },
  // What guests use of the namespace.
  {
    from: /^contracts\/(hypermap|calls|events|notes|ranking|hex|addresses|compute(?:-[a-z]+)?|merkle-tree|typed-data)\.ts$/,
    may: /^wit\/|^contracts\/(hypermap|calls|events|hex|compute(?:-[a-z]+)?|merkle-tree|typed-data)\.ts$/,
  },
  { from: /^contracts\/build\//, may: /^contracts\/|^node:|^(ethers|solc)$/ },
  { from: /^contracts\//, may: /^(wit|contracts)\/|^node:|^ethers$/ },
  // AssemblyScript: jobs, which run in nothing but wasm.
  { from: /^extensions\/.*\.as\.ts$/, may: /^job$/ },
  // Programs beside the node: they meet it by messages, and share with it what documents and frames are, and the engine (F45).
  {
    from: /^extensions\//,
    may: /^(wit|extensions|kernel\/(hart|image))\/|^kernel\/(engine|process-host)\.ts$|^contracts\/(hex|hypermap|merkle|merkle-tree|compute(?:-[a-z]+)?)\.ts$|^node:|^@noble\/curves\/|^(ws|dockerode)$/,
  },
  { from: /^kernel\//, may: /^(wit|kernel)\/|^node:/ },
  {
    from: /^runtime-modules\/([^/]+)\//,
    may: /^(wit|contracts(?!\/(build|test))|runtime-modules\/(shared|identity|OWN))\/|^kernel\/(module|print|store|limits|clock|process-host|process-map-codec)\.ts$|^node:|^@(noble\/curves|stablelib\/chacha20poly1305)(\/|$)|^(level|yauzl|yazl|ws|mrmime|prom-client)$/,
  },
  {
    from: /^processes\/lib\//,
    may: /^(wit|processes\/lib)\/|^contracts\/(hypermap|calls|events|notes|ranking|hex|addresses|compute(?:-[a-z]+)?|merkle-tree|typed-data)\.ts$|^(hyperware|wasi):|^hyperloom:guest\//,
  },
  {
    from: /^processes\/bundled\.ts$/,
    may: /^(kit\/build|processes|wit)\/|^kernel\/boot\.ts$|^node:/,
  },
  // Pages run in a browser: they meet their process over HTTP only.
  {
    from: /^processes\/([^/]+)\/ui\//,
    may: /^(wit|processes\/OWN)\/|^(preact(\/hooks)?|htm|uplot)$/,
  },
  // What of contracts runs in guests, and AssemblyScript, which finds its glue by name.
  { from: /^processes\/[^/]+\/[^/]+\/assembly\//, may: /^processes\/|^hyperware$/ },
  {
    from: /^processes\/([^/]+)\//,
    may: /^(wit|processes\/(lib|OWN))\/|^contracts\/(hex|hypermap|calls|events|notes|addresses|compute(?:-[a-z]+)?|merkle-tree|typed-data)\.ts$|^@noble\/hashes\/|^hyperware:/,
  },
  {
    from: /^contracts\/(hex|hypermap|calls|events|notes|addresses)\.ts$/,
    may: /^wit\/|^contracts\/(hex|hypermap|calls|events|notes|addresses)\.ts$/,
  },
];

describe('direction of imports', () => {
  for (const { from, may } of DIRECTION) {
    test(`${from.source} imports only what it may`, () => {
      const wrong = imports.filter((one) => {
        if (isTest(one.from) || DIRECTION.find((rule) => rule.from.test(one.from))?.from !== from)
          return false;
        const own = from.exec(one.from)?.[1];
        return !new RegExp(may.source.replace('OWN', own ?? 'OWN')).test(one.to);
      });
      expect(wrong.map((one) => `${one.from} -> ${one.to}`)).toEqual([]);
    });
  }

  test('only the composition roots know both the kernel and runtime modules', () => {
    const knows = (path: string, folder: string): boolean =>
      imports.some((one) => one.from === path && one.to.startsWith(folder));
    const both = files
      .map((file) => file.path)
      .filter((path) => !isTest(path) && !path.startsWith('test/'))
      .filter((path) => knows(path, 'kernel/kernel.ts') && knows(path, 'runtime-modules/'));
    // kit run is a node of its own: in memory, with one component.
    expect(both.toSorted()).toEqual(['bin/modules.ts', 'bin/node.ts', 'kit/solo-node.ts']);
  });

  test('F30 no node loads the ABI library: it is for contracts, deployment and wallets', () => {
    const values = (path: string): string[] => {
      const text = existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : '';
      const found = text.matchAll(/^(?:import|export) (?!type\b)[^'"]*?from '([^']+)'/gm);
      return [...found].map(([, to = '']) =>
        to.startsWith('.') ? relative(root, resolve(root, dirname(path), to)) : to,
      );
    };
    // The last one a development node loads when it needs it.
    const loaded = new Set(['bin/main.ts', 'bin/node.ts', 'contracts/chain/chain.ts']);
    for (const path of loaded) for (const to of values(path)) loaded.add(to);
    expect(loaded).toContain('runtime-modules/eth/rpc-socket.ts');
    expect(loaded).toContain('ws');
    expect(loaded).not.toContain('ethers');
  });

  test('route is pure: no node: module, no promise', () => {
    const { text } = files.find((file) => file.path === 'kernel/route.ts')!;
    expect(text).not.toMatch(/'node:|async |await |Promise/);
  });
});

describe('the text itself', () => {
  test(`no file is longer than ${LINES_MAX} lines`, () => {
    const long = files
      .filter((file) => !file.path.endsWith('.test.ts'))
      .map((file) => ({ path: file.path, lines: file.text.split('\n').length }))
      .filter((file) => file.lines > LINES_MAX);
    expect(long).toEqual([]);
  });

  test('every file but a test opens with what it is', () => {
    const silent = files.filter(
      (file) => !file.path.endsWith('.test.ts') && !/^(#!.*\n)?(\/\*\*|\/\/)/.test(file.text),
    );
    expect(silent.map((file) => file.path)).toEqual([]);
  });

  test('no leftovers: TODO without an issue, disabled or focused tests, console outside the tools', () => {
    const left = files.flatMap((file) =>
      [
        /\bTODO\b(?!\(#\d+\))/,
        /\bFIXME\b|\bXXX\b/,
        /\b(it|test|describe)\.only\(/,
        ...(/^(kit|test\/bench)\//.test(file.path) ? [] : [/\bconsole\.(log|error|warn)\(/]),
      ]
        .filter((pattern) => pattern.test(file.text) && !file.path.endsWith('.test.ts'))
        .map((pattern) => `${file.path}: ${pattern.source}`),
    );
    expect(left).toEqual([]);
  });
});
