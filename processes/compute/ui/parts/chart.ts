/** A drawing by uplot, which is fetched when the first one is shown. Drawn anew when it has another size or the page other colours. */
import type uPlot from 'uplot';
import type { VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { html } from './html.ts';

export interface ChartProps {
  /** What it says, for who does not see it. */
  readonly label: string;
  readonly height: number;
  readonly data: uPlot.AlignedData;
  readonly options: (
    make: typeof uPlot,
    colour: (name: string) => string,
  ) => Partial<uPlot.Options>;
}

export function Chart({ label, height, data, options }: ChartProps): VNode {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const latest = useRef({ data, options });
  latest.current = { data, options };
  const look = useLook();
  useEffect(() => {
    let ended = false;
    const element = place.current;
    const resize = new ResizeObserver(() => {
      if (element !== null) plot.current?.setSize({ width: element.clientWidth, height });
    });
    void import('uplot').then(({ default: make }) => {
      if (ended || element === null) return;
      const colour = (name: string): string => resolved(element, name);
      plot.current = new make(
        {
          ...base(colour),
          ...latest.current.options(make, colour),
          width: element.clientWidth,
          height,
        },
        latest.current.data,
        element,
      );
      resize.observe(element);
    });
    return () => {
      ended = true;
      resize.disconnect();
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, [look, height]);
  useEffect(() => plot.current?.setData(data), [data]);
  return html`<div class="chart" role="img" aria-label=${label} ref=${place}></div>`;
}

function base(colour: (name: string) => string): uPlot.Options {
  return {
    width: 0,
    height: 0,
    series: [],
    cursor: { show: false },
    legend: { show: false },
    padding: [8, 8, 0, 0],
    axes: [axis(colour), { ...axis(colour), size: 52 }],
  };
}

/** An axis in the colours of the page. */
export function axis(colour: (name: string) => string): uPlot.Axis {
  return {
    stroke: colour('--faint'),
    font: '11px system-ui, sans-serif',
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
    size: 22,
  };
}

/** Changes when the colours of the page do. */
function useLook(): string {
  const [look, setLook] = useState(lookNow);
  useEffect(() => {
    const follow = (): void => setLook(lookNow());
    const dark = matchMedia('(prefers-color-scheme: dark)');
    dark.addEventListener('change', follow);
    const observer = new MutationObserver(follow);
    observer.observe(document.documentElement, { attributeFilter: ['data-theme'] });
    return () => {
      dark.removeEventListener('change', follow);
      observer.disconnect();
    };
  }, []);
  return look;
}

function lookNow(): string {
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  return `${document.documentElement.dataset['theme'] ?? ''} ${dark ? 'dark' : 'light'}`;
}

/** A canvas does not know `light-dark()`: the browser is asked what it comes to here. */
function resolved(element: HTMLElement, name: string): string {
  const probe = document.createElement('span');
  probe.style.color = `var(${name})`;
  element.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
