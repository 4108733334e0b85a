/** For tests of runners: one run in fresh folders, and what came of it. */
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { STREAM, type Stream } from '../../../wit/jobs/log-records.ts';
import { completeSpec, timeoutOf, type JobSpec } from '../../../wit/jobs/spec.ts';
import type { DocumentValue } from '../../../wit/canonical-json.ts';
import type { Run, RunEnd, Runner } from './runner.ts';

export const sha256 = (bytes: Uint8Array | string): string =>
  createHash('sha256').update(bytes).digest('hex');

export interface TrialOptions {
  /** Members of the spec; `v`, `type`, `inputs` and `limits` are filled in, `module` from the bytes. */
  readonly spec: { readonly [member: string]: DocumentValue };
  readonly inputs?: Readonly<Record<string, string | Uint8Array>>;
  readonly module?: Uint8Array;
  readonly timeoutS?: number;
  readonly gpus?: readonly string[];
  readonly signal?: AbortSignal;
  readonly attempt?: number;
  /** Lets others than this user into the folder of the run. */
  readonly open?: boolean;
  /** Called with each piece of the log before it counts as taken. */
  readonly onLog?: (stream: Stream, text: string) => Promise<void> | void;
  readonly onStart?: (run: Run) => void;
}

export interface Trial {
  readonly end: RunEnd;
  readonly stdout: string;
  readonly stderr: string;
  /** Contents of the outputs that are regular files, by path. */
  readonly files: Readonly<Record<string, string>>;
  readonly starts: number;
  readonly run: Run;
}

/** A complete spec. @throws what is wrong with it */
export function specOf(members: TrialOptions['spec']): JobSpec {
  const spec = completeSpec({ v: 1, type: 'custom', entry: {}, inputs: [], ...members });
  if (!spec.ok) throw new Error(`${spec.error.where}: ${spec.error.message}`);
  return spec.value;
}

let runs = 0;

/** Prepares and runs a job, and reads what it left. The folders are gone afterwards. */
export async function tryRun(runner: Runner, options: TrialOptions): Promise<Trial> {
  const folder = await mkdtemp(join(tmpdir(), 'hl-run-'));
  try {
    if (options.open === true) await chmod(folder, 0o711);
    const { run, output } = await makeRun(folder, options);
    await runner.prepare(run);
    const end = await runner.run(run);
    return { end, ...output(), files: await filesBelow(run.outputs), run };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A run whose files lie below `folder`, and how to ask what it has said so far. */
export async function makeRun(
  folder: string,
  {
    spec,
    inputs = {},
    module,
    timeoutS,
    gpus = [],
    signal,
    attempt = 0,
    onLog,
    onStart,
  }: TrialOptions,
): Promise<{ run: Run; output: () => Pick<Trial, 'stdout' | 'stderr' | 'starts'> }> {
  const said = { [STREAM.stdout]: '', [STREAM.stderr]: '', [STREAM.system]: '' };
  let starts = 0;
  const listed = Object.entries(inputs).map(([path, content]) => {
    const bytes = Buffer.from(content);
    return { path, size: bytes.length, sha256: sha256(bytes) };
  });
  const complete = specOf({
    inputs: listed,
    ...(module === undefined ? {} : { module: { sha256: sha256(module), size: module.length } }),
    ...spec,
  });
  for (const [path, content] of Object.entries(inputs)) {
    await mkdir(dirname(join(folder, 'in', path)), { recursive: true });
    await writeFile(join(folder, 'in', path), content);
  }
  await mkdir(join(folder, 'in'), { recursive: true });
  await mkdir(join(folder, 'out'));
  if (module !== undefined) await writeFile(join(folder, 'module'), module);
  runs += 1;
  const run: Run = {
    jobId: `0x${sha256(`${process.pid} ${runs} ${performance.now()}`)}`,
    attempt,
    lease: sha256(`lease ${process.pid} ${runs}`).slice(0, 32),
    spec: complete,
    inputs: join(folder, 'in'),
    outputs: join(folder, 'out'),
    module: module === undefined ? undefined : join(folder, 'module'),
    timeoutS: timeoutS ?? timeoutOf(complete),
    gpus,
    log: async (stream, bytes) => {
      const text = Buffer.from(bytes).toString('latin1');
      await onLog?.(stream, text);
      said[stream] += text;
    },
    progress: () => {},
    started: () => {
      starts += 1;
      onStart?.(run);
    },
    signal: signal ?? new AbortController().signal,
  };
  return { run, output: () => ({ stdout: said[1], stderr: said[2], starts }) };
}

/** Regular files only: Node's own recursive listing goes through links. */
async function filesBelow(folder: string, prefix = ''): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    const name = `${prefix}${entry.name}`;
    if (entry.isDirectory()) Object.assign(found, await filesBelow(path, `${name}/`));
    else if (entry.isFile()) found[name] = await readFile(path, 'latin1');
  }
  return found;
}
