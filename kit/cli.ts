/** `kit`, the developer command line: parses, dispatches, and turns failures into a sentence and exit code 1. */
import { enableCompileCache } from 'node:module';
import { defineCommand, runMain } from 'citty';

enableCompileCache();
// Whoever reads has enough, as `head` has after some lines.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

const main = defineCommand({
  meta: {
    name: 'kit',
    description: 'Builds and runs hyperloom packages, and has things computed.',
  },
  subCommands: {
    'boot-fake-node': () =>
      import('./commands/boot-fake-node.ts').then((module) => module.bootFakeNode),
    build: () => import('./commands/build.ts').then((module) => module.build),
    job: () => import('./commands/job.ts').then((module) => module.job),
    new: () => import('./commands/new.ts').then((module) => module.create),
    provider: () => import('./commands/provider.ts').then((module) => module.provider),
    run: () => import('./commands/run.ts').then((module) => module.run),
  },
});

await runMain(main);
