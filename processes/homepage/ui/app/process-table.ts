/** The table of processes. On a narrow screen each row becomes two lines, see `processes.css`. */
import type { VNode } from 'preact';
import { bytes, duration, percent, rate } from './format.ts';
import { html } from './html.ts';
import { type Column, nameParts, nextOrder, type Order } from './table.ts';
import { isPartOfNode, type Row, type Usage } from './usage.ts';

const HEADS: readonly {
  readonly column: Column;
  readonly label: string;
  readonly title: string;
}[] = [
  { column: 'id', label: 'Process', title: 'Name' },
  { column: 'state', label: 'State', title: 'State' },
  { column: 'cpu', label: 'CPU', title: 'Share of one core' },
  { column: 'memory', label: 'Memory', title: 'Linear memory' },
  { column: 'in', label: 'In/s', title: 'Messages received a second' },
  { column: 'out', label: 'Out/s', title: 'Messages sent a second' },
  { column: 'mailbox', label: 'Mailbox', title: 'Messages waiting' },
  { column: 'uptime', label: 'Uptime', title: 'Since it last started' },
  { column: 'restarts', label: 'Restarts', title: 'Since the node started' },
];

interface TableProps {
  /** Somebody is about to hit a row: none should move away under the pointer. */
  readonly onHold: (held: boolean) => void;
  readonly rows: readonly Row[];
  readonly order: Order;
  readonly selected: string | undefined;
  readonly onOrder: (order: Order) => void;
  readonly onSelect: (id: string) => void;
}

export function ProcessTable({ rows, order, selected, ...on }: TableProps): VNode {
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const links = [...document.querySelectorAll<HTMLElement>('.process-link')];
    const at = links.findIndex((link) => link === document.activeElement);
    if (step === undefined || at < 0) return;
    event.preventDefault();
    links[at + step]?.focus();
  };
  return html`<div
    class="table-place card"
    onMouseEnter=${() => on.onHold(true)}
    onMouseLeave=${() => on.onHold(false)}
  >
    <table class="process-table" onKeyDown=${onKeyDown}>
      <caption class="unseen">
        Processes, by ${HEADS.find(({ column }) => column === order.by)?.label}
      </caption>
      <thead>
        <tr>
          ${HEADS.map(
            ({ column, label, title }) =>
              html`<th
                key=${column}
                scope="col"
                class=${`col-${column}`}
                aria-sort=${order.by === column ? (order.descending ? 'descending' : 'ascending') : undefined}
              >
                <button
                  type="button"
                  title=${title}
                  onClick=${() => on.onOrder(nextOrder(order, column))}
                >
                  ${label}
                </button>
              </th>`,
          )}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) =>
            html`<${Line}
              key=${row.id}
              row=${row}
              selected=${row.id === selected}
              onSelect=${on.onSelect}
            />`,
        )}
      </tbody>
    </table>
  </div>`;
}

interface LineProps {
  readonly row: Row;
  readonly selected: boolean;
  readonly onSelect: (id: string) => void;
}

function Line({ row, selected, onSelect }: LineProps): VNode {
  const { id, usage, cpu, inPerS, outPerS } = row;
  const { name, pkg } = nameParts(id);
  const ours = isPartOfNode(usage);
  const why = ours || usage.state === 'running' ? undefined : (usage.last_end ?? undefined);
  const onClick = (event: MouseEvent): void => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    onSelect(id);
  };
  const quiet = (value: number): string => (value === 0 ? 'quiet' : '');
  return html`<tr class=${selected ? 'selected' : ''} onClick=${onClick}>
    <th scope="row" class="col-id">
      <a
        class="process-link"
        href=${`/processes?id=${id}`}
        aria-current=${selected ? 'true' : undefined}
        title=${id}
        >${name}<small>${pkg}</small>${why !== undefined && html`<small class="why">${why}</small>`}</a
      >
    </th>
    <td class="col-state"><${State} usage=${usage} /></td>
    <td class="col-cpu">
      <span class="meter" style=${{ '--share': shareOf(cpu) }}>${ours ? '' : percent(cpu)}</span>
    </td>
    <td class="col-memory">${ours ? '' : bytes(usage.memory_bytes)}</td>
    <td class=${`col-in ${quiet(inPerS ?? 0)}`}>${ours ? '' : rate(inPerS)}</td>
    <td class=${`col-out ${quiet(outPerS ?? 0)}`}>${ours ? '' : rate(outPerS)}</td>
    <td class=${`col-mailbox ${quiet(usage.mailbox)}`}>${usage.mailbox}</td>
    <td class="col-uptime">${usage.uptime_ms === 0 ? '' : duration(usage.uptime_ms)}</td>
    <td class=${`col-restarts ${quiet(usage.restarts)}`} title=${usage.last_end ?? undefined}>
      ${ours ? '' : usage.restarts}
    </td>
  </tr>`;
}

/** Of the cell's width; nothing where it would be a dot. */
function shareOf(cpu: number | undefined): number {
  return cpu === undefined || cpu < 0.04 ? 0 : Math.min(1, cpu);
}

/** A colour and a word. */
export function State({ usage }: { readonly usage: Usage }): VNode {
  const { state } = usage;
  const kind = isPartOfNode(usage) ? 'node' : state === 'running' ? 'good' : 'warn';
  return html`<span class=${`state ${kind}`}>${state.replaceAll('-', ' ')}</span>`;
}
