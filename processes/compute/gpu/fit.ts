/** Whether a job runs on the machine of the extension, and on which of its GPUs (compute-market.md §4.6). Pure. */
import type { DeviceInfo, GpuDevice } from '../../../wit/jobs/device.ts';
import { ISOLATIONS } from '../../../wit/jobs/spec-shape.ts';
import type { JobSpec } from '../../../wit/jobs/spec.ts';

export type Fit =
  | { readonly gpus: readonly string[] }
  | { readonly refused: { readonly code: 'busy' | 'unsupported'; readonly message: string } };

/** How far each kind of job is kept from the host, at best. */
const ISOLATION_OF: Readonly<Record<JobSpec['kind'], (typeof ISOLATIONS)[number]>> = {
  container: 'container',
  wasm: 'wasm',
  builtin: 'wasm',
  webgpu: 'wasm',
  command: 'namespace',
  openai: 'process',
};

/** How far this kind of job is kept from this host, as an index of `ISOLATIONS`. */
function levelOf(kind: JobSpec['kind'], { isolation }: DeviceInfo): number {
  const best = ISOLATION_OF[kind];
  const confined = best !== 'namespace' || isolation.includes('namespace');
  return ISOLATIONS.indexOf(confined ? best : 'process');
}

/** Whether jobs of this kind may be anybody's (compute-market.md §9.1): what is kept from the host less than wasm is for those known. */
export function isForStrangers(kind: JobSpec['kind'], device: DeviceInfo): boolean {
  return levelOf(kind, device) >= ISOLATIONS.indexOf('wasm');
}

/** @param taken UUIDs of the GPUs that run something, as often as they do */
export function fitOf(spec: JobSpec, device: DeviceInfo, takenOnes: () => readonly string[]): Fit {
  const no = (message: string): Fit => ({ refused: { code: 'unsupported', message } });
  if (!runs(device, spec.kind)) return no(`no ${spec.kind} jobs run here`);
  const { gpu, minIsolation, arch = 'any' } = spec.require ?? {};
  if (arch !== 'any' && arch !== device.host.arch) return no(`this machine is ${device.host.arch}`);
  // Whether an engine has virtual machines its runner knows.
  const least = minIsolation === 'vm' && spec.kind === 'container' ? 'container' : minIsolation;
  if (least !== undefined && levelOf(spec.kind, device) < ISOLATIONS.indexOf(least))
    return no(`no isolation of the level ${minIsolation} for ${spec.kind} jobs`);
  if (spec.limits.memMiB > Number(device.host.memMiB))
    return no('too much memory for this machine');
  // Who asks for memory of a GPU asks for one, which is what the market has it pay for.
  const { vramMiB } = spec.limits;
  const count = gpu?.count ?? (gpu !== undefined || vramMiB > 0 ? 1 : 0);
  if (count === 0) return { gpus: [] };
  const able = device.gpus.filter((one) => isAble(one, gpu ?? {}, vramMiB));
  if (able.length < count) return no(`${able.length} GPUs of this kind, and ${count} are needed`);
  const taken = takenOnes();
  const free = able.filter(
    ({ uuid, slots }) => taken.filter((each) => each === uuid).length < Number(slots),
  );
  if (free.length < count) {
    const well = able.filter(({ slots }) => Number(slots) > 0);
    const message = well.length < count ? 'its GPUs take no jobs now' : 'all such GPUs are taken';
    return { refused: { code: 'busy', message } };
  }
  return { gpus: free.slice(0, count).map(({ uuid }) => uuid) };
}

function runs({ runners }: DeviceInfo, kind: string): boolean {
  if (typeof runners !== 'object' || runners === null || !Object.hasOwn(runners, kind))
    return false;
  const described: unknown = (runners as Readonly<Record<string, unknown>>)[kind];
  return described !== null && described !== false;
}

type Need = NonNullable<NonNullable<JobSpec['require']>['gpu']>;

function isAble(
  gpu: GpuDevice,
  { vendor = 'any', minVramMiB = 0, minComputeCap, classes = [] }: Need,
  vramMiB: number,
): boolean {
  if (vendor !== 'any' && vendor !== gpu.vendor) return false;
  if (Number(gpu.memMiB) < Math.max(minVramMiB, vramMiB)) return false;
  if (classes.length > 0 && !classes.includes(gpu.class)) return false;
  return minComputeCap === undefined || versionOf(gpu.computeCap) >= versionOf(minComputeCap);
}

/** `8.9` as a number that compares. */
function versionOf(text: string | undefined): number {
  const [major = '0', minor = '0'] = (text ?? '0.0').split('.');
  return Number(major) * 100 + Number(minor);
}
