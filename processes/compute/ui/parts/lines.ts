/** Running and queued jobs over the last minutes. */
import type { VNode } from 'preact';
import { useMemo } from 'preact/hooks';
import { axis, Chart, type ChartProps } from './chart.ts';
import { html } from './html.ts';
import type { Sample } from './market.ts';

const HEIGHT = 96;
/** The least that is shown, in seconds, so that the first moments do not fill the whole width. */
const SHOWN_S = 300;

export function Lines({ samples }: { readonly samples: readonly Sample[] }): VNode {
  const data = useMemo<ChartProps['data']>(
    () => [
      samples.map(({ atMs }) => atMs / 1_000),
      samples.map(({ running }) => running),
      samples.map(({ queued }) => queued),
    ],
    [samples],
  );
  return html`<figure class="chart-side">
    <figcaption>
      <span class="legend one">running</span><span class="legend two">queued</span>
    </figcaption>
    <${Chart}
      label="Running and queued jobs over the last minutes"
      height=${HEIGHT}
      data=${data}
      options=${options}
    />
  </figure>`;
}

/** A single sample makes no line. */
const points = { show: (plot: { readonly data: ChartProps['data'] }) => plot.data[0].length < 2 };

const options: ChartProps['options'] = (_make, colour) => ({
  scales: {
    x: {
      time: true,
      range: (_plot, first, last) => [Math.min(first ?? 0, (last ?? 0) - SHOWN_S), last ?? 1],
    },
    y: { range: (_plot, _least, most) => [0, Math.max(4, most ?? 0)] },
  },
  axes: [
    { ...axis(colour), grid: { show: false }, values: (_plot, at) => at.map(clock), space: 64 },
    { ...axis(colour), size: 28, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000], space: 24 },
  ],
  series: [
    {},
    { stroke: colour('--one'), width: 2, points },
    { stroke: colour('--two'), width: 2, points },
  ],
});

function clock(unixS: number): string {
  return new Date(unixS * 1_000).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
}
