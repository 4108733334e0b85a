/** Which jobs a machine takes, and on which of its GPUs (compute-market.md §4.6, §9.1). */
import { expect, test } from 'vitest';
import type { DeviceInfo, GpuDevice } from '../../../wit/jobs/device.ts';
import { completeSpec, type JobSpec } from '../../../wit/jobs/spec.ts';
import { fitOf, isForStrangers } from './fit.ts';

const gpu = (uuid: string, more: Partial<GpuDevice> = {}): GpuDevice => ({
  ...{
    index: 0,
    uuid,
    vendor: 'nvidia',
    name: '',
    class: 'rtx-4090',
    memMiB: 24_000,
    memFreeMiB: undefined,
  },
  ...{ driver: undefined, cuda: undefined, computeCap: '8.9', pci: undefined, pcieGen: undefined },
  ...{ pcieWidth: undefined, mig: [], ecc: undefined, powerLimitMw: undefined, slots: 1, ...more },
});
const device = (more: Partial<DeviceInfo> = {}): DeviceInfo => ({
  v: 1,
  host: {
    os: 'linux',
    arch: 'x86_64',
    cpuModel: '',
    cpuCores: 4,
    cpuThreads: 8,
    memMiB: 16_000,
    diskFreeMiB: 1_000,
  },
  gpus: [
    gpu('GPU-1'),
    gpu('GPU-2', { memMiB: 80_000, class: 'h100', computeCap: '9.0', slots: 2 }),
  ],
  runners: { builtin: true, container: {}, command: {}, webgpu: null },
  isolation: ['process', 'wasm', 'container'],
  backends: [],
  detectedAt: 0,
  fingerprint: '',
  warnings: [],
  ...more,
});
function specOf(members: object): JobSpec {
  const spec = completeSpec({
    v: 1,
    type: 'custom',
    kind: 'builtin',
    entry: { fn: 'echo' },
    inputs: [],
    ...members,
  });
  if (!spec.ok) throw new Error(`${spec.error.where} ${spec.error.message}`);
  return spec.value;
}
const fit = (members: object, taken: readonly string[] = [], on = device()): unknown => {
  const found = fitOf(specOf(members), on, () => taken);
  return 'gpus' in found ? found.gpus : found.refused.code;
};

test('CM35 a job runs where its kind, architecture, isolation and memory are', () => {
  expect(fit({})).toEqual([]);
  expect(fit({ kind: 'webgpu', module: { sha256: 'ab'.repeat(32), size: 1 } })).toBe('unsupported');
  expect(fit({ kind: 'wasm', module: { sha256: 'ab'.repeat(32), size: 1 } })).toBe('unsupported');
  expect(fit({ require: { arch: 'aarch64' } })).toBe('unsupported');
  expect(fit({ require: { minIsolation: 'wasm' } })).toEqual([]);
  expect(fit({ require: { minIsolation: 'container' } })).toBe('unsupported');
  expect(fit({ limits: { memMiB: 20_000 } })).toBe('unsupported');
});

test('CM35 GPUs are leased by what they are, whole or by their slots', () => {
  const need = (more: object): object => ({ require: { gpu: { count: 1, ...more } } });
  expect(fit(need({}))).toEqual(['GPU-1']);
  expect(fit(need({}), ['GPU-1'])).toEqual(['GPU-2']);
  expect(fit(need({}), ['GPU-1', 'GPU-2'])).toEqual(['GPU-2']);
  expect(fit(need({}), ['GPU-1', 'GPU-2', 'GPU-2'])).toBe('busy');
  expect(fit(need({ minVramMiB: 40_000 }))).toEqual(['GPU-2']);
  expect(fit(need({ minComputeCap: '9.0' }))).toEqual(['GPU-2']);
  expect(fit(need({ minComputeCap: '10.0' }))).toBe('unsupported');
  expect(fit(need({ classes: ['h100'] }))).toEqual(['GPU-2']);
  expect(fit(need({ vendor: 'amd' }))).toBe('unsupported');
  // Memory of a GPU is that of one, as the market prices it.
  expect(fit({ limits: { vramMiB: 20_000 } })).toEqual(['GPU-1']);
  expect(fit({ limits: { vramMiB: 30_000 } })).toEqual(['GPU-2']);
  expect(fit({ limits: { vramMiB: 90_000 } })).toBe('unsupported');
  expect(fit({ limits: { vramMiB: 30_000 }, require: { gpu: { count: 0 } } })).toEqual([]);
  expect(fit({ limits: { vramMiB: 30_000 }, require: { gpu: { count: 2 } } })).toBe('unsupported');
  expect(fit({ require: { gpu: { count: 2 } } })).toEqual(['GPU-1', 'GPU-2']);
  expect(fit({ require: { gpu: { count: 3 } } })).toBe('unsupported');
});

test('CM35 a GPU that takes no jobs now is left out, and who needs it has to wait', () => {
  const hot = device({ gpus: [gpu('GPU-1', { slots: 0 }), gpu('GPU-2')] });
  const need = (count: number): object => ({ require: { gpu: { count } } });
  expect(fit(need(1), [], hot)).toEqual(['GPU-2']);
  expect(fitOf(specOf(need(2)), hot, () => [])).toEqual({
    refused: { code: 'busy', message: 'its GPUs take no jobs now' },
  });
  expect(fit({}, [], hot)).toEqual([]);
});

test('strangers get what is kept from the host at least as wasm is', () => {
  for (const [kind, expected] of [
    ['builtin', true],
    ['wasm', true],
    ['container', true],
    ['webgpu', true],
    ['command', false],
  ] as const)
    expect([kind, isForStrangers(kind, device())]).toEqual([kind, expected]);
});
