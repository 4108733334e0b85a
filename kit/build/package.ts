/** A package folder to components and the zip that is installed (packages.md §2-§6, kit.md §4). */
import { readFile, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import {
  type BuildRecord,
  isFresh,
  readRecord,
  remember,
  replaceFile,
  sha256,
  writeRecord,
} from './build-cache.ts';
import { BuildError } from './build-error.ts';
import { buildC } from './c.ts';
import { buildSource, type ComponentBuild, type Language } from './component.ts';
import { checkManifest, readPackageId } from './manifest.ts';
import { buildScriptsTogether } from './scripts-together.ts';
import { findProcesses, type ProcessSource } from './sources.ts';
import { buildUi, type UiReport } from './ui.ts';
import { zipFolder } from './zip.ts';

export interface BuildOptions {
  /** Build everything, whatever was built before. */
  readonly force?: boolean;
  /** Only these processes. */
  readonly include?: readonly string[];
  /** All processes but these. */
  readonly exclude?: readonly string[];
  /** Build the `ui` folder. Default: true. */
  readonly ui?: boolean;
  /** Build the processes. Default: true. */
  readonly processes?: boolean;
  /** How many components to build at once. Default: the number of cores. */
  readonly parallel?: number;
  /** Told of each process when it is done. */
  readonly onProcess?: (report: ProcessReport) => void;
  /** Told of the `ui` folder when it is done. */
  readonly onUi?: (report: UiReport) => void;
}

export interface ProcessReport {
  readonly name: string;
  readonly language: Language;
  readonly bytes: number;
  /** Lower-case hex SHA-256 of the component. */
  readonly hash: string;
  /** Nothing it is made of had changed. */
  readonly cached: boolean;
  readonly wallMs: number;
}

export interface BuildReport {
  /** `package:publisher`. */
  readonly packageId: string;
  readonly processes: readonly ProcessReport[];
  /** Undefined when there is no `ui` folder, or it was not to be built. */
  readonly ui: UiReport | undefined;
  /** Absolute path of the zip. */
  readonly zip: string;
  /** Lower-case hex SHA-256 of the zip: the version hash. */
  readonly zipHash: string;
  /** Nothing had to be built. */
  readonly upToDate: boolean;
  readonly wallMs: number;
}

/**
 * Builds what changed of the package in `folder` into `pkg/ui` and `pkg/<process>.wasm`, and zips `pkg/` to `target/<package>:<publisher>.zip`.
 * @throws BuildError; what was built before the failure is kept
 */
export async function buildPackage(
  folder: string,
  options: BuildOptions = {},
): Promise<BuildReport> {
  const started = performance.now();
  const root = resolve(folder);
  const pkg = join(root, 'pkg');
  if (!(await isFolder(pkg))) {
    throw new BuildError(
      'no-package',
      `${root} has no pkg folder. Please re-run targeting a package.`,
    );
  }
  const packageId = await readPackageId(root);
  const ui = options.ui === false ? undefined : await buildUi(root, options);
  if (ui !== undefined) options.onUi?.(ui);
  const sources = await chosenSources(root, options);
  const record = { ...(await readRecord(root)) };
  const processes: ProcessReport[] = [];
  const jobs = groups(sources).map((group) => async () => {
    for (const { report, built } of await buildGroup(group, pkg, record, options)) {
      record[report.name] = built;
      processes.push(report);
      options.onProcess?.(report);
    }
  });
  try {
    await allAtOnce(options.parallel ?? availableParallelism(), jobs);
  } finally {
    await writeRecord(root, record);
  }
  await checkManifest(pkg);
  const { bytes, hash } = await zipFolder(pkg);
  const zip = join(root, 'target', `${packageId}.zip`);
  await replaceFile(zip, bytes);
  return {
    packageId,
    processes: processes.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    zip,
    ui,
    zipHash: hash,
    upToDate: ui?.cached !== false && processes.every((process) => process.cached),
    wallMs: performance.now() - started,
  };
}

async function chosenSources(root: string, options: BuildOptions): Promise<ProcessSource[]> {
  if (options.processes === false) return [];
  return (await findProcesses(root)).filter(
    ({ name }) =>
      (options.include === undefined || options.include.includes(name)) &&
      !options.exclude?.includes(name),
  );
}

/** What is built in one go: the scripts in QuickJS together, everything else by itself. */
function groups(sources: readonly ProcessSource[]): (readonly ProcessSource[])[] {
  const together = sources.filter(
    ({ script, language, engine }) => script && language === 'typescript' && engine === 'quickjs',
  );
  const alone =
    together.length < 2 ? sources : sources.filter((source) => !together.includes(source));
  return [...(together.length < 2 ? [] : [together]), ...alone.map((source) => [source])];
}

interface Built {
  readonly report: ProcessReport;
  readonly built: BuildRecord[string];
}

async function buildGroup(
  group: readonly ProcessSource[],
  pkg: string,
  record: BuildRecord,
  options: BuildOptions,
): Promise<Built[]> {
  const started = performance.now();
  const wasmOf = ({ name }: ProcessSource): string => join(pkg, `${name}.wasm`);
  const reportOf = (
    source: ProcessSource,
    component: Uint8Array,
    cached: boolean,
  ): ProcessReport => ({
    name: source.name,
    language: source.language,
    bytes: component.length,
    hash: sha256(component),
    cached,
    wallMs: performance.now() - started,
  });
  const recipe = group.length > 1 ? group.map(({ name }) => name).join() : '';
  const fresh = await Promise.all(
    group.map((source) => isFresh(record[source.name], source, { wasm: wasmOf(source), recipe })),
  );
  if (options.force !== true && fresh.every(Boolean)) {
    return Promise.all(
      group.map(async (source) => {
        const built = record[source.name];
        if (built === undefined) throw new Error(`${source.name} is fresh without a record`);
        return { report: reportOf(source, await readFile(wasmOf(source)), true), built };
      }),
    );
  }
  const made = await buildAll(group);
  return Promise.all(
    made.map(async ({ source, component, inputs }) => {
      await replaceFile(wasmOf(source), component);
      const built = await remember(source, { inputs, component, recipe });
      return { report: reportOf(source, component, false), built };
    }),
  );
}

interface Made {
  readonly source: ProcessSource;
  readonly component: Uint8Array;
  readonly inputs: readonly string[];
}

async function buildAll(group: readonly ProcessSource[]): Promise<Made[]> {
  if (group.length > 1) {
    const scripts = group.map(({ name, files: [file = ''] }) => ({ name, file }));
    const together = await buildScriptsTogether(scripts);
    if (together !== undefined) {
      return group.flatMap((source) => {
        const component = together.components.get(source.name);
        return component === undefined ? [] : [{ source, component, inputs: together.inputs }];
      });
    }
  }
  const made: Made[] = [];
  for (const source of group) made.push({ source, ...(await build(source)) });
  return made;
}

async function build(source: ProcessSource): Promise<Pick<ComponentBuild, 'component' | 'inputs'>> {
  const [entry] = source.files;
  if (entry === undefined) throw new BuildError('source', `process ${source.name} has no source`);
  if (source.language === 'c') return buildC(source.files);
  return buildSource(entry, { language: source.language, engine: source.engine });
}

/** Runs the jobs, `limit` at a time. The first failure stops new work and is thrown when the running work is done. */
async function allAtOnce(limit: number, jobs: readonly (() => Promise<void>)[]): Promise<void> {
  const failures: unknown[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (failures.length === 0) {
      const job = jobs[next++];
      if (job === undefined) return;
      try {
        await job();
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, jobs.length) }, worker));
  if (failures.length > 0) throw failures[0];
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
