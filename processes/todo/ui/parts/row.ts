/** One item: done or not, its text, which can be edited in place, its handle, and its end. */
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { VNode } from 'preact';
import { type Change, type Item, TEXT_CHARS_MAX } from '../../shared/list.ts';
import { html } from './html.ts';

interface RowProps {
  readonly item: Item;
  readonly dragged: boolean;
  readonly change: (change: Change) => boolean;
  readonly remove: () => void;
  readonly step: (by: -1 | 1) => void;
  readonly grab: (event: PointerEvent) => void;
}

export function Row({ item, dragged, change, remove, step, grab }: RowProps): VNode {
  const [draft, setDraft] = useState<string | undefined>();
  const input = useRef<HTMLInputElement>(null);
  const editing = draft !== undefined;
  useLayoutEffect(() => {
    if (!editing) return;
    input.current?.focus();
    input.current?.select();
  }, [editing]);

  /** Ends the editing once: the input that goes away loses the focus too. */
  const end = (keep: boolean): void => {
    if (input.current === null || draft === undefined) return;
    const hadFocus = input.current === document.activeElement;
    input.current = null;
    setDraft(undefined);
    if (hadFocus) requestAnimationFrame(() => document.getElementById(`done-${item.id}`)?.focus());
    const text = draft.trim();
    if (!keep) return;
    if (text === '') remove();
    else if (text !== item.text) change({ kind: 'Edit', value: { id: item.id, text } });
  };
  const onDraftKey = (event: KeyboardEvent): void => {
    // Not the Enter that ends a composition.
    if (event.key === 'Enter' && !event.isComposing) end(true);
    if (event.key === 'Escape') end(false);
  };
  const onHandleKey = (event: KeyboardEvent): void => {
    if (event.key !== 'ArrowUp' && event.key !== 'ArrowDown') return;
    event.preventDefault();
    step(event.key === 'ArrowUp' ? -1 : 1);
  };
  const onGrab = (event: PointerEvent): void => {
    if (event.button === 0) grab(event);
  };

  return html`
    <li class="row" data-id=${item.id} data-done=${item.done} data-dragged=${dragged}>
      <button
        class="handle"
        type="button"
        aria-label=${`Move “${item.text}”: arrow keys up and down`}
        title="Drag, or use the arrow keys"
        onPointerDown=${onGrab}
        onKeyDown=${onHandleKey}
      >
        <svg viewBox="0 0 16 16" aria-hidden="true">
          <path d="M5 3.5h.01M11 3.5h.01M5 8h.01M11 8h.01M5 12.5h.01M11 12.5h.01" />
        </svg>
      </button>
      <input
        type="checkbox"
        id=${`done-${item.id}`}
        aria-label=${item.text}
        checked=${item.done}
        onChange=${(event: Event) =>
          change({
            kind: 'Check',
            value: { id: item.id, done: (event.target as HTMLInputElement).checked },
          })}
      />
      ${
        editing
          ? html`<input
              class="draft"
              ref=${input}
              value=${draft}
              maxlength=${TEXT_CHARS_MAX}
              aria-label="Text"
              onInput=${(event: InputEvent) => setDraft((event.target as HTMLInputElement).value)}
              onKeyDown=${onDraftKey}
              onBlur=${() => end(true)}
            />`
          : html`<label
              class="text"
              for=${`done-${item.id}`}
              onDblClick=${(event: MouseEvent) => {
                event.preventDefault();
                setDraft(item.text);
              }}
              >${item.text}</label
            >`
      }
      <button
        class="tool"
        type="button"
        aria-label=${`Edit “${item.text}”`}
        title="Edit"
        onClick=${() => setDraft(item.text)}
      >
        <svg viewBox="0 0 16 16" aria-hidden="true">
          <path d="M10.5 3.5l2 2L6 12l-2.6.6L4 10z" />
        </svg>
      </button>
      <button
        class="tool"
        type="button"
        aria-label=${`Remove “${item.text}”`}
        title="Remove"
        onClick=${remove}
      >
        <svg viewBox="0 0 16 16" aria-hidden="true">
          <path d="M4 4l8 8M12 4l-8 8" />
        </svg>
      </button>
    </li>
  `;
}
