/** Who runs jobs: their machines, what is free, what they cost and how they have done; and how this machine becomes one of them. */
import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import { ago, hyper, plural } from './format.ts';
import { html, useShown } from './html.ts';
import type { Market } from './market.ts';
import { Unsolved } from './unsolved.ts';
import type { Free, Gpu, NodeView } from './views.ts';

export function ProvidersView({ market }: { readonly market: Market }): VNode {
  const { nodes } = useShown(market);
  return html`
    <div class="columns">
      <section aria-label="Providers">
        <h2>Providers</h2>
        ${
          nodes === undefined
            ? html`<p class="empty" aria-busy="true">Asking the market …</p>`
            : nodes.length === 0
              ? html`<p class="empty">None is known yet.</p>`
              : html`<ul class="providers">
                  ${nodes.map(
                    (node) =>
                      html`<${Provider} key=${node.nodeId} market=${market} node=${node} />`,
                  )}
                </ul>`
        }
        <${AddNode} market=${market} />
      </section>
      <div class="aside">
        <${SetUp} />
        <${WhoIsFree} market=${market} />
        <${Unsolved} />
      </div>
    </div>
  `;
}

function Provider({ market, node }: { readonly market: Market; readonly node: NodeView }): VNode {
  const [problem, setProblem] = useState('');
  const { device, status, slots, free, reputation, registry, seenAt, prices, sharedWith } = node;
  const host = device?.host;
  const remove = (): void => {
    market.removeNode(node.nodeId).catch((error: Error) => setProblem(error.message));
  };
  const gpus = gpusText(device?.gpus ?? []);
  return html`<li class="card provider">
    <header>
      <h3>${node.node}</h3>
      <span
        class="mark"
        data-tone=${status === 'online' ? 'good' : status === 'busy' ? 'busy' : 'quiet'}
        >${status}</span
      >
      ${
        node.node !== market.shown.our &&
        html`<button
          class="link-button push"
          type="button"
          onClick=${remove}
          aria-label=${`Remove ${node.node}`}
        >
          Remove
        </button>`
      }
    </header>
    <p class="machine">
      ${host === undefined ? 'Nothing is known of its machine.' : `${gpus}${host.cpuModel}, ${host.cpuThreads} threads, ${Math.round(host.memMiB / 1_024)} GB`}
    </p>
    ${
      sharedWith.length > 0 &&
      html`<p class="problem">
        It names a GPU that ${sharedWith.join(', ')} names too: one machine, or one of them lies.
      </p>`
    }
    <dl class="facts">
      <div>
        <dt>Slots</dt>
        <dd>${slots === 0 ? '–' : `${free} of ${slots} free`}</dd>
      </div>
      <div>
        <dt>Reputation</dt>
        <dd>${reputation} of 1000</dd>
      </div>
      <div>
        <dt>Runs</dt>
        <dd>${runnersOf(device?.runners ?? {})}</dd>
      </div>
      <div>
        <dt>Stake</dt>
        <dd>
          ${registry === null ? 'none: free jobs only' : `${hyper(registry.stake, 2)} HYPER${registry.slashes > 0 ? `, slashed ${registry.slashes} times` : ''}`}
        </dd>
      </div>
      <div>
        <dt>Price</dt>
        <dd>${pricesText(prices)}</dd>
      </div>
      <div>
        <dt>Heard</dt>
        <dd>${seenAt === 0 ? 'never' : ago(seenAt, Date.now())}</dd>
      </div>
    </dl>
    ${problem !== '' && html`<p class="problem" role="alert">${problem}</p>`}
  </li>`;
}

function gpusText(gpus: readonly Gpu[]): string {
  if (gpus.length === 0) return 'No GPU. ';
  const [first] = gpus;
  return `${plural(gpus.length, 'GPU')}: ${first?.name ?? ''}${gpus.length > 1 ? ' and others' : ''}. `;
}

function runnersOf(runners: Readonly<Record<string, unknown>>): string {
  const names = Object.entries(runners).flatMap(([name, has]) => (has ? [name] : []));
  return names.length === 0 ? '–' : names.join(', ');
}

function pricesText(prices: Readonly<Record<string, string>>): string {
  const own = Object.entries(prices).map(([name, price]) => `${name} ${hyper(price, 3)}/h`);
  return own.length === 0 ? 'as the network’s' : own.join(', ');
}

function AddNode({ market }: { readonly market: Market }): VNode {
  const [name, setName] = useState('');
  const [told, setTold] = useState('');
  const add = (event: Event): void => {
    event.preventDefault();
    setTold('Asking it …');
    market.addNode(name.trim()).then(
      () => {
        setName('');
        setTold('');
      },
      (error: Error) => setTold(error.message),
    );
  };
  return html`<form class="add" onSubmit=${add}>
    <label for="node">Add a provider by the name of its node</label>
    <div class="line">
      <input
        id="node"
        value=${name}
        placeholder="bob.os"
        spellcheck=${false}
        autocapitalize="none"
        onInput=${(event: Event) => setName((event.currentTarget as HTMLInputElement).value)}
      />
      <button class="button quiet" type="submit" disabled=${name.trim() === ''}>Add</button>
    </div>
    <p class="hint" role="status">${told}</p>
  </form>`;
}

/** The same three as in docs/compute.md. */
function SetUp(): VNode {
  const node = location.origin.replace(/\/\/[^/]*?localhost/, '//localhost');
  return html`<section class="card set-up" aria-label="Make this machine a provider">
    <h2>Make a machine a provider</h2>
    <ol>
      <li>Start a node on it<code>npm start</code></li>
      <li>
        Start what runs the jobs, beside it<code>hyperloom extension gpu --node ${node}</code>
      </li>
      <li>Try it<code>kit job submit --fn echo --args '{"text":"hello"}'</code></li>
    </ol>
    <p class="hint">
      The node prints the second line with its own paths. Paid jobs take a wallet and a stake too:
      <code>docs/jobs.md</code>.
    </p>
  </section>`;
}

const FREE: readonly (readonly [Free, string])[] = [
  ['Owner', 'Only you and programs of this node'],
  ['Nodes', 'Programs of other nodes too'],
  ['Everybody', 'Everybody'],
];

function WhoIsFree({ market }: { readonly market: Market }): VNode {
  const { free, chain } = useShown(market);
  const [problem, setProblem] = useState('');
  const choose = (event: Event): void => {
    // Proof of the type: the options are those.
    const chosen = (event.currentTarget as HTMLSelectElement).value as Free;
    market.setFree(chosen).catch((error: Error) => setProblem(error.message));
  };
  return html`<section class="card settings" aria-label="Settings">
    <div class="field">
      <label for="free">Free jobs at this market are for</label>
      <select id="free" value=${free ?? 'Owner'} disabled=${free === undefined} onChange=${choose}>
        ${FREE.map(([value, text]) => html`<option key=${value} value=${value}>${text}</option>`)}
      </select>
      <small>
        ${chain === null ? 'Others cannot pay here: this node has no chain.' : chain === undefined ? '' : `Others pay, on chain ${chain}.`}
      </small>
    </div>
    ${problem !== '' && html`<p class="problem" role="alert">${problem}</p>`}
  </section>`;
}
