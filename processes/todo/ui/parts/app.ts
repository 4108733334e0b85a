/** The page: what to add, the list, what is shown of it, and what went wrong. */
import { useEffect, useState } from 'preact/hooks';
import type { VNode } from 'preact';
import { type Item, TEXT_CHARS_MAX } from '../../shared/list.ts';
import { html, useSnapshot } from './html.ts';
import { newId } from './new-id.ts';
import { List } from './list-view.ts';
import type { Snapshot, Store } from './store.ts';

export type Filter = 'all' | 'open' | 'done';
const FILTERS: readonly (readonly [Filter, string])[] = [
  ['all', 'All'],
  ['open', 'Open'],
  ['done', 'Done'],
];
/** How long a note can be read, in milliseconds. */
const NOTE_MS = 7_000;

/** What happened, with what undoes it. */
interface Note {
  readonly text: string;
  readonly undo?: () => void;
}

export function App({ store }: { readonly store: Store }): VNode {
  const snapshot = useSnapshot(store);
  const [filter, setFilter] = useState<Filter>('all');
  const [note, setNote] = useState<Note | undefined>();
  useEffect(() => store.onRefused((text) => setNote({ text })), [store]);
  useEffect(() => {
    if (note === undefined) return undefined;
    const timer = setTimeout(() => setNote(undefined), NOTE_MS);
    return () => clearTimeout(timer);
  }, [note]);
  const { items } = snapshot;
  const open = items?.filter(({ done }) => !done).length ?? 0;
  useEffect(() => {
    document.title = open === 0 ? 'To do' : `(${open}) To do`;
  }, [open]);

  const remove = (item: Item): void => {
    const at = items?.findIndex(({ id }) => id === item.id) ?? -1;
    const before = items?.[at + 1]?.id;
    if (!store.change({ kind: 'Remove', value: item.id })) return;
    // Under a name of its own: the old one may still be on its way out elsewhere.
    const back = { ...item, id: newId() };
    const undo = (): void => void store.change({ kind: 'Add', value: { item: back, before } });
    setNote({ text: `“${item.text}” is removed`, undo });
  };

  return html`
    <main class="page">
      <header class="head">
        <h1>To do</h1>
        <${State} ...${snapshot} />
      </header>
      <${Add} store=${store} disabled=${items === undefined} />
      <div class="bar">
        <p class="count" role="status">${countText(items?.length, open)}</p>
        <${Filters} chosen=${filter} choose=${setFilter} />
      </div>
      ${
        items === undefined
          ? html`<p class="empty" aria-busy="true">Asking for the list …</p>`
          : html`<${List}
              store=${store}
              items=${items}
              filter=${filter}
              remove=${remove}
              tell=${(text: string) => setNote({ text })}
            />`
      }
      ${
        items !== undefined && items.length > 0
          ? html`<footer class="foot">
              <a class="quiet" href="export.txt" download>Export as text</a>
              <button
                class="quiet"
                type="button"
                disabled=${open === items.length}
                onClick=${() => store.change({ kind: 'Tidy' })}
              >
                Remove what is done
              </button>
            </footer>`
          : null
      }
      <${NoteBar} note=${note} dismiss=${() => setNote(undefined)} />
    </main>
  `;
}

function State({ connected, undecided }: Snapshot): VNode {
  const text = connected
    ? undecided === 0
      ? 'Saved'
      : 'Saving …'
    : undecided === 0
      ? 'Connecting …'
      : `Offline, ${undecided} to save`;
  const state = connected ? (undecided === 0 ? 'ok' : 'busy') : 'off';
  return html`<p class="state" data-state=${state} role="status">${text}</p>`;
}

function Add({ store, disabled }: { readonly store: Store; readonly disabled: boolean }): VNode {
  const [text, setText] = useState('');
  const submit = (event: Event): void => {
    event.preventDefault();
    const written = text.trim();
    if (written === '') return;
    const item = { id: newId(), text: written, done: false };
    if (store.change({ kind: 'Add', value: { item, before: undefined } })) setText('');
  };
  return html`
    <form class="add" onSubmit=${submit}>
      <label class="unseen" for="new">What is to be done?</label>
      <input
        id="new"
        value=${text}
        maxlength=${TEXT_CHARS_MAX}
        placeholder="What is to be done?"
        autocomplete="off"
        enterkeyhint="done"
        disabled=${disabled}
        onInput=${(event: InputEvent) => setText((event.target as HTMLInputElement).value)}
      />
      <button class="primary" type="submit" disabled=${disabled || text.trim() === ''}>Add</button>
    </form>
  `;
}

function Filters({
  chosen,
  choose,
}: {
  readonly chosen: Filter;
  readonly choose: (filter: Filter) => void;
}): VNode {
  return html`
    <fieldset class="filters">
      <legend class="unseen">Show</legend>
      ${FILTERS.map(
        ([filter, label]) => html`
          <label key=${filter}>
            <input
              type="radio"
              name="filter"
              class="unseen"
              checked=${filter === chosen}
              onChange=${() => choose(filter)}
            />
            <span>${label}</span>
          </label>
        `,
      )}
    </fieldset>
  `;
}

function NoteBar({
  note,
  dismiss,
}: {
  readonly note: Note | undefined;
  readonly dismiss: () => void;
}): VNode {
  const undo = (): void => {
    note?.undo?.();
    dismiss();
  };
  return html`
    <div class="notes" role="status" aria-live="polite">
      ${
        note === undefined
          ? null
          : html`<div class="note">
              <span>${note.text}</span>
              ${
                note.undo === undefined
                  ? null
                  : html`<button type="button" onClick=${undo}>Undo</button>`
              }
              <button type="button" aria-label="Dismiss" onClick=${dismiss}>✕</button>
            </div>`
      }
    </div>
  `;
}

function countText(all: number | undefined, open: number): string {
  if (all === undefined) return '';
  if (all === 0) return 'Nothing to do';
  if (open === 0) return 'All done';
  return `${open} of ${all} open`;
}
