/** The page: how the market is in four numbers, and one of its four parts below. */
import type { VNode } from 'preact';
import { useEffect } from 'preact/hooks';
import { plural } from './format.ts';
import { html, useShown } from './html.ts';
import { JobsView } from './jobs-view.ts';
import type { Market, Shown } from './market.ts';
import { MoneyView } from './money-view.ts';
import { NewView } from './new-view.ts';
import { ProvidersView } from './providers-view.ts';
import { go, type Place, useRoute } from './route.ts';

const PLACES: readonly (readonly [Place, string, string])[] = [
  ['jobs', 'Jobs', '1'],
  ['new', 'New job', '2'],
  ['providers', 'Providers', '3'],
  ['money', 'Money', '4'],
];

export function App({ market }: { readonly market: Market }): VNode {
  const shown = useShown(market);
  const { place, jobId } = useRoute();
  useEffect(() => market.select(jobId), [market, jobId]);
  useEffect(() => {
    const running = shown.figures?.runningJobs ?? 0;
    document.title = running === 0 ? 'Compute' : `(${running}) Compute`;
  }, [shown.figures]);
  useKeys();
  return html`
    <div class="page">
      <a class="skip" href="#main">To the content</a>
      <header class="head">
        <h1>Compute</h1>
        <nav aria-label="Parts of the market">
          ${PLACES.map(
            ([name, label, key]) =>
              html`<a
                key=${name}
                href=${`#${name}`}
                aria-current=${place === name ? 'page' : undefined}
                aria-keyshortcuts=${key}
                >${label}</a
              >`,
          )}
        </nav>
        <p class="state" data-state=${shown.connected ? 'ok' : 'off'} role="status">
          ${shown.connected ? 'Live' : 'Connecting …'}
        </p>
      </header>
      <${Trouble} shown=${shown} />
      <main id="main" tabindex="-1">
        ${place === 'jobs' && html`<${JobsView} market=${market} jobId=${jobId} />`}
        ${place === 'new' && html`<${NewView} market=${market} />`}
        ${place === 'providers' && html`<${ProvidersView} market=${market} />`}
        ${place === 'money' && html`<${MoneyView} market=${market} />`}
      </main>
    </div>
  `;
}

function Trouble({
  shown: { problem, nodes, connected },
}: {
  readonly shown: Shown;
}): VNode | null {
  if (problem?.code === 'SIGNED_OUT') {
    return html`<p class="trouble" role="alert">
      You are signed out. <a href="./">Sign in again</a> to go on.
    </p>`;
  }
  if (problem !== undefined && !connected) {
    return html`<p class="trouble" role="alert">
      The node does not answer. What you see is how it was; it is asked again by itself.
    </p>`;
  }
  if (nodes !== undefined && !nodes.some(({ status }) => status !== 'offline')) {
    return html`<p class="trouble calm" role="status">
      ${nodes.length === 0 ? 'No provider is known' : `${plural(nodes.length, 'provider')} known, none is online`}:
      jobs wait until one is. <a href="#providers">Set one up</a>
    </p>`;
  }
  return null;
}

/** One key for each part, Escape closes what is open; not while something is typed. */
function useKeys(): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const typing = (event.target as Element | null)?.closest('input, textarea, select, dialog');
      if (event.ctrlKey || event.metaKey || event.altKey || typing != null) return;
      const place = event.key === 'n' ? 'new' : PLACES.find(([, , key]) => key === event.key)?.[0];
      if (place !== undefined) {
        event.preventDefault();
        go(place);
      } else if (event.key === 'Escape' && location.hash.startsWith('#jobs/')) {
        go('jobs');
      }
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
}
