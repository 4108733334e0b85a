/** A line of a few pixels: how something went, without numbers. */
import type { VNode } from 'preact';
import { html } from './html.ts';
import type { SeriesName } from './history.ts';

/** Samples that a line shows at most, and the room it takes for at least. */
export const SPARK_SAMPLES = 90;
export const SPARK_ROOM = 24;
const WIDTH = 180;
const HEIGHT = 32;

export function Spark(props: { readonly values: Float64Array; readonly name: SeriesName }): VNode {
  const { line, area } = sparkPaths(props.values.subarray(-SPARK_SAMPLES));
  return html`<svg
    class=${`spark ${props.name}`}
    viewBox=${`0 0 ${WIDTH} ${HEIGHT}`}
    preserveAspectRatio="none"
    aria-hidden="true"
  >
    <path class="area" d=${area} />
    <path class="line" d=${line} />
  </svg>`;
}

/** Paths of the line and of what is below it, the newest sample at the right. What is not known is left out. */
export function sparkPaths(values: Float64Array): { readonly line: string; readonly area: string } {
  const known = [...values]
    .map((value, at) => ({ value, at }))
    .filter(({ value }) => !Number.isNaN(value));
  if (known.length < 2) return { line: '', area: '' };
  const largest = Math.max(...known.map(({ value }) => value), Number.EPSILON);
  const room = Math.max(SPARK_ROOM, values.length);
  const right = room - values.length;
  const points = known.map(({ value, at }) => {
    const x = ((right + at) / (room - 1)) * WIDTH;
    const y = HEIGHT - 2 - (value / largest) * (HEIGHT - 6);
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  });
  const line = `M${points.join('L')}`;
  const edge = (point: string | undefined): string => point?.split(' ')[0] ?? '0';
  return { line, area: `${line}L${edge(points.at(-1))} ${HEIGHT}L${edge(points[0])} ${HEIGHT}Z` };
}
