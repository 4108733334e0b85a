/** What a bench hands back: one row a figure, beside its floor of the same run (style.md §4.11). */

/** The printed unit of a value and of its floor. */
export type Unit = 'us' | 'ms' | 's' | 'MB' | 'MiB' | 'x' | 'kfuel';

/** What a figure has to keep to: its own value, or its ratio to the floor. */
export interface Target {
  readonly of: 'value' | 'ratio';
  readonly max: number;
}

export interface Row {
  /** Dotted, and starting with its bench's name. */
  readonly name: string;
  readonly value: number;
  readonly unit: Unit;
  /** In the same unit; undefined where the figure is absolute and nothing simpler does the same work. */
  readonly floor: number | undefined;
  readonly target: Target | undefined;
  readonly p50?: number;
  readonly p99?: number;
  /** How many measurements `value` is the median of. */
  readonly runs: number;
  /** What the floor is, or what else a reader has to know. */
  readonly note?: string;
}

/** How much work a bench does. The smoke test takes a sliver of it. */
export interface Scale {
  /** 1 for a real measurement; counts are multiplied by it. */
  readonly work: number;
  /** Alternating runs of ours and the floor. */
  readonly runs: number;
}

export interface Bench {
  /** The command line's prefixes are matched against it. */
  readonly name: string;
  run(scale: Scale): Promise<readonly Row[]>;
}

export const FULL: Scale = { work: 1, runs: 5 };
/** Enough to see that every part of a bench runs. */
export const SMOKE: Scale = { work: 0.002, runs: 1 };

/** `full` items at full scale, at least `least` at any. */
export function count(full: number, scale: Scale, least = 1): number {
  return Math.max(least, Math.round(full * scale.work));
}

export function ratioOf({ value, floor }: Row): number | undefined {
  return floor === undefined || floor === 0 ? undefined : value / floor;
}

/** Undefined: nothing was promised. */
export function passes(row: Row): boolean | undefined {
  if (row.target === undefined) return undefined;
  const measured = row.target.of === 'value' ? row.value : ratioOf(row);
  return measured !== undefined && measured <= row.target.max;
}
