/** The processes of the node, live: a table, and beside it one of them in detail. */
import type { VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { bytes, percent, rate } from './format.ts';
import { html } from './html.ts';
import { useKeys } from './keys.ts';
import { CALM_MS, history, LIVE_MS, moment, type Moment, momentError, monitor } from './monitor.ts';
import { place, showProcess } from './place.ts';
import { ProcessPanel } from './process-panel.ts';
import { ProcessTable } from './process-table.ts';
import { focusSearch, Search } from './shell.ts';
import { Spark } from './spark.ts';
import { useStore } from './store.ts';
import { firstOrder, inOrderOf, matching, type Order, sorted } from './table.ts';
import type { SeriesName } from './history.ts';

/** Rows that are drawn; more are found by searching. */
export const ROWS_MAX = 400;

export function ProcessesPage(): VNode {
  const now = useStore(moment);
  const failed = useStore(momentError);
  const { process: selected } = useStore(place);
  const [text, setText] = useState('');
  const [all, setAll] = useState(false);
  const [order, setOrder] = useState<Order>(firstOrder('cpu'));
  const [held, setHeld] = useState(false);
  const shown = useRef<readonly string[]>([]);
  useEffect(() => {
    monitor.every(LIVE_MS);
    return () => monitor.every(CALM_MS);
  }, []);
  useKeys({
    '/': focusSearch,
    Escape: () => (selected === undefined ? setText('') : showProcess(undefined)),
  });
  if (now === undefined) return html`<${Waiting} failed=${failed} />`;
  const wanted = sorted(matching(now.rows, text, { all }), order);
  const found = held ? inOrderOf(wanted, shown.current) : wanted;
  shown.current = found.map(({ id }) => id);
  const reorder = (next: Order): void => {
    shown.current = [];
    setOrder(next);
  };
  return html`<div class=${`processes ${selected === undefined ? '' : 'with-panel'}`}>
    <div class="processes-main">
      <h1>Processes</h1>
      <${Cards} now=${now} />
      <div class="bar">
        <${Search} label="Search processes" value=${text} onInput=${setText} />
        <label class="check">
          <input
            type="checkbox"
            checked=${all}
            onChange=${(event: { currentTarget: HTMLInputElement }) => setAll(event.currentTarget.checked)}
          />
          <span>Parts of the node</span>
        </label>
      </div>
      ${
        found.length === 0
          ? html`<p class="empty">
              ${text.trim() === '' ? 'No process runs.' : `No process is found by “${text.trim()}”.`}
            </p>`
          : html`<${ProcessTable}
              rows=${found.slice(0, ROWS_MAX)}
              order=${order}
              selected=${selected}
              onOrder=${reorder}
              onHold=${setHeld}
              onSelect=${showProcess}
            />`
      }
      ${
        found.length > ROWS_MAX &&
        html`<p class="hint">
          ${ROWS_MAX} of ${found.length} are shown. Search to find the others.
        </p>`
      }
    </div>
    ${
      selected !== undefined &&
      html`<${ProcessPanel}
        key=${selected}
        id=${selected}
        row=${now.rows.find(({ id }) => id === selected)}
        atMs=${now.atMs}
        onClose=${() => showProcess(undefined)}
      />`
    }
  </div>`;
}

function Cards({ now }: { readonly now: Moment }): VNode {
  const { totals, atMs } = now;
  const { values } = history.series('', atMs);
  const card = (label: string, value: string, name?: SeriesName): VNode =>
    html`<li class="card figure">
      <span>${label}</span>
      <strong>${value}</strong>
      ${name !== undefined && html`<${Spark} values=${values[name]} name=${name} />`}
    </li>`;
  return html`<ul class="figures" aria-label="All processes together">
    ${card('Processes', String(totals.processes))} ${card('CPU', percent(totals.cpu), 'cpu')}
    ${card('Memory', bytes(totals.memoryBytes), 'memory')}
    ${card('Messages/s', rate(totals.messagesPerS), 'in')}
  </ul>`;
}

function Waiting({ failed }: { readonly failed: string | undefined }): VNode {
  if (failed !== undefined) {
    return html`<div class="empty" role="alert">
      <h1>The processes cannot be listed</h1>
      <p>${failed}.</p>
      <button type="button" class="button" onClick=${() => monitor.now()}>Try again</button>
    </div>`;
  }
  return html`<div class="processes" aria-busy="true">
    <div class="processes-main">
      <h1>Processes</h1>
      <ul class="figures">
        ${Array.from({ length: 4 }, (_, at) => html`<li key=${at} class="card figure waiting" />`)}
      </ul>
      <div class="card waiting tall" /></div>
    </div>
   `;
}
