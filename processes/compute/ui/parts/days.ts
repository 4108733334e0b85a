/** Something of every day as bars: two amounts, one above the other's shadow. */
import type { VNode } from 'preact';
import { useMemo } from 'preact/hooks';
import { axis, Chart, type ChartProps } from './chart.ts';
import { html } from './html.ts';
import type { Day } from './views.ts';

const HEIGHT = 180;
const DAY_S = 86_400;
/** Days that are shown, the last one being today. */
const DAYS = 30;
const BAR_PX_MAX = 22;

export interface DaysProps {
  readonly title: string;
  readonly names: readonly [string, string];
  readonly days: readonly Day[];
  readonly values: readonly [(day: Day) => number, (day: Day) => number];
  /** They are counted: there is nothing between two of them. */
  readonly whole?: boolean;
}

export function Days({ title, names, days, values, whole = false }: DaysProps): VNode {
  const data = useMemo<ChartProps['data']>(() => {
    const known = new Map(days.map((day) => [Date.parse(day.day) / 1_000, day]));
    const today = Math.floor(Date.now() / 1_000 / DAY_S) * DAY_S;
    const at = Array.from({ length: DAYS }, (_, index) => today - (DAYS - 1 - index) * DAY_S);
    const column = (of: (day: Day) => number): number[] =>
      at.map((time) => {
        const day = known.get(time);
        return day === undefined ? 0 : of(day);
      });
    return [at, column(values[0]), column(values[1])];
  }, [days, values]);
  return html`<figure class="card chart-card">
    <figcaption>
      <strong>${title}</strong>
      <span class="legend one">${names[0]}</span><span class="legend two">${names[1]}</span>
    </figcaption>
    <${Chart}
      label=${`${title} over the last ${DAYS} days`}
      height=${HEIGHT}
      data=${data}
      options=${whole ? COUNTS : AMOUNTS}
    />
  </figure>`;
}

const optionsWith =
  (axisOptions: object): ChartProps['options'] =>
  (make, colour) => ({
    scales: {
      x: { time: true, range: (_plot, first, last) => [(first ?? 0) - DAY_S, (last ?? 0) + DAY_S] },
      y: { range: (_plot, _least, most) => [0, most != null && most > 0 ? most * 1.1 : 1] },
    },
    axes: [
      { ...axis(colour), grid: { show: false }, values: (_plot, at) => at.map(dayText), space: 52 },
      { ...axis(colour), size: 56, values: (_plot, at) => at.map(amount), ...axisOptions },
    ],
    series: [
      {},
      bars(make, colour('--one')),
      // In front, narrower: a part of the other or beside it.
      bars(make, colour('--two'), 0.3),
    ],
  });

const AMOUNTS = optionsWith({});
const COUNTS = optionsWith({ incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 10_000] });

function bars(make: Parameters<ChartProps['options']>[0], fill: string, share = 0.7): object {
  const paths = make.paths.bars?.({ size: [share, BAR_PX_MAX * share * 1.4], radius: 0.2 });
  return { fill, stroke: fill, width: 0, points: { show: false }, ...(paths && { paths }) };
}

function dayText(unixS: number): string {
  const at = new Date(unixS * 1_000);
  return at.toLocaleDateString([], { day: 'numeric', month: 'short', timeZone: 'UTC' });
}

function amount(value: number): string {
  if (value >= 1_000) return `${Math.round(value / 100) / 10}k`;
  return String(Number(value.toPrecision(3)));
}
