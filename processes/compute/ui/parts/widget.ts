/** The widget of the homepage: what runs and what ended last; the page itself is one click away. */
import type { VNode } from 'preact';
import { percent, plural } from './format.ts';
import { html, useShown } from './html.ts';
import type { Market } from './market.ts';
import { isOver, titleOf } from './views.ts';

/** More would need to be scrolled. */
const SHOWN_MAX = 4;
const TONES: Readonly<Record<string, string>> = {
  completed: 'good',
  failed: 'bad',
  running: 'busy',
};

export function Widget({ market }: { readonly market: Market }): VNode {
  const { jobs, figures, nodes } = useShown(market);
  const online = nodes?.filter(({ status }) => status !== 'offline').length ?? 0;
  const running = figures?.runningJobs ?? 0;
  return html`
    <main class="widget">
      <h1><a href="./" target="_top">Compute</a></h1>
      <p class="hint">
        ${running === 0 ? 'Nothing runs' : `${running} running`}, ${plural(online, 'provider')}
        online
      </p>
      <ul>
        ${(jobs ?? []).slice(0, SHOWN_MAX).map(
          (job) => html`
            <li key=${job.jobId}>
              <a href=${`./#jobs/${job.jobId}`} target="_top">${titleOf(job)}</a>
              <span class="mark" data-tone=${TONES[job.state] ?? 'quiet'}
                >${!isOver(job) && job.progress !== null ? percent(job.progress.ppm) : job.state}</span
              >
            </li>
          `,
        )}
      </ul>
    </main>
  `;
}
