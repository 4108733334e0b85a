/** The page of the node: one document, three pages, and the apps that are opened in place. */
import { render, type VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { Frames, inTabs } from './app/frames.ts';
import { Home } from './app/home.ts';
import { html } from './app/html.ts';
import { useKeys } from './app/keys.ts';
import { LogsPage } from './app/logs-page.ts';
import { monitor } from './app/monitor.ts';
import { Notices } from './app/notices.ts';
import { followLink, goTo, place } from './app/place.ts';
import { ProcessesPage } from './app/processes-page.ts';
import { registry } from './app/registry.ts';
import { Banner, Foot, Head, Help, helpShown, ourNode } from './app/shell.ts';
import { useStore } from './app/store.ts';

const TITLES = { home: 'Home', processes: 'Processes', logs: 'Logs' } as const;

function Page(): VNode {
  const { page, open } = useStore(place);
  const seen = useRef<string>(undefined);
  useEffect(() => {
    document.title = `${TITLES[page]} · ${ourNode()}`;
    // Whoever came by key or by ear goes on reading at the new page; at first the focus is the browser's.
    if (seen.current !== undefined && seen.current !== page) {
      document.getElementById('main')?.focus();
      scrollTo(0, 0);
    }
    seen.current = page;
  }, [page]);
  useKeys({
    h: () => goTo('home'),
    p: () => goTo('processes'),
    l: () => goTo('logs'),
    '?': () => {
      helpShown.value = true;
    },
  });
  const covered = open !== undefined && !inTabs;
  return html`<div class="page" onClick=${followLink}>
    <a class="skip" href="#main">To the content</a>
    <${Head} />
    <${Banner} />
    <main id="main" tabindex="-1" hidden=${covered}>
      ${page === 'processes' ? html`<${ProcessesPage} />` : page === 'logs' ? html`<${LogsPage} />` : html`<${Home} />`}
    </main>
    <${Frames} />
    <${Foot} />
    <${Help} />
    <${Notices} />
  </div>`;
}

registry.start();
monitor.start();
const root = document.getElementById('root');
if (root === null) throw new Error('the page has no root');
render(html`<${Page} />`, root);
