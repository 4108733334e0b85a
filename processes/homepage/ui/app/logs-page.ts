/** What the node prints, as it prints it. */
import type { VNode } from 'preact';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { get, messageOf } from './api.ts';
import { timeOfDay } from './format.ts';
import { html } from './html.ts';
import { Icon, type IconName } from './icons.ts';
import { useKeys } from './keys.ts';
import {
  answerOf,
  asText,
  DRAWN_MAX,
  extended,
  filtered,
  type LogFilter,
  NO_LINES,
  processesIn,
  type Shown,
} from './log-lines.ts';
import { Poller } from './poller.ts';
import { focusSearch, Search } from './shell.ts';
import { Store, useStore } from './store.ts';
import { nameParts } from './table.ts';

/** Between two looks, ms. */
export const LOGS_MS = 1_000;
/** Lines asked for at a time. */
export const LINES_ASKED = 1_000;
/** As near to the end as this counts as its end, px. */
const END_PX = 40;

const log = new Store(NO_LINES);
const failure = new Store<string | undefined>(undefined);
const answered = new Store(false);

const reader = new Poller(async () => {
  try {
    const answer = answerOf(await get(`/api/logs?after=${log.value.next}&limit=${LINES_ASKED}`));
    log.value = extended(log.value, answer);
    failure.value = undefined;
    answered.value = true;
  } catch (error) {
    failure.value = messageOf(error);
    throw error;
  }
}, LOGS_MS);

const ALL: LogFilter = { verbosityMax: Number.POSITIVE_INFINITY, process: undefined, text: '' };

export function LogsPage(): VNode {
  const { lines } = useStore(log);
  const failed = useStore(failure);
  const ready = useStore(answered);
  const [paused, setPaused] = useState(false);
  const [following, setFollowing] = useState(true);
  const [filter, setFilter] = useState<LogFilter>(() => ({ ...ALL, process: processAsked() }));
  useEffect(() => {
    if (paused) reader.stop();
    else reader.start();
    return () => reader.stop();
  }, [paused]);
  const pause = (): void => setPaused(!paused);
  useKeys({ '/': focusSearch, Escape: () => setFilter({ ...filter, text: '' }) });
  const shown = useMemo(() => filtered(lines, filter), [lines, filter]);
  return html`<div class="logs">
    <div class="logs-head">
      <h1>Logs</h1>
      <${Search}
        label="Filter lines"
        value=${filter.text}
        onInput=${(text: string) => setFilter({ ...filter, text })}
      />
      <${Filters} filter=${filter} lines=${lines} onFilter=${setFilter} />
      <div class="log-tools">
        <${Tool}
          icon="follow"
          label="Follow"
          pressed=${following}
          onClick=${() => setFollowing(!following)}
        />
        <${Tool}
          icon=${paused ? 'play' : 'pause'}
          label="Pause"
          pressed=${paused}
          onClick=${pause}
        />
        <${Tool} icon="download" label="Download" onClick=${() => download(shown)} />
      </div>
    </div>
    <${Lines}
      lines=${shown.slice(-DRAWN_MAX)}
      earlier=${Math.max(0, shown.length - DRAWN_MAX)}
      following=${following}
      onFollowing=${setFollowing}
    >
      ${shown.length === 0 && html`<${NoLines} failed=${failed} ready=${ready} none=${lines.length === 0} />`}
    <//>
    ${paused && html`<p class="paused" role="status">Paused. Lines printed meanwhile come when you go on.</p>`}
  </div>`;
}

/** `/logs?process=…`: where the details of a process lead. */
function processAsked(): string | undefined {
  return new URLSearchParams(location.search).get('process') ?? undefined;
}

interface FiltersProps {
  readonly filter: LogFilter;
  readonly lines: readonly Shown[];
  readonly onFilter: (filter: LogFilter) => void;
}

