/** Jobs, latest first, as they go on; the one that is chosen beside them. */
import type { VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { ago, duration, hyper, percent } from './format.ts';
import { html, useShown } from './html.ts';
import { JobPanel } from './job-panel.ts';
import { Lines } from './lines.ts';
import type { Market, Shown } from './market.ts';
import { isOver, type JobView, titleOf } from './views.ts';

/** How often times that pass are drawn anew, in milliseconds. */
const TICK_MS = 1_000;

const FILTERS = ['all', 'open', 'done', 'failed'] as const;
type Filter = (typeof FILTERS)[number];

export function JobsView({
  market,
  jobId,
}: {
  readonly market: Market;
  readonly jobId: string | undefined;
}): VNode {
  const shown = useShown(market);
  const [filter, setFilter] = useState<Filter>('all');
  const now = useNow();
  const jobs = shown.jobs?.filter((job) => isWanted(job, filter));
  return html`
    <div class=${jobId === undefined ? 'split' : 'split open'}>
      <section class="list-side" aria-label="Jobs">
        <${FigureRow} shown=${shown} />
        <div class="bar" role="group" aria-label="Which jobs are shown">
          ${FILTERS.map(
            (name) =>
              html`<button
                key=${name}
                class="chip"
                type="button"
                aria-pressed=${String(filter === name)}
                onClick=${() => setFilter(name)}
              >
                ${name[0]?.toUpperCase()}${name.slice(1)}
              </button>`,
          )}
          <a class="button push" href="#new">New job</a>
        </div>
        ${
          jobs === undefined
            ? html`<p class="empty" aria-busy="true">Asking the market …</p>`
            : jobs.length === 0
              ? html`<${NoJobs} any=${(shown.jobs?.length ?? 0) > 0} />`
              : html`<ul class="rows">
                  ${jobs.map(
                    (job) =>
                      html`<${JobRow}
                        key=${job.jobId}
                        job=${job}
                        now=${now}
                        chosen=${job.jobId === jobId}
                      />`,
                  )}
                </ul>`
        }
        ${
          shown.hasMore &&
          html`<button class="button quiet" type="button" onClick=${() => market.more()}>
            Older jobs
          </button>`
        }
      </section>
      ${
        jobId !== undefined &&
        html`<${JobPanel} key=${jobId} market=${market} jobId=${jobId} now=${now} />`
      }
    </div>
  `;
}

function isWanted(job: JobView, filter: Filter): boolean {
  if (filter === 'all') return true;
  if (filter === 'open') return !isOver(job);
  return filter === 'done' ? job.state === 'completed' : isOver(job) && job.state !== 'completed';
}

function NoJobs({ any }: { readonly any: boolean }): VNode {
  return any
    ? html`<p class="empty">No job is like that.</p>`
    : html`<div class="empty">
        <h2>Nothing has been computed yet</h2>
        <p>A first job takes a minute: a function such as <code>sha256</code> needs no files.</p>
        <a class="button" href="#new">New job</a>
      </div>`;
}

function JobRow({
  job,
  now,
  chosen,
}: {
  readonly job: JobView;
  readonly now: number;
  readonly chosen: boolean;
}): VNode {
  const { state, progress, node, payment, times, attempt, maxAttempts } = job;
  const running = state === 'running';
  const part = running && progress !== null ? progress.ppm : undefined;
  return html`
    <li>
      <a
        class="row"
        href=${`#jobs/${job.jobId}`}
        aria-current=${chosen ? 'true' : undefined}
        data-state=${state}
      >
        <span class="row-title"
          >${titleOf(job)}<small>${job.spec.type} · ${job.spec.kind}</small></span
        >
        <${StateMark} job=${job} />
        <span class="row-where"
          >${node?.name ?? 'no provider yet'}${attempt > 0 ? ` · try ${attempt + 1} of ${maxAttempts}` : ''}</span
        >
        <span class="row-money"
          >${payment.state === 'free' ? 'free' : `${hyper(payment.payout ?? payment.amount, 4)} HYPER`}</span
        >
        <span class="row-time">${timeOf(job, times, now)}</span>
        ${
          running &&
          html`<span
            class=${part === undefined ? 'meter unknown' : 'meter'}
            role="progressbar"
            aria-label="Progress"
            aria-valuenow=${part === undefined ? undefined : Math.floor(part / 10_000)}
            aria-valuemin="0"
            aria-valuemax="100"
            ref=${(element: HTMLElement | null) =>
              element?.style.setProperty('--part', String((part ?? 0) / 1_000_000))}
          ></span>`
        }
      </a>
    </li>
  `;
}

export function StateMark({ job }: { readonly job: JobView }): VNode {
  const { state, substate, progress } = job;
  const tone =
    state === 'completed'
      ? 'good'
      : state === 'failed'
        ? 'bad'
        : state === 'running' || state === 'verifying' || state === 'assigned'
          ? 'busy'
          : 'quiet';
  const part = state === 'running' && progress !== null ? ` ${percent(progress.ppm)}` : '';
  const more = substate !== null && !isOver(job) && part === '' ? ` · ${substate}` : '';
  return html`<span class="mark" data-tone=${tone}
    >${STATE_TEXT[state] ?? state}${part}${more}</span
  >`;
}

const STATE_TEXT: Readonly<Record<string, string>> = {
  pending: 'waits for payment',
  escrowed: 'queued',
  assigned: 'starting',
};

function timeOf(job: JobView, times: JobView['times'], now: number): string {
  const { started = 0, finished = 0, created = 0, closed = 0 } = times;
  if (job.state === 'running' && started > 0) return duration(now - started);
  if (!isOver(job)) return `waits ${duration(now - created)}`;
  const took = started > 0 && finished > started ? ` · ${duration(finished - started)}` : '';
  return `${ago(closed || created, now)}${took}`;
}

function FigureRow({ shown }: { readonly shown: Shown }): VNode {
  const { figures, nodes, samples } = shown;
  const free = nodes?.reduce((sum, node) => sum + (node.status === 'offline' ? 0 : node.free), 0);
  const online = nodes?.filter(({ status }) => status !== 'offline').length;
  const all: readonly (readonly [string, number | undefined])[] = [
    ['running', figures?.runningJobs],
    ['queued', figures?.queuedJobs],
    ['providers online', online],
    ['free slots', free],
  ];
  return html`
    <div class="card figures">
      <dl>
        ${all.map(
          ([name, value]) =>
            html`<div key=${name}>
              <dt>${name}</dt>
              <dd>${value ?? '–'}</dd>
            </div>`,
        )}
      </dl>
      <${Lines} samples=${samples} />
    </div>
  `;
}

/** Milliseconds since 1970, drawn again as it passes. */
function useNow(): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), TICK_MS);
    return () => clearInterval(timer);
  }, []);
  return now;
}
