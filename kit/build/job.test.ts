import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { prepareProgram } from '../../kernel/image/program.ts';
import { buildComponent } from './component.ts';
import { buildJob } from './job.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kit-job-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test(
  'jobs and processes of AssemblyScript are built one after another, each with its own glue',
  { timeout: 60_000 },
  async () => {
    const source = join(folder, 'job.as.ts');
    await writeFile(
      source,
      "import { print } from 'job';\nexport function main(): void { print('hello'); }\n",
    );
    const guest = fileURLToPath(new URL('../../test/guests/echo.as.ts', import.meta.url));
    const [job, component, again] = await Promise.all([
      buildJob(source),
      buildComponent(guest),
      buildJob(source),
    ]);
    expect(again.module).toEqual(job.module);
    expect(job.inputs).toContain(source);
    expect((await prepareProgram(job.module)).modules).toHaveLength(1);
    await expect(prepareProgram(component)).rejects.toMatchObject({ code: 'unsupported-import' });
  },
);

test(
  'what is no source of a job is refused, and a source that does not compile says why',
  { timeout: 60_000 },
  async () => {
    await expect(buildJob('job.rs')).rejects.toMatchObject({ code: 'unknown-language' });
    const source = join(folder, 'bad.as.ts');
    await writeFile(source, 'export function main(): void { const number: i32 = missing; }\n');
    await expect(buildJob(source)).rejects.toMatchObject({
      code: 'source',
      message: expect.stringContaining('bad.as.ts'),
    });
  },
);
