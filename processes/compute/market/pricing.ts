/** What computation costs (compute-market.md §5). Amounts in millionths of HYPER, rates for an hour. Pure; integers throughout. */
import { MIN_PRICE } from '../../../wit/jobs/limits.ts';
import type { JobSpec, Priority } from '../../../wit/jobs/spec.ts';
import { timeoutOf } from '../../../wit/jobs/spec.ts';

/** Of a GPU by its class, unless its operator asks for something else. */
export const DEFAULT_RATES: ReadonlyMap<string, bigint> = new Map([
  ['rtx-4090', 7_500_000n],
  ['a100-40', 25_000_000n],
  ['h100-80', 65_000_000n],
  ['rtx-3060', 1_500_000n],
  ['rtx-3090', 4_000_000n],
  ['rtx-4070', 2_500_000n],
  ['rtx-4080', 4_500_000n],
  ['l4', 5_000_000n],
  ['a10', 6_000_000n],
  ['l40s', 14_000_000n],
  ['a100-80', 32_000_000n],
  ['h200-141', 85_000_000n],
]);
/** Of a core. */
export const CPU_RATE = 50_000n;
/** Of a GPU of no known class, by the GB of its memory. */
export const OTHER_GPU_RATE_PER_GB = 200_000n;
/** Cores that come with a GPU. */
const CORES_FREE = 4n;

export const PRIORITY_BPS: Readonly<Record<Priority, bigint>> = {
  low: 8_000n,
  normal: 10_000n,
  high: 15_000n,
  urgent: 25_000n,
};

const FULL = 10_000n;
/** Demand by use, both in basis points; linear in between. */
const DEMAND = [
  [0n, 8_000n],
  [2_000n, 8_000n],
  [5_000n, 10_000n],
  [9_000n, 20_000n],
  [10_000n, 30_000n],
] as const;
/** The most that an operator may ask for because of its reputation. */
export const REPUTATION_BPS_MAX = 12_000n;

/** What is asked at that share of slots in use. @param use  in basis points */
export function demandBps(use: bigint): bigint {
  const at = use < 0n ? 0n : use > FULL ? FULL : use;
  const after = DEMAND.findIndex(([until]) => until >= at);
  const [x1, y1] = DEMAND[after]!;
  if (after === 0) return y1;
  const [x0, y0] = DEMAND[after - 1]!;
  return y0 + ((at - x0) * (y1 - y0)) / (x1 - x0);
}

/** 9000 for a new node, 10500 for the best reputation. */
export function reputationBps(reputation: number): bigint {
  return 9_000n + 3n * BigInt(Math.min(500, Math.max(0, reputation - 500)));
}

/** Rate of one GPU. @param own  what its operator asks for, by class */
export function gpuRate(
  gpu: { readonly class: string; readonly memMiB: number },
  own: ReadonlyMap<string, bigint> = new Map(),
): bigint {
  const known = own.get(gpu.class) ?? DEFAULT_RATES.get(gpu.class);
  return known ?? OTHER_GPU_RATE_PER_GB * BigInt(Math.ceil(gpu.memMiB / 1024));
}

/** Rate of a job: its GPUs, and the cores that do not come with them. */
export function rateOf(
  spec: JobSpec,
  gpu: { readonly class: string; readonly memMiB: number } | undefined,
  own: ReadonlyMap<string, bigint> = new Map(),
): bigint {
  const gpus = BigInt(gpusOf(spec));
  const cores = (BigInt(spec.limits.cpuMilli) + 999n) / 1_000n;
  const core = own.get('cpu') ?? CPU_RATE;
  if (gpus === 0n || gpu === undefined) return cores * core;
  const more = cores > CORES_FREE ? cores - CORES_FREE : 0n;
  return gpuRate(gpu, own) * gpus + more * core;
}

/** GPUs that a job needs. */
export function gpusOf({ require, limits }: JobSpec): number {
  return require?.gpu?.count ?? (require?.gpu !== undefined || limits.vramMiB > 0 ? 1 : 0);
}

export interface PriceTerms {
  readonly rate: bigint;
  /** Seconds that are paid for: the time-out, or what was used. */
  readonly seconds: bigint;
  readonly demandBps: bigint;
  readonly reputationBps: bigint;
  readonly priorityBps: bigint;
  readonly minPrice: bigint;
}

/** Rounded up, once. */
export function priceOf(terms: PriceTerms): bigint {
  const product =
    terms.rate * terms.seconds * terms.demandBps * terms.reputationBps * terms.priorityBps;
  const price = ceilDiv(product, 3_600n * FULL ** 3n);
  return price > terms.minPrice ? price : terms.minPrice;
}

/** What a spec costs at a provider, for the whole of its time-out. */
export function priceOfSpec(
  spec: JobSpec,
  at: {
    readonly gpu: { readonly class: string; readonly memMiB: number } | undefined;
    readonly own?: ReadonlyMap<string, bigint>;
    readonly useBps: bigint;
    readonly reputation: number;
  },
): bigint {
  return priceOf({
    rate: rateOf(spec, at.gpu, at.own),
    seconds: BigInt(timeoutOf(spec)),
    demandBps: demandBps(at.useBps),
    reputationBps: reputationBps(at.reputation),
    priorityBps: PRIORITY_BPS[spec.priority ?? 'normal'],
    minPrice: MIN_PRICE[spec.type],
  });
}

/** Of 1000 tokens, by default. */
export const TOKEN_PRICE_IN = 1_000n;
export const TOKEN_PRICE_OUT = 3_000n;

/** What a request to a model costs; rounded up, once. */
export function tokenCost(
  tokens: { readonly in: bigint; readonly out: bigint },
  per1000: { readonly in: bigint; readonly out: bigint } = {
    in: TOKEN_PRICE_IN,
    out: TOKEN_PRICE_OUT,
  },
): bigint {
  return ceilDiv(tokens.in * per1000.in + tokens.out * per1000.out, 1_000n);
}

function ceilDiv(a: bigint, b: bigint): bigint {
  return (a + b - 1n) / b;
}
