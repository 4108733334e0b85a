/** A package folder to components and the zip that is installed (packages.md §2-§6, kit.md §4). */
import { readFile, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { isFresh, readRecord, remember, replaceFile, sha256, writeRecord } from './build-cache.ts';
import { BuildError } from './build-error.ts';
import { buildC } from './c.ts';
import { buildSource, type ComponentBuild, type Language } from './component.ts';
import { checkManifest, readPackageId } from './manifest.ts';
import { findProcesses, type ProcessSource } from './sources.ts';
import { zipFolder } from './zip.ts';

export interface BuildOptions {
  /** Build everything, whatever was built before. */
  readonly force?: boolean;
  /** Only these processes. */
  readonly include?: readonly string[];
  /** All processes but these. */
  readonly exclude?: readonly string[];
  /** How many components to build at once. Default: the number of cores. */
  readonly parallel?: number;
  /** Told of each process when it is done. */
  readonly onProcess?: (report: ProcessReport) => void;
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
  /** Absolute path of the zip. */
  readonly zip: string;
  /** Lower-case hex SHA-256 of the zip: the version hash. */
  readonly zipHash: string;
  /** Nothing had to be built. */
  readonly upToDate: boolean;
  readonly wallMs: number;
}

/**
 * Builds what changed of the package in `folder` into `pkg/<process>.wasm` and zips `pkg/` to `target/<package>:<publisher>.zip`.
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
  const sources = (await findProcesses(root)).filter(
    ({ name }) =>
      (options.include === undefined || options.include.includes(name)) &&
      !options.exclude?.includes(name),
  );
  const record = { ...(await readRecord(root)) };
  const processes: ProcessReport[] = [];
  try {
    await eachAtOnce(options.parallel ?? availableParallelism(), sources, async (source) => {
      const { report, built } = await buildProcess(source, pkg, record[source.name], options);
      record[source.name] = built;
      processes.push(report);
      options.onProcess?.(report);
    });
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
    zipHash: hash,
    upToDate: processes.every((process) => process.cached),
    wallMs: performance.now() - started,
  };
}

type Record = Awaited<ReturnType<typeof remember>>;

async function buildProcess(
  source: ProcessSource,
  pkg: string,
  before: Record | undefined,
  options: BuildOptions,
): Promise<{ report: ProcessReport; built: Record }> {
  const started = performance.now();
  const wasm = join(pkg, `${source.name}.wasm`);
  const report = (component: Uint8Array, cached: boolean): ProcessReport => ({
    name: source.name,
    language: source.language,
    bytes: component.length,
    hash: sha256(component),
    cached,
    wallMs: performance.now() - started,
  });
  if (before !== undefined && options.force !== true && (await isFresh(before, source, wasm))) {
    return { report: report(await readFile(wasm), true), built: before };
  }
  const { component, inputs } = await build(source);
  await replaceFile(wasm, component);
  return { report: report(component, false), built: await remember(source, inputs, component) };
}

async function build(source: ProcessSource): Promise<Pick<ComponentBuild, 'component' | 'inputs'>> {
  const [entry] = source.files;
  if (entry === undefined) throw new BuildError('source', `process ${source.name} has no source`);
  if (source.language === 'c') return buildC(source.files);
  return buildSource(entry, { language: source.language, engine: source.engine });
}

/** Runs `work` for every item, `limit` at a time. The first failure stops new work and is thrown when the running work is done. */
async function eachAtOnce<T>(
  limit: number,
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  const failures: unknown[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (failures.length === 0) {
      const item = items[next++];
      if (item === undefined) return;
      try {
        await work(item);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  if (failures.length > 0) throw failures[0];
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
