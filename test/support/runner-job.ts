/** A program that runs one job, which sleeps, and waits for its end: what a test kills. Its argument is JSON; it prints the lease at the start. */
import { commandRunner } from '../../extensions/gpu/runners/command/runner.ts';
import { containerRunner } from '../../extensions/gpu/runners/container/runner.ts';
import type { Runner } from '../../extensions/gpu/runners/runner.ts';
import { makeRun } from '../../extensions/gpu/runners/testing.ts';

export interface RunnerOrder {
  readonly folder: string;
  /** Of a container; without it, a command. */
  readonly container?: {
    readonly host: string | undefined;
    readonly repository: string;
    readonly image: string;
  };
}

// Proof of the type: tests write it.
const { folder, container } = JSON.parse(process.argv[2]!) as RunnerOrder;
const runner = await runnerOf();
const cmd = ['sleep', '300'];
const spec =
  container === undefined
    ? { kind: 'command', entry: { cmd } }
    : { kind: 'container', image: container.image, entry: { cmd } };
const { run } = await makeRun(folder, {
  spec,
  onStart: ({ lease }) => process.stdout.write(`${lease}\n`),
});
await runner.prepare(run);
await runner.run(run);

async function runnerOf(): Promise<Runner> {
  if (container === undefined) return commandRunner({ freeFloor: 0 });
  const { host, repository } = container;
  return containerRunner({
    ...(host === undefined ? {} : { host }),
    images: { allow: [repository] },
    freeFloor: 0,
  });
}
