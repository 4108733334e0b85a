/**
 * Which provider gets a job (compute-market.md §4.6): who may have it, how well each suits, and a draw among the best that anybody can
 * repeat. Pure.
 */
import { fromHex } from '../../../contracts/hex.ts';
import type { GpuDevice } from '../../../wit/jobs/device.ts';
import { taggedHash } from '../../../wit/jobs/digest.ts';
import { ISOLATIONS, type JobSpec } from '../../../wit/jobs/spec-shape.ts';
import { isJsonObject } from '../../../wit/json.ts';
import type { ProviderState } from '../shared/gpu-contract.ts';
import { gpusOf } from './pricing.ts';

/** How old what a provider says of itself may be, in milliseconds. */
export const AD_MS_MAX = 180_000;
/** Below it a provider gets no jobs. */
export const REPUTATION_MIN = 200;
/** Among so many of the best is drawn. */
const DRAWN_AMONG = 3;
const FULL = 10_000n;

export interface Candidate {
  readonly node: string;
  readonly state: ProviderState;
  /** When it was heard of last, milliseconds since 1970. */
  readonly seenAt: number;
  readonly reputation: number;
  /** Slots that nobody has, as far as is known here. */
  readonly free: number;
  /** What it would be paid; 0 for a free job. */
  readonly price: bigint;
  /** Whether the node is this one. */
  readonly local: boolean;
  /** What the registry says; missing: not registered, which is enough for free jobs. */
  readonly stake?: {
    readonly on: boolean;
    /** Slots that its stake allows and no job takes. */
    readonly slotsFree: number;
    /** The most that one job may cost. */
    readonly reservation: bigint;
    readonly executor: string;
  };
}

export interface Wanted {
  readonly spec: JobSpec;
  /** What the client locks; 0: free. */
  readonly amount: bigint;
  /** Nodes that have failed the job or refused it. */
  readonly excluded: readonly string[];
  readonly now: number;
}

/** Why a provider cannot have a job; undefined for one that can. */
export function ineligible(candidate: Candidate, wanted: Wanted): string | undefined {
  const { state, node } = candidate;
  if (wanted.excluded.includes(node)) return 'it has failed or refused this job';
  if (!state.paired || state.device === undefined) return 'no extension is paired with it';
  if (wanted.now - candidate.seenAt > AD_MS_MAX) return 'it has not been heard of for long';
  return (
    distrusted(candidate) ??
    unsuited(state, wanted.spec) ??
    busy(candidate, wanted.spec, wanted.amount === 0n) ??
    unpayable(candidate, wanted.amount)
  );
}

/** Why a provider that can run the spec cannot begin with it now. @param isFree  whether nothing is paid for it */
export function busy(
  { state, free, stake }: Candidate,
  spec: JobSpec,
  isFree: boolean,
): string | undefined {
  const full = !isFree && stake !== undefined && stake.slotsFree <= 0;
  return (
    unwell(state, spec) ??
    (free <= 0 ? 'all its slots are taken' : undefined) ??
    (full ? 'its stake allows no further job' : undefined)
  );
}

/** Why a provider gets no jobs at all: what it has done before, such as a false result. */
export function distrusted({ reputation }: Pick<Candidate, 'reputation'>): string | undefined {
  return reputation < REPUTATION_MIN ? `its reputation is below ${REPUTATION_MIN}` : undefined;
}

/** Why the machine cannot run the spec, whatever it costs and however busy it is. */
export function unsuited(state: ProviderState, spec: JobSpec): string | undefined {
  const { device } = state;
  if (device === undefined) return 'no extension is paired with it';
  const { require } = spec;
  const runner = isJsonObject(device.runners) ? device.runners[spec.kind] : undefined;
  const runs = spec.kind === 'openai' ? device.backends.length > 0 : runner;
  if (runs === undefined || runs === null || runs === false) return `it runs no ${spec.kind} jobs`;
  const least = ISOLATIONS.indexOf(require?.minIsolation ?? 'process');
  const isolates = device.isolation.some(
    (name) => (ISOLATIONS as readonly string[]).indexOf(name) >= least,
  );
  if (!isolates) return `it does not isolate jobs by ${require?.minIsolation}`;
  const arch = require?.arch ?? 'any';
  if (arch !== 'any' && arch !== device.host.arch) return `it is no ${arch}`;
  const { cpuMilli, memMiB, tmpMiB } = spec.limits;
  if (cpuMilli > Number(device.host.cpuThreads) * 1_000) return 'it has too few cores';
  if (memMiB > Number(device.host.memMiB)) return 'it has too little memory';
  if (tmpMiB > Number(device.host.diskFreeMiB)) return 'it has too little disk';
  const gpus = gpusOf(spec);
  if (gpus > 0 && suitableGpus(device.gpus, spec).length < gpus) return 'it has no such GPU';
  return undefined;
}

/** Why GPUs that it has take nothing now: they are too hot, say, or others have their memory. */
function unwell({ device }: ProviderState, spec: JobSpec): string | undefined {
  const gpus = gpusOf(spec);
  if (gpus === 0) return undefined;
  const able = suitableGpus(device?.gpus ?? [], spec).filter(({ slots }) => Number(slots) > 0);
  return able.length < gpus ? 'its GPUs take no jobs now' : undefined;
}

