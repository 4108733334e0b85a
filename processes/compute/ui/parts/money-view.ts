/** What was paid and earned here, by day, and what can be withdrawn. */
import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import { Days, type DaysProps } from './days.ts';
import { hyper, shortHash } from './format.ts';
import { html, useShown } from './html.ts';
import type { Market } from './market.ts';
import { Unsolved } from './unsolved.ts';
import type { Day, Ledger } from './views.ts';

const HYPER = 1_000_000;
const MONEY: DaysProps['values'] = [
  ({ paid }) => Number(paid) / HYPER,
  ({ earned, fees }) => (Number(earned) + Number(fees)) / HYPER,
];
const JOBS: DaysProps['values'] = [({ jobs }) => jobs, ({ failed }) => failed];

export function MoneyView({ market }: { readonly market: Market }): VNode {
  const { ledger, chain } = useShown(market);
  if (ledger === undefined) return html`<p class="empty" aria-busy="true">Asking the market …</p>`;
  const { days } = ledger;
  return html`
    <div class="money">
      <ul class="totals">
        <${Total} title="Clients paid" amount=${sum(days, 'paid')} of="for jobs of this market" />
        <${Total}
          title="Earned as provider"
          amount=${sum(days, 'earned')}
          of="for jobs that ran here, after fees"
        />
        <${Total}
          title="Earned as coordinator"
          amount=${sum(days, 'fees')}
          of="for finding a provider for others’ jobs"
        />
      </ul>
      ${
        chain === null &&
        html`<p class="trouble calm" role="status">
          This node has no chain: jobs here are free, and nothing is paid or earned.
        </p>`
      }
      <${Days} title="HYPER a day" names=${['paid', 'earned here']} days=${days} values=${MONEY} />
      <${Days}
        title="Jobs a day"
        names=${['all', 'failed']}
        days=${days}
        values=${JOBS}
        whole=${true}
      />
      <${Credits} market=${market} ledger=${ledger} />
      <${Unsolved} />
    </div>
  `;
}

function sum(days: readonly Day[], of: 'paid' | 'earned' | 'fees'): bigint {
  return days.reduce((total, day) => total + BigInt(day[of]), 0n);
}

function Total({
  title,
  amount,
  of,
}: {
  readonly title: string;
  readonly amount: bigint;
  readonly of: string;
}): VNode {
  return html`<li class="card total">
    <h2>${title}</h2>
    <p><strong>${hyper(amount)}</strong> HYPER</p>
    <small>in 30 days, ${of}</small>
  </li>`;
}

function Credits({
  market,
  ledger,
}: {
  readonly market: Market;
  readonly ledger: Ledger;
}): VNode | null {
  const [told, setTold] = useState('');
  if (ledger.credits.length === 0) return null;
  const withdraw = (role: Ledger['credits'][number]['role']): void => {
    setTold('Asking for it …');
    market.withdraw(role).then(
      () => setTold('It is on its way.'),
      (error: Error) => setTold(error.message),
    );
  };
  return html`<section class="card credits" aria-label="To withdraw">
    <h2>To withdraw</h2>
    <ul>
      ${ledger.credits.map(
        ({ role, account, amount }) =>
          html`<li key=${role}>
            <span>as ${role} <small>${shortHash(account)}</small></span>
            <strong>${hyper(amount)} HYPER</strong>
            <button
              class="button quiet"
              type="button"
              disabled=${amount === '0'}
              onClick=${() => withdraw(role)}
            >
              Withdraw
            </button>
          </li>`,
      )}
    </ul>
    <p class="hint">
      The escrow holds it until then, and sends it to that account alone. Stake, and earnings to
      another address: <code>kit provider</code>, with the wallet.
    </p>
    <p class="hint" role="status">${told}</p>
  </section>`;
}
