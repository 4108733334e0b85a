/** A provider's `gpu:compute:sys`, and specs to give it, for the market's tests. */
import type { Address } from '../../../../wit/types.ts';
import { address } from '../../../../wit/address.ts';
import { namehash } from '../../../../contracts/hypermap.ts';
import type { Acceptance } from '../../../../contracts/compute.ts';
import type { GpuDevice } from '../../../../wit/jobs/device.ts';
import type { Sent } from '../../../lib/testing/memory-host.ts';
import {
  gpuContract,
  type Offer,
  type OfferAnswer,
  type ProviderState,
} from '../../shared/gpu-contract.ts';

/** A spec of the cheapest kind; members may be added or replaced. */
export function specOf(
  more: Readonly<Record<string, unknown>> = {},
): Readonly<Record<string, unknown>> {
  return { v: 1, type: 'custom', kind: 'builtin', entry: { fn: 'noop' }, inputs: [], ...more };
}

export const A_GPU: GpuDevice = {
  index: 0,
  uuid: 'GPU-1',
  vendor: 'nvidia',
  name: 'A card',
  class: 'rtx-4090',
  memMiB: 24_564,
  memFreeMiB: undefined,
  driver: undefined,
  cuda: undefined,
  computeCap: '8.9',
  pci: undefined,
  pcieGen: undefined,
  pcieWidth: undefined,
  mig: [],
  ecc: undefined,
  powerLimitMw: undefined,
  slots: 1,
};

/** A provider's `gpu:compute:sys`, played by the test. */
export class FakeGpu {
  readonly node: string;
  readonly offers: Offer[] = [];
  readonly started: string[] = [];
  readonly cancelled: {
    readonly jobId: string;
    readonly lease: string;
    readonly reason: string;
  }[] = [];
  readonly dropped: string[] = [];
  /** By hash. */
  readonly files = new Map<string, Uint8Array>();
  slots = 2;
  paired = true;
  gpus: readonly GpuDevice[] = [];
  /** What an offer is refused with; undefined: accepted. `silent`: no answer. */
  refuse: (offer: Offer) => { code: string; message: string } | 'silent' | undefined = () =>
    undefined;
  /** What comes with an acceptance; nothing for free jobs. */
  acceptance: (offer: Offer) => { value: Acceptance; signature: string } | undefined = () =>
    undefined;
  /** Answers nothing at all. */
  dead = false;
  /** Nothing runs under any lease. */
  forgetful = false;
  readonly #leases = new Map<string, string>();
  readonly #executor: string;

  constructor(node: string, executor: string) {
    this.node = node;
    this.#executor = executor;
  }

  get source(): Address {
    return address(`${this.node}@gpu:compute:sys`);
  }

  lease(jobId: string): string {
    return this.#leases.get(jobId) ?? '';
  }

  state(): ProviderState {
    return {
      paired: this.paired,
      nodeId: namehash(this.node),
      executor: this.#executor,
      payTo: undefined,
      device: {
        v: 1,
        host: {
          os: 'linux',
          arch: 'x86_64',
          cpuModel: 'test',
          cpuCores: 4,
          cpuThreads: 8,
          memMiB: 16_384,
          diskFreeMiB: 100_000,
        },
        gpus: this.gpus,
        runners: { builtin: true, wasm: { memMaxMiB: 4096 } },
        isolation: ['process', 'wasm'],
        backends: [],
        detectedAt: 0,
        fingerprint: '0'.repeat(64),
        warnings: [],
      },
      slots: this.slots,
      free: Math.max(0, this.slots - this.running),
      queue: 0,
      prices: [],
      cachedImages: [],
      at: 0,
    };
  }

  get running(): number {
    return this.#leases.size - this.dropped.length - this.cancelled.length;
  }

  answer(sent: Sent): Uint8Array | undefined {
    const call = gpuContract.requests.decode(sent.request.body);
    if (!call.ok || this.dead) return undefined;
    const { kind, value } = call.value as { kind: string; value: never };
    const reply = (result?: unknown): Uint8Array =>
      gpuContract.responses.encode({ kind, value: result });
    switch (kind) {
      case 'Provider':
        return reply(this.state());
      case 'Offers': {
        const { offers } = value as { readonly offers: readonly Offer[] };
        const answers = offers.map((offer) => this.#offered(offer));
        return answers.includes(undefined) ? undefined : reply({ answers });
      }
      case 'Start':
        if (this.forgetful) throw new Error('NoSuchLease');
        this.started.push((value as { jobId: string }).jobId);
        return reply();
      case 'Cancel':
        this.cancelled.push(value);
        return reply();
      case 'Drop':
        this.dropped.push((value as { jobId: string }).jobId);
        return reply();
      default:
        return undefined;
    }
  }

  #offered(offer: Offer): OfferAnswer | undefined {
    this.offers.push(offer);
    const refused = this.refuse(offer);
    if (refused === 'silent') return undefined;
    if (refused !== undefined) return { kind: 'Rejected', value: refused };
    const lease = `${this.node}-${offer.jobId.slice(2, 10)}-${offer.attempt}`;
    this.#leases.set(offer.jobId, lease);
    if (offer.start === true) this.started.push(offer.jobId);
    const acceptance = this.acceptance(offer);
    return { kind: 'Accepted', value: { lease, acceptance, executor: this.#executor } };
  }

  /** It is told that nothing more is wanted. */
  over(jobId: string): void {
    this.dropped.push(jobId);
  }

  part(sent: Sent): { body: Uint8Array; blob: Uint8Array } | undefined {
    const call = gpuContract.requests.decode(sent.request.body);
    if (!call.ok || call.value.kind !== 'Artifact') return undefined;
    const { sha256, offset, bytes } = call.value.value as {
      sha256: string;
      offset: number;
      bytes: number;
    };
    const file = this.files.get(sha256) ?? new Uint8Array();
    const blob = file.slice(offset, offset + bytes);
    const end = offset + blob.length >= file.length;
    return { body: gpuContract.responses.encode({ kind: 'Artifact', value: { end } }), blob };
  }
}
