/** The items that are shown, and how they are put in order: by dragging the handle, or with its keys. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { VNode } from 'preact';
import type { Item, Items } from '../../shared/list.ts';
import type { Filter } from './app.ts';
import { html } from './html.ts';
import { Row } from './row.ts';
import type { Store } from './store.ts';

interface ListProps {
  readonly store: Store;
  readonly items: Items;
  readonly filter: Filter;
  readonly remove: (item: Item) => void;
  /** Says something that cannot be seen otherwise. */
  readonly tell: (text: string) => void;
}

interface Drag {
  readonly id: string;
  readonly pointer: number;
  /** What it would be put in front of. */
  readonly before: string | undefined;
}

export function List({ store, items, filter, remove, tell }: ListProps): VNode {
  const list = useRef<HTMLUListElement>(null);
  const [drag, setDrag] = useState<Drag | undefined>();
  const [spoken, setSpoken] = useState('');
  const shown = visible(drag === undefined ? items : moved(items, drag.id, drag.before), filter);

  /** By so many places among what is shown. */
  const step = (item: Item, by: -1 | 1): void => {
    const at = shown.findIndex(({ id }) => id === item.id);
    const other = shown[at + by];
    if (other === undefined) return;
    const before = by < 0 ? other.id : shown[at + 2]?.id;
    if (!store.change({ kind: 'Move', value: { id: item.id, before } })) return;
    setSpoken(`${item.text}: ${at + by + 1} of ${shown.length}`);
    refocus(list.current, item.id);
  };

  const drop = (): void => {
    setDrag(undefined);
    if (drag === undefined) return;
    const was = items[items.findIndex(({ id }) => id === drag.id) + 1]?.id;
    if (drag.before === was || drag.before === drag.id) return;
    store.change({ kind: 'Move', value: { id: drag.id, before: drag.before } });
  };

  const over = (event: PointerEvent): void => {
    if (drag === undefined || event.pointerId !== drag.pointer) return;
    setDrag({ ...drag, before: rowBelow(list.current, event.clientY, drag.id) });
  };

  useEffect(() => {
    if (drag === undefined) return undefined;
    const cancel = (event: KeyboardEvent): void => {
      if (event.key === 'Escape') setDrag(undefined);
    };
    addEventListener('keydown', cancel);
    return () => removeEventListener('keydown', cancel);
  }, [drag]);

  if (shown.length === 0) {
    return html`<p class="empty">
      ${items.length === 0 ? 'The list is empty. What is first?' : `Nothing is ${filter}.`}
    </p>`;
  }
  return html`
    <div>
      <ul
        class="list"
        ref=${list}
        onPointerMove=${over}
        onPointerUp=${drop}
        onPointerCancel=${() => setDrag(undefined)}
      >
        ${shown.map(
          (item) => html`
            <${Row}
              key=${item.id}
              item=${item}
              dragged=${drag?.id === item.id}
              change=${(change: Parameters<Store['change']>[0]) => store.change(change)}
              remove=${() => {
                focusNext(list.current, item.id);
                remove(item);
              }}
              step=${(by: -1 | 1) => step(item, by)}
              grab=${(event: PointerEvent) => {
                list.current?.setPointerCapture(event.pointerId);
                const next = items[items.findIndex(({ id }) => id === item.id) + 1]?.id;
                setDrag({ id: item.id, pointer: event.pointerId, before: next });
              }}
              tell=${tell}
            />
          `,
        )}
      </ul>
      <p class="unseen" role="status">${spoken}</p>
    </div>
  `;
}

function visible(items: Items, filter: Filter): Items {
  if (filter === 'all') return items;
  return items.filter(({ done }) => done === (filter === 'done'));
}

function moved(items: Items, id: string, before: string | undefined): Items {
  const item = items.find((one) => one.id === id);
  if (item === undefined || before === id) return items;
  const rest = items.filter((one) => one.id !== id);
  const at = before === undefined ? rest.length : rest.findIndex((one) => one.id === before);
  return rest.toSpliced(at < 0 ? rest.length : at, 0, item);
}

/** The first row whose middle is below that height, the dragged one left out. */
function rowBelow(
  list: HTMLUListElement | null,
  clientY: number,
  dragged: string,
): string | undefined {
  for (const row of list?.querySelectorAll<HTMLElement>('[data-id]') ?? []) {
    const { top, height } = row.getBoundingClientRect();
    if (row.dataset['id'] !== dragged && clientY < top + height / 2) return row.dataset['id'];
  }
  return undefined;
}

/** Once the list is drawn anew, the handle that was used has moved. */
function refocus(list: HTMLUListElement | null, id: string): void {
  requestAnimationFrame(() => {
    list?.querySelector<HTMLElement>(`[data-id="${CSS.escape(id)}"] .handle`)?.focus();
  });
}

/** Whoever removes with the keyboard goes on where the item was. */
function focusNext(list: HTMLUListElement | null, id: string): void {
  const rows = [...(list?.querySelectorAll<HTMLElement>('[data-id]') ?? [])];
  const at = rows.findIndex((row) => row.dataset['id'] === id);
  if (rows[at]?.contains(document.activeElement) !== true) return;
  const next = rows[at + 1] ?? rows[at - 1];
  (next?.querySelector<HTMLElement>('input') ?? document.getElementById('new'))?.focus();
}
