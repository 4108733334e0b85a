/** Writes what follows from an example's files: hashes in its spec.json, results in its expected.json. For whoever changes one: node rewrite-harness.ts NAME */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildJob } from '../../../kit/build/job.ts';
import { specOf, tryRun } from '../runners/testing.ts';
import { wasmRunner } from '../runners/wasm/runner.ts';
import { listed, readExample, sha256 } from './example.ts';

const name = process.argv[2] ?? '';
const { folder, spec, inputs, source } = await readExample(name);
const module = source === undefined ? undefined : (await buildJob(source)).module;
const complete = specOf({ ...spec, ...listed(inputs, module) });
await writeFile(join(folder, 'spec.json'), `${JSON.stringify(complete, undefined, 2)}\n`);
if (module !== undefined) {
  const runner = wasmRunner({ harts: 1 });
  const { end, stdout, stderr, files } = await tryRun(runner, { spec, inputs, module });
  await runner[Symbol.asyncDispose]();
  process.stdout.write(`${stdout}${stderr}${JSON.stringify(end)}\n`);
  const hashes = Object.entries(files).map(([path, text]) => [
    path,
    sha256(Buffer.from(text, 'latin1')),
  ]);
  const expected = { status: end.status, stdout, files: Object.fromEntries(hashes) as object };
  await writeFile(join(folder, 'expected.json'), `${JSON.stringify(expected, undefined, 2)}\n`);
  // The one example whose result is another's input.
  if (name === 'train-network')
    await writeFile(join(folder, '../run-network/in/weights.f32'), files['weights.f32']!, 'latin1');
}
