/**
 * GPUs that several providers say they have: a machine that is sold twice, or that looks like several (compute-market.md §11, threat 30). The
 * fingerprint of a whole machine would miss one that changed a part of it, and says nothing where there is no GPU: processors of one model
 * have no names of their own.
 */
import type { GpuDevice } from '../../../wit/jobs/device.ts';

/** GPUs of one machine that are looked at. */
const GPUS_MAX = 64;

export class Machines {
  readonly #nodesByGpu = new Map<string, Set<string>>();
  readonly #gpusByNode = new Map<string, readonly string[]>();

  /** What a node says it has now; nothing, once it is gone. */
  set(node: string, gpus: readonly Pick<GpuDevice, 'uuid'>[]): void {
    for (const uuid of this.#gpusByNode.get(node) ?? []) {
      const nodes = this.#nodesByGpu.get(uuid);
      nodes?.delete(node);
      if (nodes?.size === 0) this.#nodesByGpu.delete(uuid);
    }
    const uuids = gpus.slice(0, GPUS_MAX).map(({ uuid }) => uuid);
    if (uuids.length === 0) this.#gpusByNode.delete(node);
    else this.#gpusByNode.set(node, uuids);
    for (const uuid of uuids) {
      const nodes = this.#nodesByGpu.get(uuid);
      if (nodes === undefined) this.#nodesByGpu.set(uuid, new Set([node]));
      else nodes.add(node);
    }
  }

  /** Others that have one of its GPUs, by name. */
  sharedWith(node: string): readonly string[] {
    const others = new Set<string>();
    for (const uuid of this.#gpusByNode.get(node) ?? [])
      for (const other of this.#nodesByGpu.get(uuid) ?? []) if (other !== node) others.add(other);
    return [...others].toSorted();
  }
}
