/** A new job: what is to be run, what it would cost while one types, and the button that sends it. */
import type { VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { type Draft, EMPTY, type Made, specOf } from './draft.ts';
import { DraftForm } from './draft-form.ts';
import { upload } from './files.ts';
import { hyper, plural } from './format.ts';
import { html } from './html.ts';
import type { Market } from './market.ts';
import { go } from './route.ts';
import { Unsolved } from './unsolved.ts';
import type { Quote } from './views.ts';

/** After the last key, in milliseconds. */
const QUOTE_MS = 350;

export function NewView({ market }: { readonly market: Market }): VNode {
  const [draft, setDraft] = useState<Draft>(EMPTY);
  const [sending, setSending] = useState<string | undefined>();
  const [problem, setProblem] = useState('');
  const made = specOf(draft);
  const submit = (event: Event): void => {
    event.preventDefault();
    if (!made.ok || sending !== undefined) return;
    setProblem('');
    send(market, draft, setSending).then(
      (jobId) => go('jobs', jobId),
      (error: Error) => {
        setSending(undefined);
        setProblem(error.message);
      },
    );
  };
  return html`
    <form class="new" onSubmit=${submit} aria-label="New job">
      <${DraftForm}
        draft=${draft}
        change=${(part: Partial<Draft>) => setDraft({ ...draft, ...part })}
      />
      <div class="aside">
        <${Estimate} market=${market} made=${made} />
        <button class="button wide" type="submit" disabled=${!made.ok || sending !== undefined}>
          ${sending ?? 'Submit'}
        </button>
        ${problem !== '' && html`<p class="problem" role="alert">${problem}</p>`}
        <${Unsolved} open=${true} />
      </div>
    </form>
  `;
}

/** Sends its files, then the job. @returns its id */
async function send(market: Market, draft: Draft, tell: (text: string) => void): Promise<string> {
  const made = specOf(draft);
  if (!made.ok) throw new Error(made.problem);
  const files = draft.module === undefined ? draft.inputs : [...draft.inputs, draft.module];
  for (const file of draft.kind === 'spec' ? [] : files) {
    tell(`Sending ${file.file.name} …`);
    await upload(market.api, file, (share) =>
      tell(`Sending ${file.file.name} ${Math.floor(share * 100)} %`),
    );
  }
  tell('Submitting …');
  const { jobId } = await market.api.json<{ jobId: string }>('api/facilitator/submit-job', {
    method: 'POST',
    body: { spec: made.spec, intentId: intentId() },
  });
  await market.submitted(jobId);
  return jobId;
}

/** Random; `randomUUID` is there on this machine and over TLS only. */
function intentId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function Estimate({ market, made }: { readonly market: Market; readonly made: Made }): VNode {
  const quote = useQuote(market, made);
  return html`<section class="card estimate" aria-label="Estimate" aria-live="polite">
    <h2>Estimate</h2>
    ${
      !made.ok
        ? html`<p class="hint">${made.problem}</p>`
        : quote === undefined
          ? html`<p class="hint" aria-busy="true">Asking …</p>`
          : typeof quote === 'string'
            ? html`<p class="problem">${quote}</p>`
            : html`<${Quoted} quote=${quote} />`
    }
  </section>`;
}

function Quoted({ quote }: { readonly quote: Quote }): VNode {
  const { node, price, class: kind, suited, free, unsuited, replicas } = quote;
  if (node === null) {
    return html`<div>
      <p class="problem">Nobody can run this now. It would wait until somebody can.</p>
      <ul class="why-list">
        ${unsuited.map((one) => html`<li key=${one.node}><strong>${one.node}</strong> ${one.why}</li>`)}
      </ul>
    </div>`;
  }
  return html`<div>
    <p class="price"><strong>${hyper(price)}</strong> HYPER at most</p>
    <p class="hint">
      That is what a client pays for
      ${replicas > 1 ? `${replicas} runs, each by another operator (${kind})` : kind}. Your own jobs
      at your own node are free.
    </p>
    <p class="hint">
      ${`${plural(suited, 'provider')} can run it, ${free === 0 ? 'none of them at once' : `${free} at once`}.`}
    </p>
  </div>`;
}

/** What the market says of the spec; a text says why it does not. */
function useQuote(market: Market, made: Made): Quote | string | undefined {
  const [quote, setQuote] = useState<Quote | string | undefined>();
  const text = made.ok ? JSON.stringify(made.spec) : '';
  useEffect(() => {
    setQuote(undefined);
    if (text === '') return undefined;
    let over = false;
    const timer = setTimeout(() => {
      const body = { spec: JSON.parse(text) as object };
      market.api.json<Quote>('api/quote', { method: 'POST', body }).then(
        (found) => over || setQuote(found),
        (error: Error) => over || setQuote(error.message),
      );
    }, QUOTE_MS);
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [market, text]);
  return quote;
}
