/** What this market cannot promise, said where somebody decides (compute-market.md §8.3). */
import type { VNode } from 'preact';
import { html } from './html.ts';

const UNSOLVED: readonly (readonly [string, string])[] = [
  [
    'Whoever runs the job can read it.',
    'Inputs, program and results are open to the provider: there is no enclave. Send nothing that must stay secret.',
  ],
  [
    'GPU results are close, not equal.',
    'Two GPUs may round differently, so such results can only be compared within a tolerance; a small lie inside it is not seen.',
  ],
  [
    'The verifiers decide.',
    'A dishonest majority of them can release or refund the money of a job as it likes. It cannot send it to anybody else.',
  ],
  [
    'An old result passes for a new one.',
    'For exact jobs a provider may answer from its cache. The result is right, the work was not done again.',
  ],
  [
    'Hardware is believed on evidence.',
    'What a provider says about its GPUs is checked by samples and by how fast it is, not proven.',
  ],
];

export function Unsolved({ open = false }: { readonly open?: boolean }): VNode {
  return html`<details class="card unsolved" open=${open}>
    <summary>What is not solved</summary>
    <dl>
      ${UNSOLVED.map(
        ([what, why]) =>
          html`<div key=${what}>
            <dt>${what}</dt>
            <dd>${why}</dd>
          </div>`,
      )}
    </dl>
  </details>`;
}
