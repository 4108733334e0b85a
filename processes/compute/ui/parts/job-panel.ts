/** One job: what it is, how far it is, what it prints and what it left. */
import type { VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { saveOutput } from './downloads.ts';
import { bytes, duration, hyper, shortHash } from './format.ts';
import { html, useShown } from './html.ts';
import { StateMark } from './jobs-view.ts';
import type { Market } from './market.ts';
import { LOG_RECORDS_MAX } from './market.ts';
import { isOver, type JobView, type LogRecord, type RunView, titleOf } from './views.ts';

/** Providers of which is said why they cannot have a job that waits. */
const WAITING_SHOWN = 5;

interface PanelProps {
  readonly market: Market;
  readonly jobId: string;
  readonly now: number;
}

export function JobPanel({ market, jobId, now }: PanelProps): VNode {
  const { logs } = useShown(market);
  const job = market.job(jobId);
  const head = useRef<HTMLHeadingElement>(null);
  // Where the list is not beside it, whoever came by keyboard is taken along.
  useEffect(() => head.current?.focus({ preventScroll: true }), []);
  if (job === undefined) {
    return html`<aside class="panel card" aria-label="Job">
      <p class="empty" aria-busy="true">Asking for ${shortHash(jobId)} …</p>
      <a class="button quiet" href="#jobs">Back</a>
    </aside>`;
  }
  return html`
    <aside class="panel card" aria-label="Job">
      <header>
        <div>
          <h2 ref=${head} tabindex="-1">${titleOf(job)}</h2>
          <${StateMark} job=${job} />
        </div>
        <a class="close" href="#jobs" aria-label="Close" aria-keyshortcuts="Escape">×</a>
      </header>
      <${Why} job=${job} />
      <${Bar} job=${job} />
      <${Facts} job=${job} now=${now} />
      <${Runs} job=${job} />
      <${Actions} market=${market} job=${job} />
      <${Outputs} market=${market} job=${job} />
      <${Log} logs=${logs} job=${job} />
    </aside>
  `;
}

/** States in which what went wrong was another try. */
const UNDER_WAY: ReadonlySet<string> = new Set(['assigned', 'running', 'verifying', 'completed']);

function Why({ job }: { readonly job: JobView }): VNode | null {
  const { error, reason, waiting } = job;
  if (error === null && waiting?.length === 0)
    return html`<p class="waits">No provider is connected.</p>`;
  if (error === null && waiting !== null && waiting !== undefined) {
    const shown = waiting.slice(0, WAITING_SHOWN);
    return html`<div class="waits">
      Nobody can run it now:
      <ul class="why-list">
        ${shown.map(({ node, why }) => html`<li><strong>${node}</strong> ${why}</li>`)}
      </ul>
    </div>`;
  }
  if (error === null && reason === null) return null;
  const before = UNDER_WAY.has(job.state) ? 'Tried before: ' : '';
  return html`<p class="why">
    ${error === null ? reason : html`${before}<strong>${error.code}</strong> ${error.message}`}
  </p>`;
}

function Bar({ job: { state, progress } }: { readonly job: JobView }): VNode | null {
  if (state !== 'running') return null;
  const part = progress === null ? undefined : progress.ppm / 1_000_000;
  return html`<div class="progress">
    <progress max="1" value=${part} aria-label="Progress"></progress>
    ${progress?.note !== undefined && html`<small>${progress.note}</small>`}
  </div>`;
}

function Facts({ job, now }: { readonly job: JobView; readonly now: number }): VNode {
  const { times, payment, node, result, spec } = job;
  const { started = 0, finished = 0, created = 0 } = times;
  const verify = spec.verify?.mode ?? 'exact';
  const facts: (readonly [string, string])[] = [
    ['Provider', node?.name ?? 'none yet'],
    ['Submitted', new Date(created).toLocaleString()],
    ['Ran', started === 0 ? 'not yet' : duration((finished || now) - started)],
    ['Money', moneyText(payment)],
    ['When re-run', verify === 'none' ? 'cannot be compared' : `compared: ${verify}`],
    ['Job', shortHash(job.jobId)],
  ];
  if (result !== null) {
    const { cpuMs = 0, peakMemMiB = 0, gpuMs = 0 } = result.usage;
    facts.push(['Exit code', String(result.exitCode)]);
    facts.push([
      'Used',
      `${duration(cpuMs)} CPU, ${gpuMs > 0 ? `${duration(gpuMs)} GPU, ` : ''}${peakMemMiB} MiB`,
    ]);
    facts.push(['Receipt', shortHash(result.receiptHash)]);
  }
  return html`<dl class="facts">
    ${facts.map(
      ([name, text]) =>
        html`<div key=${name}>
          <dt>${name}</dt>
          <dd>${text}</dd>
        </div>`,
    )}
  </dl>`;
}

function Runs({ job: { replicas = [], majority = 1 } }: { readonly job: JobView }): VNode | null {
  if (replicas.length === 0) return null;
  return html`<section class="outputs" aria-label="Runs">
    <h3>Runs</h3>
    <ul>
      ${replicas.map(
        (run) =>
          html`<li key=${run.index}>
            <span>${run.node ?? 'no provider yet'}</span>
            <span>${runText(run)}</span>
          </li>`,
      )}
    </ul>
    <p class="hint">What ${majority} of ${replicas.length} come to counts.</p>
  </section>`;
}

function runText({ state, agrees, payout, error }: RunView): string {
  const said = agrees === null ? '' : agrees ? ', agrees' : ', differs';
  const paid = payout === null ? '' : `, for ${hyper(payout)} HYPER`;
  return `${error === 'NO_MAJORITY' ? 'does not count' : `${state}${said}`}${paid}`;
}

function moneyText({ state, amount, payout }: JobView['payment']): string {
  if (state === 'free') return 'free';
  const paid = payout === null ? '' : `, ${hyper(payout)} paid out`;
  return `${hyper(amount)} HYPER ${state.replaceAll('_', ' ')}${paid}`;
}

function Actions({ market, job }: { readonly market: Market; readonly job: JobView }): VNode {
  const [problem, setProblem] = useState('');
  const [copied, setCopied] = useState(false);
  const cancel = (): void => {
    market.cancel(job.jobId).catch((error: Error) => setProblem(error.message));
  };
  const copy = (): void => {
    void navigator.clipboard?.writeText(job.jobId).then(() => setCopied(true));
  };
  const canCancel = !isOver(job) && job.state !== 'verifying';
  return html`<div class="actions">
    ${
      canCancel &&
      html`<button class="button quiet dangerous" type="button" onClick=${cancel}>Cancel</button>`
    }
    <button class="button quiet" type="button" onClick=${copy}>
      ${copied ? 'Copied' : 'Copy id'}
    </button>
    ${problem !== '' && html`<p class="problem" role="alert">${problem}</p>`}
  </div>`;
}

function Outputs({
  market,
  job,
}: {
  readonly market: Market;
  readonly job: JobView;
}): VNode | null {
  const [told, setTold] = useState('');
  const { result, jobId } = job;
  if (result === null || result.outputs.length === 0) return null;
  if (result.expired) return html`<p class="hint">Its files were removed after seven days.</p>`;
  const onTheWay = job.state === 'verifying' && job.substate === 'checking';
  const save = (output: (typeof result.outputs)[number]): void => {
    setTold(`Fetching ${output.path} …`);
    saveOutput(market.api, jobId, output).then(
      () => setTold(`${output.path} is what the provider signed.`),
      (error: Error) => setTold(error.message),
    );
  };
  return html`<section class="outputs" aria-label="Files">
    <h3>Files</h3>
    <ul>
      ${result.outputs.map(
        (output) =>
          html`<li key=${output.path}>
            <button
              class="link-button"
              type="button"
              disabled=${onTheWay}
              onClick=${() => save(output)}
            >
              ${output.path}
            </button>
            <span>${bytes(output.size)}</span>
          </li>`,
      )}
    </ul>
    <p class="hint" role="status">${onTheWay ? 'The market fetches and checks them …' : told}</p>
  </section>`;
}

function Log({ logs, job }: { readonly logs: readonly LogRecord[]; readonly job: JobView }): VNode {
  const place = useRef<HTMLDivElement>(null);
  const [atEnd, setAtEnd] = useState(true);
  useEffect(() => {
    const element = place.current;
    if (atEnd && element !== null) element.scrollTop = element.scrollHeight;
  }, [logs, atEnd]);
  const onScroll = (): void => {
    const element = place.current;
    if (element === null) return;
    setAtEnd(element.scrollHeight - element.scrollTop - element.clientHeight < 24);
  };
  const lines = logs.filter(({ stream }) => stream !== 3);
  return html`<section class="log-side" aria-label="Log">
    <h3>Log</h3>
    ${
      lines.length === 0
        ? html`<p class="hint">
            ${isOver(job) ? 'It printed nothing.' : 'Nothing is printed yet.'}
          </p>`
        : html`<div class="log" ref=${place} onScroll=${onScroll} tabindex="0" role="log">
            ${
              logs.length >= LOG_RECORDS_MAX &&
              html`<p class="hint">Only the end is shown; kit job logs has all of it.</p>`
            }
            ${lines.map(
              ({ seq, stream, text }) =>
                html`<pre key=${seq} class=${stream === 2 ? 'err' : ''}>
${text.replace(/\n$/, '')}</pre>`,
            )}
          </div>`
    }
  </section>`;
}
