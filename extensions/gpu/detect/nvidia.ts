/** NVIDIA's GPUs, by `nvidia-smi` (compute-market.md §11, CM38). */
import type { GpuDevice } from '../../../wit/jobs/device.ts';
import { capabilityOf } from './classes.ts';
import { gpuOf } from './gpu.ts';
import type { Found, Tools } from './tool.ts';

const FIELDS = [
  'index',
  'uuid',
  'name',
  'memory.total',
  'memory.used',
  'memory.free',
  'driver_version',
  'compute_cap',
  'utilization.gpu',
  'temperature.gpu',
  'power.draw',
  'power.limit',
  'pci.bus_id',
  'pcie.link.gen.max',
  'pcie.link.width.max',
  'mig.mode.current',
  'ecc.mode.current',
] as const;
type Field = (typeof FIELDS)[number];

/** Where CUDA 12 starts: containers with newer CUDA do not run on older drivers. */
export const CONTAINER_DRIVER_MIN = '525.60.13';
/** `nvidia-smi` ends with it when the kernel's driver does not answer. */
const EXIT_NO_DRIVER = 9;
const MIG_ON = 'Enabled';
/** Above it a GPU gets no new jobs, in degrees Celsius. */
const HOT_C = 85;

export async function detectNvidia(tools: Tools): Promise<Found<GpuDevice>> {
  let fields: readonly Field[] = FIELDS;
  for (;;) {
    const asked = await tools('nvidia-smi', [
      `--query-gpu=${fields.join()}`,
      '--format=csv,noheader,nounits',
    ]);
    if (asked.kind === 'missing') return { gpus: [], warnings: [] };
    if (asked.kind === 'stuck') return { gpus: [], warnings: ['nvidia-smi does not end'] };
    const said = `${asked.stdout}\n${asked.stderr}`;
    if (asked.code === EXIT_NO_DRIVER || /couldn't communicate with the NVIDIA driver/.test(said))
      return { gpus: [], warnings: ['there is an NVIDIA GPU, but its driver does not answer'] };
    // Old drivers refuse the whole question for one word of it.
    const unknown = /"?([a-z_.]+)"? is not a valid field/.exec(said)?.[1];
    const fewer = fields.filter((field) => field !== unknown);
    if (unknown !== undefined && fewer.length < fields.length && fewer.length > 0) {
      fields = fewer;
      continue;
    }
    if (asked.code !== 0)
      return /no devices were found/i.test(said)
        ? { gpus: [], warnings: [] }
        : { gpus: [], warnings: [`nvidia-smi ended with ${asked.code}`] };
    return complete(parseRows(asked.stdout, fields), tools);
  }
}

type Row = Readonly<Partial<Record<Field, string>>>;

/** Rows of `--format=csv,noheader,nounits`. What the card does not say is left out. */
export function parseRows(csv: string, fields: readonly Field[]): Row[] {
  return csv
    .split('\n')
    .filter((line) => line.includes(', '))
    .map((line) => {
      const values = line.trim().split(', ');
      // A name may hold what parts the fields.
      const more = values.length - fields.length;
      const name = fields.indexOf('name');
      if (more > 0 && name >= 0)
        values.splice(name, more + 1, values.slice(name, name + more + 1).join(', '));
      return Object.fromEntries(
        fields
          .map((field, index) => [field, said(values[index])] as const)
          .filter(([, value]) => value !== undefined),
      ) as Row;
    });
}

/** `[N/A]`, `[Not Supported]`, `[Unknown Error]`, `[Insufficient Permissions]`, `[GPU requires reset]`, `ERR!`: nothing. */
function said(value: string | undefined): string | undefined {
  const text = value?.trim() ?? '';
  return text === '' || /^\[.*\]$|^N\/A$|^ERR!$/.test(text) ? undefined : text;
}

async function complete(rows: readonly Row[], tools: Tools): Promise<Found<GpuDevice>> {
  const warnings: string[] = [];
  const cuda = await cudaVersion(tools);
  const slices = rows.some((row) => row['mig.mode.current'] === MIG_ON)
    ? await migSlices(tools)
    : new Map<string, GpuDevice['mig']>();
  const gpus = rows.flatMap((row, order) => {
    const { uuid, name } = row;
    if (uuid === undefined || name === undefined) {
      warnings.push(`GPU ${row.index ?? order} does not say its name`);
      return [];
    }
    const memMiB = wholeOf(row['memory.total']);
    if (memMiB === undefined) warnings.push(`${name} does not say how much memory it has`);
    const isSliced = row['mig.mode.current'] === MIG_ON;
    const mig = isSliced ? (slices.get(uuid) ?? []) : [];
    if (isSliced && mig.length === 0)
      warnings.push(`${name} is in MIG mode and has no slices: no job can use it`);
    return gpuOf({
      ...{ index: wholeOf(row.index) ?? order, uuid, vendor: 'nvidia', name, memMiB: memMiB ?? 0 },
      memFreeMiB: wholeOf(row['memory.free']),
      driver: row.driver_version,
      cuda,
      computeCap: row.compute_cap ?? capabilityOf(name),
      pci: row['pci.bus_id'],
      pcieGen: wholeOf(row['pcie.link.gen.max']),
      pcieWidth: wholeOf(row['pcie.link.width.max']),
      mig,
      ecc:
        row['ecc.mode.current'] === undefined ? undefined : row['ecc.mode.current'] === 'Enabled',
      powerLimitMw: milliOf(row['power.limit']),
      // With MIG on, slices are what jobs get.
      slots: isHot(row) ? 0 : isSliced ? mig.length : 1,
    });
  });
  for (const row of rows.filter(isHot))
    warnings.push(`${row.name} is at ${row['temperature.gpu']} °C: no new jobs until it is cooler`);
  for (const { name, driver } of gpus)
    if (driver !== undefined && !isDriverNewEnough(driver))
      warnings.push(
        `${name}: driver ${driver} is older than ${CONTAINER_DRIVER_MIN}, containers get no GPU`,
      );
  return { gpus, warnings };
}

function isHot(row: Row): boolean {
  return (wholeOf(row['temperature.gpu']) ?? 0) > HOT_C;
}

/** No field of the question, but of the banner. */
async function cudaVersion(tools: Tools): Promise<string | undefined> {
  const banner = await tools('nvidia-smi', []);
  if (banner.kind !== 'ran') return undefined;
  return /CUDA(?: UMD)? Version\s*:\s*(\d+\.\d+)/.exec(banner.stdout)?.[1];
}

async function migSlices(tools: Tools): Promise<Map<string, GpuDevice['mig']>> {
  const list = await tools('nvidia-smi', ['-L']);
  return list.kind === 'ran' ? parseList(list.stdout) : new Map();
}

/** `nvidia-smi -L`: the slices of each GPU, by its UUID. */
export function parseList(text: string): Map<string, GpuDevice['mig']> {
  const found = new Map<string, { uuid: string; profile: string; memMiB: number | undefined }[]>();
  let slices: { uuid: string; profile: string; memMiB: number | undefined }[] | undefined;
  for (const line of text.split('\n')) {
    const gpu = /^GPU \d+: .*\(UUID: (GPU-[^)]+)\)/.exec(line)?.[1];
    if (gpu !== undefined) {
      slices = [];
      found.set(gpu, slices);
      continue;
    }
    const [, profile, uuid] =
      /^\s+MIG (\S+)\s+Device\s+\d+: \(UUID: (MIG-[^)]+)\)/.exec(line) ?? [];
    if (profile === undefined || uuid === undefined) continue;
    const gigabytes = /(\d+)gb/.exec(profile)?.[1];
    slices?.push({
      uuid,
      profile,
      memMiB: gigabytes === undefined ? undefined : Number(gigabytes) * 1024,
    });
  }
  return found;
}

/** Whether a driver is `CONTAINER_DRIVER_MIN` or newer. */
export function isDriverNewEnough(driver: string): boolean {
  const parts = driver.split('.').map(Number);
  const least = CONTAINER_DRIVER_MIN.split('.').map(Number);
  for (const [index, number] of least.entries()) {
    const part = parts[index] ?? 0;
    if (Number.isNaN(part)) return false;
    if (part !== number) return part > number;
  }
  return true;
}

function wholeOf(value: string | undefined): number | undefined {
  return value !== undefined && /^\d+$/.test(value) ? Number(value) : undefined;
}

/** Thousandths, without the rounding of floats: `450.00` is 450000. */
function milliOf(value: string | undefined): number | undefined {
  const [, whole, rest = ''] = /^(\d+)(?:\.(\d{1,3}))?\d*$/.exec(value ?? '') ?? [];
  return whole === undefined ? undefined : Number(whole) * 1000 + Number(rest.padEnd(3, '0'));
}
