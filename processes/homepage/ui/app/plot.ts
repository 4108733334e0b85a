/** A figure over the last minutes. uplot is fetched when the first one is drawn. */
import type uPlot from 'uplot';
import type { VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { HISTORY_MS, type SeriesName } from './history.ts';
import { html } from './html.ts';
import { theme } from './shell.ts';
import { useStore } from './store.ts';

const HEIGHT = 104;
/** The least that is shown, ms, so that the first seconds do not fill the whole width. */
const SHOWN_MS = 60_000;

interface PlotProps {
  readonly title: string;
  /** The newest value, as text. */
  readonly now: string;
  readonly nowMs: number;
  readonly times: Float64Array;
  readonly lines: readonly { readonly name: SeriesName; readonly values: Float64Array }[];
  /** Of a value at the axis. */
  readonly unit: (value: number) => string;
  /** Distances that values at the axis may have. */
  readonly steps?: readonly number[];
}

export function Plot(props: PlotProps): VNode {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const latest = useRef(props);
  latest.current = props;
  const colours = useStore(theme);
  useEffect(() => {
    let ended = false;
    const element = place.current;
    const resize = new ResizeObserver(() => {
      if (element !== null) plot.current?.setSize({ width: element.clientWidth, height: HEIGHT });
    });
    void import('uplot').then(({ default: make }) => {
      if (ended || element === null) return;
      plot.current = new make(optionsOf(latest.current, element), dataOf(latest.current), element);
      resize.observe(element);
    });
    return () => {
      ended = true;
      resize.disconnect();
      plot.current?.destroy();
      plot.current = undefined;
    };
    // Colours are drawn into the canvas: other colours, another plot.
  }, [colours, useSystemDark()]);
  useEffect(() => plot.current?.setData(dataOf(props)), [props.nowMs]);
  const { title, now, lines } = props;
  return html`<figure class="plot">
    <figcaption>
      <span>${title}</span>
      ${lines.length > 1 && lines.map(({ name }) => html`<span key=${name} class=${`legend ${name}`}>${name}</span>`)}
      <strong>${now}</strong>
    </figcaption>
    <div
      class="plot-place"
      ref=${place}
      role="img"
      aria-label=${`${title} over the last minutes; now ${now}`}
    ></div>
  </figure>`;
}

/** Drawn anew when the system changes its colours. */
function useSystemDark(): boolean {
  return matchMedia('(prefers-color-scheme: dark)').matches;
}

/** Unix seconds, as uplot wants them. */
function dataOf({ times, lines, nowMs }: PlotProps): uPlot.AlignedData {
  const offsetMs = Date.now() - nowMs;
  const x = Array.from(times, (atMs) => (atMs + offsetMs) / 1_000);
  const known = (value: number): number | null => (Number.isNaN(value) ? null : value);
  return [x, ...lines.map(({ values }) => Array.from(values, known))];
}

function optionsOf({ lines, unit, steps }: PlotProps, element: HTMLElement): uPlot.Options {
  const style = getComputedStyle(element);
  const colour = (name: string): string => resolved(element, style.getPropertyValue(name));
  const axis = { stroke: colour('--hw-text-muted'), font: `11px ${style.fontFamily}` };
  const quiet = { stroke: colour('--hw-line'), width: 1 };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
    legend: { show: false },
    padding: [6, 26, 0, 0],
    scales: {
      x: { time: true, range: (_plot, first, last) => shownRange(first, last) },
      y: { range: (_plot, _least, most) => [0, most > 0 ? most * 1.15 : 1] },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        ticks: { show: false },
        size: 20,
        space: 70,
        values: clock,
      },
      {
        ...axis,
        grid: quiet,
        ticks: { show: false },
        size: 56,
        space: 30,
        values: (_plot, at) => at.map(unit),
        ...(steps === undefined ? {} : { incrs: [...steps] }),
      },
    ],
    series: [
      {},
      ...lines.map(({ name }) => ({
        stroke: colour(`--series-${name}`),
        ...(lines.length === 1 ? { fill: colour(`--series-${name}-soft`) } : {}),
        width: 1.5,
        points: { show: false },
      })),
    ],
  };
}

function shownRange(first: number | null, last: number | null): [number, number] {
  const end = last ?? Date.now() / 1_000;
  const span = Math.min(HISTORY_MS, Math.max(SHOWN_MS, (end - (first ?? end)) * 1_000));
  return [end - span / 1_000, end];
}

function clock(_plot: uPlot, at: readonly number[]): string[] {
  return at.map((unixS) =>
    new Date(unixS * 1_000).toLocaleTimeString([], {
      hourCycle: 'h23',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    }),
  );
}

/** A canvas does not know `light-dark()`: the browser is asked what it comes to here. */
function resolved(element: HTMLElement, colour: string): string {
  const probe = document.createElement('span');
  probe.style.color = colour;
  element.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
