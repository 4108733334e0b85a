#!/usr/bin/env node
/* Plain old JavaScript: an old Node.js cannot parse main.ts. Finds the Node.js this project pins and runs main.ts under it. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const NODE_MAJOR_MIN = 26;
/** Exit code "no suitable Node.js" (docs/operating.md). */
const EXIT_NO_RUNTIME = 7;
/** Signals handed to the child when this process gets them from somewhere else than the keyboard. */
const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'];

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const main = join(root, 'bin', 'main.ts');

/** The pinned Node.js: in our own node_modules, or hoisted into one of the folders above us. */
function pinnedNode() {
  const target = process.platform + '-' + process.arch;
  for (let folder = root; ; folder = dirname(folder)) {
    for (const name of ['node-' + target, 'node-bin-' + target]) {
      const path = join(folder, 'node_modules', name, 'bin', 'node');
      if (existsSync(path)) return path;
    }
    if (dirname(folder) === folder) return undefined;
  }
}

/** Runs `node` in our place and ends as it ends. */
function become(node, args) {
  // Replaces this process where Node.js can (22.15 and later): no parent left that signals would have to cross.
  if (typeof process.execve === 'function') {
    try {
      process.execve(node, [node, ...args], process.env);
    } catch {
      // Not on this platform: run it as a child.
    }
  }
  const failed = (error) => {
    console.error('hyperloom: cannot run ' + node + ': ' + error.message + '. Run `npm ci` again.');
    process.exit(EXIT_NO_RUNTIME);
  };
  let child;
  try {
    child = spawn(node, args, { stdio: 'inherit' });
  } catch (error) {
    failed(error); // Such as a binary that npm is just replacing.
  }
  for (const signal of FORWARDED) process.on(signal, () => child.kill(signal));
  child.on('error', failed);
  child.on('exit', (code, signal) => {
    process.exit(signal === null ? code : 128 + (constants.signals[signal] || 0));
  });
}

if (Number(process.versions.node.split('.')[0]) >= NODE_MAJOR_MIN) {
  await import(pathToFileURL(main).href).then((module) => module.run(process.argv.slice(2)));
} else {
  const node = pinnedNode();
  if (node === undefined) {
    const here = `${process.versions.node} on ${process.platform}-${process.arch}`;
    console.error(
      `hyperloom needs Node.js ${NODE_MAJOR_MIN} or later; this is ${here}, and the pinned one is not installed.\n` +
        `Run \`npm ci\` in ${root} without --omit=optional, or install Node.js ${NODE_MAJOR_MIN}.`,
    );
    process.exit(EXIT_NO_RUNTIME);
  }
  // Through this file again, so that main.ts is started in one way only.
  become(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)]);
}
