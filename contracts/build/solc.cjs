#!/usr/bin/env node
/* The compiler of the npm package `solc` behind the command line that forge expects. Nothing is fetched: forge sends every source. */
const { writeSync, readFileSync } = require('node:fs');
const solc = require('solc');

if (process.argv.includes('--version')) {
  writeSync(1, `solc, the solidity compiler commandline interface\nVersion: ${solc.version()}\n`);
} else {
  let output = Buffer.from(solc.compile(readFileSync(0, 'utf8')));
  // A pipe takes what it has room for.
  while (output.length > 0) output = output.subarray(writeSync(1, output));
}
