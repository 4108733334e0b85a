/** The home page: what this node has, and how it is. */
import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import { type App, search, shortcuts, tilesOf } from './apps.ts';
import { duration, bytes, percent, plural, rate } from './format.ts';
import { inTabs, open } from './frames.ts';
import { html } from './html.ts';
import { history, moment } from './monitor.ts';
import { apps, appsError, rearrange, registry } from './registry.ts';
import { focusSearch, ourNode, Search, theme } from './shell.ts';
import { Spark } from './spark.ts';
import { useStore } from './store.ts';
import { shownTheme } from './theme.ts';
import { Face } from './tile.ts';
import { focusTiles, Tiles, useDigits } from './tiles.ts';
import { useKeys } from './keys.ts';
import { isPartOfNode } from './usage.ts';
import { Widgets } from './widgets.ts';

export function Home(): VNode {
  const listed = useStore(apps);
  const failed = useStore(appsError);
  const now = useStore(moment);
  const chosen = useStore(theme);
  const [text, setText] = useState('');
  useKeys({ '/': focusSearch, Escape: () => setText('') });
  useDigits(listed === undefined || text !== '' ? [] : shortcuts(tilesOf(listed)), open);
  const running = now?.rows.filter(({ usage }) => isPartOfNode(usage) || usage.state === 'running');
  const alive = new Set(running?.map(({ id }) => id));
  const stopped = new Set(
    now === undefined ? [] : (listed ?? []).map(({ id }) => id).filter((id) => !alive.has(id)),
  );
  return html`<div class="home">
    <h1 class="unseen">Home of ${ourNode()}</h1>
    <div class="home-main">
      <${AppSearch} text=${text} onText=${setText} apps=${listed ?? []} />
      ${
        listed === undefined
          ? html`<${Waiting} failed=${failed} />`
          : text.trim() !== ''
            ? html`<${Found} apps=${search(listed, text)} text=${text} />`
            : tilesOf(listed).favorites.length + tilesOf(listed).others.length === 0
              ? html`<${NoApps} />`
              : html`<${Tiles}
                  apps=${listed}
                  stopped=${stopped}
                  inTabs=${inTabs}
                  onOpen=${open}
                  onMove=${(after: readonly App[], id: string) => void rearrange(after, id)}
                />`
      }
    </div>
    <aside class="home-side" aria-label="This node">
      <${NodeCard} />
      <${Widgets} apps=${listed ?? []} theme=${shownTheme(chosen)} />
    </aside>
  </div>`;
}

interface AppSearchProps {
  readonly text: string;
  readonly onText: (text: string) => void;
  readonly apps: readonly App[];
}

/** Enter opens the first that is found; the arrow down leads to the tiles. */
function AppSearch({ text, onText, apps }: AppSearchProps): VNode {
  const onKey = (event: KeyboardEvent): void => {
    const [first] = text.trim() === '' ? [] : search(apps, text);
    if (event.key === 'Enter' && first !== undefined) {
      open(first);
      onText('');
    } else if (event.key === 'ArrowDown') {
      if (text.trim() === '') focusTiles();
      else document.querySelector<HTMLElement>('.found a')?.focus();
    } else return;
    event.preventDefault();
  };
  return html`<${Search} label="Search apps" value=${text} onInput=${onText} onKey=${onKey} />`;
}

function Found({ apps, text }: { readonly apps: readonly App[]; readonly text: string }): VNode {
  if (apps.length === 0) return html`<p class="empty">No app is called “${text.trim()}”.</p>`;
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const links = [...document.querySelectorAll<HTMLElement>('.found a')];
    const at = links.findIndex((link) => link === document.activeElement);
    if (step === undefined || at < 0) return;
    event.preventDefault();
    if (at + step < 0) focusSearch();
    else links[at + step]?.focus();
  };
  return html`<ul class="found card" onKeyDown=${onKeyDown}>
    ${apps.map(
      (app, index) =>
        html`<li key=${app.id}>
          <a
            href=${app.path}
            target=${inTabs ? '_blank' : undefined}
            rel=${inTabs ? 'noopener' : undefined}
            onClick=${(event: MouseEvent) => {
              if (inTabs || event.ctrlKey || event.metaKey || event.shiftKey) return;
              event.preventDefault();
              open(app);
            }}
          >
            <${Face} app=${app} />
            <span class="found-label">${app.label}<small>${app.id}</small></span>
            ${index === 0 && html`<kbd aria-hidden="true">Enter</kbd>`}
          </a>
        </li>`,
    )}
  </ul>`;
}

function NoApps(): VNode {
  return html`<div class="empty">
    <h2>No apps yet</h2>
    <p>Apps appear here by themselves when they start.</p>
  </div>`;
}

/** Shapes where the tiles will be; a reason and a way on when they do not come. */
function Waiting({ failed }: { readonly failed: string | undefined }): VNode {
  if (failed !== undefined) {
    return html`<div class="empty" role="alert">
      <h2>The apps cannot be listed</h2>
      <p>${failed}.</p>
      <button type="button" class="button" onClick=${() => registry.now()}>Try again</button>
    </div>`;
  }
  return html`<div class="tiles" aria-busy="true" aria-label="Loading">
    <ul class="grid">
      ${Array.from({ length: 8 }, (_, at) => html`<li key=${at} class="tile waiting"><span class="face" /></li>`)}
    </ul>
  </div>`;
}

/** The node in four numbers; the way to the processes. */
function NodeCard(): VNode {
  const now = useStore(moment);
  const upMs = Math.max(0, ...(now?.rows.map(({ usage }) => usage.uptime_ms) ?? []));
  const series = history.series('', now?.atMs ?? 0);
  return html`<a class="node-card card" href="/processes">
    <span class="node-head">
      <strong>${ourNode()}</strong>
      <small>${now === undefined ? 'asking…' : `up ${duration(upMs)}`}</small>
    </span>
    <${Spark} values=${series.values.cpu} name="cpu" />
    <span class="node-facts">
      <span>${now === undefined ? '–' : plural(now.totals.processes, 'process', 'processes')}</span>
      <span>${percent(now?.totals.cpu)} CPU</span>
      <span>${now === undefined ? '–' : bytes(now.totals.memoryBytes)}</span>
      <span>${rate(now?.totals.messagesPerS)} msg/s</span>
    </span>
  </a>`;
}
