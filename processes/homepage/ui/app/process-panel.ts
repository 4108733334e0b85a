/** One process: its figures over time, what it may do, why it last ended; ending it and starting it anew. */
import type { VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { get, messageOf, post } from './api.ts';
import { bytes, count, duration, percent, rate } from './format.ts';
import { html } from './html.ts';
import { Icon } from './icons.ts';
import type { SeriesName } from './history.ts';
import { history, monitor } from './monitor.ts';
import { ask, tell } from './notices.ts';
import { Plot } from './plot.ts';
import { State } from './process-table.ts';
import {
  capabilityGroups,
  type CapabilityGroup,
  descriptionIn,
  type Description,
} from './rights.ts';
import { nameParts } from './table.ts';
import { isPartOfNode, type Row, type Usage } from './usage.ts';

interface PanelProps {
  readonly id: string;
  /** Undefined when there is no such process, any more. */
  readonly row: Row | undefined;
  readonly atMs: number;
  readonly onClose: () => void;
}

export function ProcessPanel({ id, row, atMs, onClose }: PanelProps): VNode {
  const { name, pkg } = nameParts(id);
  const head = useRef<HTMLHeadingElement>(null);
  useEffect(() => head.current?.focus(), []);
  return html`<aside class="panel card" aria-labelledby="panel-title">
    <header>
      <div>
        <h2 id="panel-title" tabindex="-1" ref=${head}>${name}</h2>
        <p class="panel-package">${pkg}</p>
      </div>
      ${row !== undefined && html`<${State} usage=${row.usage} />`}
      <button
        type="button"
        class="icon-button"
        aria-label="Close the details"
        title="Close (Esc)"
        onClick=${onClose}
      >
        <${Icon} name="close" />
      </button>
    </header>
    ${
      row === undefined
        ? html`<p class="empty">It does not run, and the node does not know it any more.</p>`
        : html`<${Actions} row=${row} /><${Reason} usage=${row.usage} /><${Plots}
              row=${row}
              atMs=${atMs}
            /><${Facts} row=${row} /><${Rights} id=${id} held=${row.usage.capabilities} />`
    }
    <a class="panel-logs" href=${`/logs?process=${id}`}>What it printed</a>
  </aside>`;
}

function Actions({ row }: { readonly row: Row }): VNode {
  const { id, usage } = row;
  const { name } = nameParts(id);
  if (isPartOfNode(usage)) {
    return html`<p class="hint">It is a part of the node, and ends with it.</p>`;
  }
  const command = async (path: string, done: string): Promise<void> => {
    try {
      await post(path, { id });
      tell(done);
      monitor.now();
    } catch (error) {
      tell(messageOf(error), { bad: true });
    }
  };
  const restart = (): void =>
    ask({
      title: `Restart ${name}?`,
      text: 'It ends at once, whatever it is doing, and a fresh instance takes its place. It keeps what it has stored, and its capabilities.',
      action: 'Restart',
      danger: false,
      onYes: () => void command('/api/restart', `${name} was restarted`),
    });
  const kill = (): void =>
    ask({
      title: `Kill ${name}?`,
      text: 'It ends at once, whatever it is doing, loses its capabilities and does not come back by itself: its package has to be installed again. Packages that belong to the node are, at its next start.',
      action: 'Kill',
      danger: true,
      onYes: () => void command('/api/kill', `${name} was killed`),
    });
  return html`<div class="actions">
    <button type="button" class="button quiet" onClick=${restart}>Restart…</button>
    <button type="button" class="button quiet dangerous" onClick=${kill}>Kill…</button>
  </div>`;
}

function Reason({ usage }: { readonly usage: Usage }): VNode | undefined {
  const { last_end: reason, restarts } = usage;
  if (reason === undefined || reason === null) return undefined;
  const times =
    restarts === 0 ? '' : restarts === 1 ? ', restarted once' : `, restarted ${restarts} times`;
  return html`<p class="reason"><strong>Last end${times}</strong><span>${reason}</span></p>`;
}

function Plots({ row, atMs }: { readonly row: Row; readonly atMs: number }): VNode | undefined {
  if (isPartOfNode(row.usage)) return undefined;
  const { values, atMs: times } = history.series(row.id, atMs);
  const lines = (...names: SeriesName[]) => names.map((name) => ({ name, values: values[name] }));
  const common = { nowMs: atMs, times };
  return html`<div class="plots">
    <${Plot}
      ...${common}
      title="CPU"
      now=${percent(row.cpu)}
      lines=${lines('cpu')}
      unit=${axisPercent}
    />
    <${Plot}
      ...${common}
      title="Memory"
      now=${bytes(row.usage.memory_bytes)}
      lines=${lines('memory')}
      unit=${bytes}
      steps=${BINARY_STEPS}
    />
    <${Plot}
      ...${common}
      title="Messages/s"
      now=${`${rate(row.inPerS)} in, ${rate(row.outPerS)} out`}
      lines=${lines('in', 'out')}
      unit=${count}
    />
  </div>`;
}

/** 1 KB, 2 KB, 4 KB … 512 GB. */
const BINARY_STEPS = Array.from({ length: 30 }, (_, power) => 1_024 * 2 ** power);

function axisPercent(share: number): string {
  return `${Math.round(share * 1_000) / 10} %`;
}

function Facts({ row }: { readonly row: Row }): VNode {
  const { usage } = row;
  const { package: pkg } = usage;
  const facts: readonly (readonly [string, string])[] = [
    ['Uptime', usage.uptime_ms === 0 ? 'not running' : duration(usage.uptime_ms)],
    ['Restarts', String(usage.restarts)],
    ['CPU time', duration(usage.cpu_ms)],
    ['Fuel', `${count(usage.fuel)}, ${rate(row.fuelPerS)}/s`],
    ['Received', count(usage.messages_received)],
    ['Sent', count(usage.messages_sent)],
    ['Mailbox', `${usage.mailbox}, ${bytes(usage.mailbox_bytes)}`],
    ['Under way', `${usage.queued_operations} at modules`],
  ];
  const ofPackage: readonly (readonly [string, string])[] =
    pkg === undefined
      ? []
      : [
          ['Disk of its package', diskOf(pkg)],
          ['Open files', String(pkg.open_handles)],
        ];
  return html`<dl class="facts">
    ${[...facts, ...ofPackage].map(
      ([what, value]) =>
        html`<div key=${what}>
          <dt>${what}</dt>
          <dd>${value}</dd>
        </div>`,
    )}
  </dl>`;
}

function diskOf({ disk_bytes: used, disk_bytes_max: max }: NonNullable<Usage['package']>): string {
  const now = used === null ? 'being counted' : bytes(used);
  return max === null ? now : `${now} of ${bytes(max)}`;
}

/** Asked for when the panel opens, and when their number changes. */
function Rights({ id, held }: { readonly id: string; readonly held: number }): VNode {
  const [about, setAbout] = useState<Description | string>();
  useEffect(() => {
    let current = true;
    const found = get(`/api/process?id=${encodeURIComponent(id)}`).then(
      (answer) => descriptionIn(answer) ?? 'The node does not know it any more',
    );
    void found.catch(messageOf).then((shown) => current && setAbout(shown));
    return () => {
      current = false;
    };
  }, [id, held]);
  return html`<section class="rights">
    <h3>Capabilities</h3>
    ${
      about === undefined
        ? html`<p class="hint">Asking…</p>`
        : typeof about === 'string'
          ? html`<p class="hint">${about}.</p>`
          : html`<${RightsList} about=${about} />`
    }
  </section>`;
}

function RightsList({ about }: { readonly about: Description }): VNode {
  const groups = capabilityGroups(about);
  return html`<div>
    <p class="hint">
      ${`${about.isPublic ? 'Every process of this node may message it. ' : ''}When it ends, ${about.onExit}.`}
    </p>
    ${groups.length === 0 && html`<p class="hint">It holds none.</p>`}
    <ul>
      ${groups.map(
        ({ issuer, params }: CapabilityGroup) =>
          html`<li key=${issuer}>
            <code>${issuer}</code>
            ${params.map((one) => html`<span key=${one} class="right">${one}</span>`)}
          </li>`,
      )}
    </ul>
  </div>`;
}
