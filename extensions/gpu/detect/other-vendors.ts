/** GPUs of AMD, Apple and Intel, each by its own tool (compute-market.md §11). */
import { totalmem } from 'node:os';
import type { GpuDevice } from '../../../wit/jobs/device.ts';
import { gpuOf, stableId } from './gpu.ts';
import { countOf, isRecord, objectOf, textOf, type Found, type Tools } from './tool.ts';

const MIB = 1024 * 1024;
const NOTHING: Found<GpuDevice> = { gpus: [], warnings: [] };
const GPUS_MAX = 64;

/** By `rocm-smi`, or `amd-smi` where that is not. */
export async function detectAmd(tools: Tools): Promise<Found<GpuDevice>> {
  const old = await tools('rocm-smi', [
    '--showproductname',
    '--showmeminfo',
    'vram',
    '--showdriverversion',
    '--json',
  ]);
  if (old.kind === 'ran' && old.code === 0) {
    const cards = objectOf(old.stdout);
    if (cards !== undefined) return { gpus: rocmCards(cards), warnings: [] };
  }
  const next = await tools('amd-smi', ['static', '--json']);
  if (next.kind === 'ran' && next.code === 0) return { gpus: amdCards(next.stdout), warnings: [] };
  const isThere = old.kind === 'ran' || next.kind === 'ran';
  return isThere ? { gpus: [], warnings: ['the tools for AMD GPUs say nothing of use'] } : NOTHING;
}

function rocmCards(cards: Readonly<Record<string, unknown>>): GpuDevice[] {
  const system = isRecord(cards['system']) ? cards['system'] : {};
  const driver = textOf(system['Driver version']);
  return Object.entries(cards).flatMap(([key, card]) => {
    const index = countOf(/^card(\d+)$/.exec(key)?.[1]);
    if (index === undefined || !isRecord(card)) return [];
    const total = countOf(card['VRAM Total Memory (B)']);
    const used = countOf(card['VRAM Total Used Memory (B)']);
    const memMiB = Math.floor((total ?? 0) / MIB);
    return gpuOf({
      index,
      uuid: stableId('amd', key),
      vendor: 'amd',
      name:
        textOf(card['Card Series'] ?? card['Card series']) ??
        textOf(card['Card Model'] ?? card['Card model']) ??
        'AMD GPU',
      memMiB,
      memFreeMiB: used === undefined ? undefined : memMiB - Math.ceil(used / MIB),
      driver,
    });
  });
}

function amdCards(json: string): GpuDevice[] {
  let list: unknown;
  try {
    list = JSON.parse(json);
  } catch {
    return [];
  }
  // Newer versions put the list into an object.
  const cards: unknown = isRecord(list) ? list['gpu_data'] : list;
  if (!Array.isArray(cards)) return [];
  return cards.slice(0, GPUS_MAX).flatMap((card: unknown) => {
    if (!isRecord(card)) return [];
    const part = (name: string): Readonly<Record<string, unknown>> => {
      const value = card[name];
      return isRecord(value) ? value : {};
    };
    const index = countOf(card['gpu']);
    if (index === undefined) return [];
    const size = part('vram')['size'];
    const serial = textOf(part('asic')['asic_serial']);
    return gpuOf({
      index,
      uuid: serial === undefined ? stableId('amd', `card${index}`) : `AMD-${serial}`,
      vendor: 'amd',
      name: textOf(part('asic')['market_name']) ?? 'AMD GPU',
      memMiB: countOf(isRecord(size) ? size['value'] : size) ?? 0,
      driver: textOf(part('driver')['version']),
      pci: textOf(part('bus')['bdf']),
    });
  });
}

/** By `system_profiler`. Memory is the machine's own, of which a GPU may hold three quarters. */
export async function detectApple(tools: Tools): Promise<Found<GpuDevice>> {
  const asked = await tools('system_profiler', ['SPDisplaysDataType', '-json']);
  if (asked.kind !== 'ran' || asked.code !== 0) return NOTHING;
  const displays = objectOf(asked.stdout)?.['SPDisplaysDataType'];
  if (!Array.isArray(displays)) return NOTHING;
  const gpus = displays.flatMap((one: unknown, index) => {
    if (!isRecord(one)) return [];
    const name = textOf(one['sppci_model']) ?? textOf(one['_name']);
    if (name === undefined || !name.startsWith('Apple')) return [];
    const memMiB = Math.floor((totalmem() / MIB) * 0.75);
    return gpuOf({ index, uuid: stableId('apple', name), vendor: 'apple', name, memMiB });
  });
  return { gpus, warnings: [] };
}

/** By `xpu-smi`, which tells the memory of one device at a time. */
export async function detectIntel(tools: Tools): Promise<Found<GpuDevice>> {
  const asked = await tools('xpu-smi', ['discovery', '-j']);
  if (asked.kind !== 'ran' || asked.code !== 0) return NOTHING;
  const list = objectOf(asked.stdout)?.['device_list'];
  if (!Array.isArray(list)) return NOTHING;
  const gpus: GpuDevice[] = [];
  for (const one of list.slice(0, GPUS_MAX) as readonly unknown[]) {
    const index = isRecord(one) ? countOf(one['device_id']) : undefined;
    if (!isRecord(one) || index === undefined) continue;
    const detail = await tools('xpu-smi', ['discovery', '-d', `${index}`, '-j']);
    const more = detail.kind === 'ran' ? (objectOf(detail.stdout) ?? {}) : {};
    gpus.push(
      gpuOf({
        index,
        uuid: textOf(one['uuid']) ?? stableId('intel', `${index}`),
        vendor: 'intel',
        name: textOf(one['device_name']) ?? 'Intel GPU',
        memMiB: Math.floor((countOf(more['memory_physical_size_byte']) ?? 0) / MIB),
        driver: textOf(more['driver_version']),
        pci: textOf(one['pci_bdf_address']),
      }),
    );
  }
  return { gpus, warnings: [] };
}
