#!/usr/bin/env node
// Plain old JavaScript, because the Node.js that runs this may be too old for what follows: finds the Node.js this project pins (an
// npm package of its own, docs/dependencies.md), or accepts the running one from version 26 on, and runs kit under it.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const REQUIRED_MAJOR = 26;
const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const cli = join(root, 'kit', 'cli.ts');

function pinnedNode() {
  const require = createRequire(import.meta.url);
  for (const name of [
    `node-${process.platform}-${process.arch}`,
    `node-bin-${process.platform}-${process.arch}`,
  ]) {
    try {
      const binary = join(dirname(require.resolve(`${name}/package.json`)), 'bin', 'node');
      if (existsSync(binary)) return binary;
    } catch {
      // Not installed for this platform; try the next.
    }
  }
  return undefined;
}

if (Number(process.versions.node.split('.')[0]) >= REQUIRED_MAJOR) {
  await import(new URL('../kit/cli.ts', import.meta.url).href);
} else {
  const node = pinnedNode();
  if (node === undefined) {
    process.stderr.write(
      `kit needs Node.js ${REQUIRED_MAJOR} or newer (this is ${process.version}), and the pinned one is not installed: run npm ci, without --omit=optional\n`,
    );
    process.exit(1);
  }
  const { status, signal } = spawnSync(node, [cli, ...process.argv.slice(2)], { stdio: 'inherit' });
  if (signal) process.kill(process.pid, signal);
  process.exitCode = status ?? 1;
}
