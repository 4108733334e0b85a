/** A GPU as it is reported, before the parts that a vendor's tool does not tell are filled in. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { GpuDevice } from '../../../wit/jobs/device.ts';
import { classOf } from './classes.ts';

export type KnownGpu = Pick<GpuDevice, 'index' | 'uuid' | 'vendor' | 'name' | 'memMiB'> &
  Partial<GpuDevice>;

export function gpuOf(known: KnownGpu): GpuDevice {
  return {
    class: classOf(known.name),
    memFreeMiB: undefined,
    driver: undefined,
    cuda: undefined,
    computeCap: undefined,
    pci: undefined,
    pcieGen: undefined,
    pcieWidth: undefined,
    mig: [],
    ecc: undefined,
    powerLimitMw: undefined,
    slots: 1,
    ...known,
  };
}

/** A name for a device without one: the same at every start, another on every machine, and nothing can be read from it. */
export function stableId(vendor: string, place: string): string {
  const digest = createHash('sha256').update(`hn-device/v1\0${machineId()}\0${vendor}\0${place}`);
  return `${vendor.toUpperCase()}-${digest.digest('hex').slice(0, 32)}`;
}

function machineId(): string {
  try {
    return readFileSync('/etc/machine-id', 'utf8').trim();
  } catch {
    return hostname();
  }
}