/** Those of a machine that a spec takes. */
export function suitableGpus(gpus: readonly GpuDevice[], spec: JobSpec): readonly GpuDevice[] {
  const need = spec.require?.gpu ?? {};
  const vram = Math.max(need.minVramMiB ?? 0, spec.limits.vramMiB);
  return gpus.filter(
    (gpu) =>
      (need.vendor === undefined || need.vendor === 'any' || need.vendor === gpu.vendor) &&
      Number(gpu.memMiB) >= vram &&
      (need.classes === undefined ||
        need.classes.length === 0 ||
        need.classes.includes(gpu.class)) &&
      (need.minComputeCap === undefined || capAtLeast(gpu.computeCap, need.minComputeCap)),
  );
}

function capAtLeast(cap: string | undefined, least: string): boolean {
  const [major = 0, minor = 0] = (cap ?? '').split('.').map(Number);
  const [leastMajor = 0, leastMinor = 0] = least.split('.').map(Number);
  return major > leastMajor || (major === leastMajor && minor >= leastMinor);
}

/** Free jobs need no stake. */
function unpayable(candidate: Candidate, amount: bigint): string | undefined {
  if (amount === 0n) return undefined;
  if (candidate.price > amount) return 'it asks for more than the job pays';
  return unregistered(candidate);
}

/**
 * Why a provider gets no paid jobs of that price, however few it has: executor and exposure. It has at stake what one job of it may cost
 * (F38).
 */
export function unregistered({ stake, price, state }: Candidate): string | undefined {
  if (stake === undefined) return 'it is not registered for paid jobs';
  if (!stake.on) return 'it takes no jobs';
  if (stake.executor.toLowerCase() !== state.executor?.toLowerCase())
    return 'its executor is not the registered one';
  if (price > stake.reservation) return 'the job costs more than it has at stake for one';
  return undefined;
}

/** 0 to 10000: reputation, price, room, nearness, and whether the image is there. */
export function scoreBps(
  { reputation, price, free, state, local }: Candidate,
  cheapest: bigint,
  image: string | undefined,
): bigint {
  const digest = image?.slice(image.indexOf('@') + 1);
  const cached = digest !== undefined && state.cachedImages.includes(digest);
  const slots = BigInt(Math.max(1, state.slots));
  return (
    (4_000n * BigInt(reputation)) / 1_000n +
    (price === 0n ? 3_000n : (3_000n * cheapest) / price) +
    (1_500n * BigInt(Math.max(0, Math.min(free, state.slots)))) / slots +
    (local ? 1_000n : 0n) +
    (cached ? 500n : 0n)
  );
}

/** Those that may have the job, in the order in which they are asked: first the one that is drawn, then by score. */
export function ranked(
  candidates: readonly Candidate[],
  wanted: Wanted,
  drawnBy: { readonly jobId: string; readonly attempt: number },
): readonly Candidate[] {
  const fit = candidates.filter((candidate) => ineligible(candidate, wanted) === undefined);
  if (fit.length <= 1) return fit;
  const cheapest = fit.reduce((least, { price }) => (price < least ? price : least), fit[0]!.price);
  const scored = fit
    .map((candidate) => ({
      candidate,
      score: scoreBps(candidate, cheapest, wanted.spec.image),
    }))
    // Equal scores in the order of the node's id, so that every node sorts alike.
    .toSorted((a, b) => {
      if (a.score !== b.score) return a.score > b.score ? -1 : 1;
      return a.candidate.state.nodeId < b.candidate.state.nodeId ? -1 : 1;
    });
  const best = scored.slice(0, DRAWN_AMONG);
  const at = drawIndex(
    best.map(({ score }) => score),
    drawnBy.jobId,
    drawnBy.attempt,
  );
  const drawn = best[at]!;
  return [drawn, ...scored.filter((one) => one !== drawn)].map(({ candidate }) => candidate);
}

/**
 * Which of them is drawn, each with a chance as large as its weight: the hash as a number, modulo the sum of the weights. Anybody who
 * knows the weights comes to the same one.
 */
export function drawIndex(weights: readonly bigint[], jobId: string, attempt: number): number {
  const sum = weights.reduce((total, weight) => total + weight, 0n);
  if (sum <= 0n) return 0;
  const counter = new Uint8Array(4);
  new DataView(counter.buffer).setUint32(0, attempt);
  const hash = taggedHash('hn/pick/v1', fromHex(jobId) ?? new Uint8Array(), counter);
  let drawn = hash.reduce((number, byte) => (number << 8n) | BigInt(byte), 0n) % sum;
  for (const [index, weight] of weights.entries()) {
    if (drawn < weight) return index;
    drawn -= weight;
  }
  return 0;
}

/** Slots in use of all providers that have a GPU of that class, in basis points; `cpu`: of those without. */
export function useBps(candidates: readonly Candidate[], wantedClass: string): bigint {
  let slots = 0n;
  let free = 0n;
  for (const { state, free: left } of candidates) {
    const gpus = state.device?.gpus ?? [];
    const ofClass =
      wantedClass === 'cpu' ? gpus.length === 0 : gpus.some((gpu) => gpu.class === wantedClass);
    if (!ofClass) continue;
    slots += BigInt(state.slots);
    free += BigInt(Math.max(0, Math.min(left, state.slots)));
  }
  return slots === 0n ? 0n : ((slots - free) * FULL) / slots;
}
