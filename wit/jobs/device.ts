/** What a provider's machine is, as its extension found it (compute-market.md §4.1, §11). Sizes in MiB, power in mW. Runs in guests. */
import { bool, json, list, option, record, text, u64, type Decoded } from '../codec.ts';

/** A part of a GPU that is scheduled by itself. */
const slice = record({ uuid: text, profile: text, memMiB: option(u64) });

export const gpuDevice = record({
  index: u64,
  /** `GPU-…`, or a name that is as stable. */
  uuid: text,
  vendor: text,
  name: text,
  /** For prices, such as `rtx-4090`. */
  class: text,
  memMiB: u64,
  memFreeMiB: option(u64),
  driver: option(text),
  cuda: option(text),
  computeCap: option(text),
  pci: option(text),
  pcieGen: option(u64),
  pcieWidth: option(u64),
  mig: list(slice),
  ecc: option(bool),
  powerLimitMw: option(u64),
  /** Jobs at a time. */
  slots: u64,
});
export type GpuDevice = Decoded<typeof gpuDevice>;

export const deviceInfo = record({
  v: u64,
  host: record({
    os: text,
    arch: text,
    cpuModel: text,
    cpuCores: u64,
    cpuThreads: u64,
    memMiB: u64,
    diskFreeMiB: u64,
  }),
  gpus: list(gpuDevice),
  /** By kind of job; null or missing where it does not run here. */
  runners: json,
  /** Names of `ISOLATIONS`. */
  isolation: list(text),
  backends: list(record({ id: text, base: text, models: list(text) })),
  /** Milliseconds since 1970. */
  detectedAt: u64,
  /** SHA-256 over what does not change: the same on two nodes is a sign of one machine sold twice. */
  fingerprint: text,
  /** What was found and is of no use, to people: a driver that does not answer, say. */
  warnings: list(text),
});
export type DeviceInfo = Decoded<typeof deviceInfo>;