function Filters({ filter, lines, onFilter }: FiltersProps): VNode {
  const printed = processesIn(lines);
  const { process } = filter;
  const options =
    process === undefined || printed.includes(process) ? printed : [process, ...printed];
  const valueOf = (event: { currentTarget: HTMLSelectElement }): string =>
    event.currentTarget.value;
  return html`<div class="filters">
    <select
      aria-label="Level"
      value=${filter.verbosityMax === 0 ? 'main' : 'all'}
      onChange=${(event: { currentTarget: HTMLSelectElement }) =>
        onFilter({ ...filter, verbosityMax: valueOf(event) === 'main' ? 0 : ALL.verbosityMax })}
    >
      <option value="all">All levels</option>
      <option value="main">Without debug</option>
    </select>
    <select
      aria-label="Process"
      value=${process ?? ''}
      onChange=${(event: { currentTarget: HTMLSelectElement }) =>
        onFilter({ ...filter, process: valueOf(event) === '' ? undefined : valueOf(event) })}
    >
      <option value="">All processes</option>
      ${options.map((id) => html`<option key=${id} value=${id}>${id}</option>`)}
    </select>
  </div>`;
}

interface ToolProps {
  readonly icon: IconName;
  readonly label: string;
  readonly pressed?: boolean;
  readonly onClick: () => void;
}

function Tool({ icon, label, pressed, onClick }: ToolProps): VNode {
  return html`<button
    type="button"
    class="tool"
    title=${label}
    aria-pressed=${pressed}
    onClick=${onClick}
  >
    <${Icon} name=${icon} /><span>${label}</span>
  </button>`;
}

interface LinesProps {
  readonly lines: readonly Shown[];
  /** Lines before these that are held but not drawn. */
  readonly earlier: number;
  readonly following: boolean;
  readonly onFollowing: (following: boolean) => void;
  readonly children: unknown;
}

/** While following, the newest line is in sight; scrolling up ends that, scrolling to the end begins it. */
function Lines({ lines, earlier, following, onFollowing, children }: LinesProps): VNode {
  const place = useRef<HTMLDivElement>(null);
  const last = lines.at(-1)?.key;
  useLayoutEffect(() => {
    const { current } = place;
    if (following && current !== null) current.scrollTop = current.scrollHeight;
  }, [last, following]);
  const onScroll = ({ currentTarget: at }: { currentTarget: HTMLElement }): void => {
    const atEnd = at.scrollHeight - at.scrollTop - at.clientHeight < END_PX;
    if (atEnd !== following) onFollowing(atEnd);
  };
  return html`<div
    class="log card"
    ref=${place}
    onScroll=${onScroll}
    tabindex="0"
    role="log"
    aria-live="off"
    aria-label="Printouts"
  >
    ${earlier > 0 && html`<p class="gap">${earlier} earlier lines are in the download</p>`}
    ${lines.map((line) => html`<${Line} key=${line.key} line=${line} />`)} ${children}
  </div>`;
}

function Line({ line }: { readonly line: Shown }): VNode {
  if ('gap' in line) return html`<p class="gap">${line.gap}</p>`;
  const { name, pkg } = nameParts(line.process);
  return html`<p class=${`line level-${Math.min(line.verbosity, 3)}`}>
    <time datetime=${new Date(line.time_ms).toISOString()}>${timeOfDay(line.time_ms)}</time>
    <a href=${`/processes?id=${line.process}`} title=${line.process}
      >${name}<small>:${pkg}</small></a
    >
    <span class="line-text">${line.verbosity > 0 && html`<em>debug</em> `}${line.text}</span>
  </p>`;
}

interface NoLinesProps {
  readonly failed: string | undefined;
  /** Whether the node has answered once. */
  readonly ready: boolean;
  /** Whether there are no lines at all, or only none that the filter lets through. */
  readonly none: boolean;
}

function NoLines({ failed, ready, none }: NoLinesProps): VNode {
  if (ready) {
    return html`<p class="empty">
      ${none ? 'Nothing has been printed yet.' : 'No line is like that.'}
    </p>`;
  }
  if (failed === undefined) return html`<p class="empty" aria-busy="true">Loading…</p>`;
  return html`<div class="empty" role="alert">
    <h2>The log cannot be read</h2>
    <p>${failed}.</p>
    <button type="button" class="button" onClick=${() => reader.now()}>Try again</button>
  </div>`;
}

/** The lines as they are filtered, as a file. */
function download(lines: readonly Shown[]): void {
  const address = URL.createObjectURL(new Blob([asText(lines)], { type: 'text/plain' }));
  const link = document.createElement('a');
  link.href = address;
  link.download = `log-${new Date().toISOString().slice(0, 19).replaceAll(':', '-')}.txt`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 1_000);
}
