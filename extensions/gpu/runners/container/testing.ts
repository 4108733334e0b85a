/** Jobs in containers of a real engine, for tests; those are skipped, with the reason, where there is none. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, type TestContext } from 'vitest';
import {
  closeDockerEngine,
  dockerEngine,
  type TestEngine,
} from '../../../../test/support/docker.ts';
import { tryRun, type Trial, type TrialOptions } from '../testing.ts';
import { LABEL } from './create-options.ts';
import { containerRunner, type ContainerRunner } from './runner.ts';

/** Milliseconds that a test with containers may take. */
export const LONG = 90_000;

/** Lets go of the engine after the tests of the file, and makes folders that are gone after each. */
export function containerTests(): { readonly makeFolder: (prefix: string) => Promise<string> } {
  const folders: string[] = [];
  afterAll(closeDockerEngine);
  afterEach(async () => {
    for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
  });
  return {
    makeFolder: async (prefix) => {
      const folder = await mkdtemp(join(tmpdir(), prefix));
      folders.push(folder);
      return folder;
    },
  };
}

interface Ready {
  readonly engine: TestEngine;
  readonly runner: ContainerRunner;
  /** Runs a shell script in a container. */
  readonly sh: (script: string, options?: Partial<TrialOptions>) => Promise<Trial>;
}

/** The engine and a runner on it; ends the test where there is no engine. */
export async function ready(context: TestContext): Promise<Ready> {
  const engine = await dockerEngine(context);
  const runner = await containerRunner({
    ...(engine.host === undefined ? {} : { host: engine.host }),
    images: { allow: [engine.repository] },
    freeFloor: 0,
  });
  const sh: Ready['sh'] = (script, options = {}) =>
    tryRun(runner, {
      ...options,
      spec: {
        kind: 'container',
        image: engine.image,
        entry: { cmd: ['sh', '-c', script] },
        ...options.spec,
      },
    });
  return { engine, runner, sh };
}

/** Containers of a run, whatever their state. */
export async function containersOf({ docker }: TestEngine, lease: string): Promise<string[]> {
  const filters = { label: [`${LABEL.lease}=${lease}`] };
  return (await docker.listContainers({ all: true, filters })).map(({ Id }) => Id);
}
