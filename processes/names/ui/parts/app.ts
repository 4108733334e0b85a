/** The page: which name, whose it is, and what is written under it. */
import { useEffect, useState } from 'preact/hooks';
import type { VNode } from 'preact';
import { type Found, NAME_CHARS_MAX, type Note } from '../../shared/wire.ts';
import { html, useView } from './html.ts';
import type { Answer, Live } from './live.ts';

export function App({ live }: { readonly live: Live }): VNode {
  const { name, connected, answer } = useView(live);
  const [text, setText] = useState(name);
  useEffect(() => {
    setText(name);
    document.title = name === '' ? 'Names' : `${name} · Names`;
  }, [name]);
  const submit = (event: Event): void => {
    event.preventDefault();
    location.hash = text.trim().toLowerCase();
  };
  return html`
    <main class="page">
      <header class="head">
        <h1>Names</h1>
        <p class="state" data-state=${connected ? 'ok' : 'off'} role="status">
          ${connected ? 'Live' : 'Connecting …'}
        </p>
      </header>
      <form class="ask" onSubmit=${submit}>
        <label class="unseen" for="name">Name</label>
        <input
          id="name"
          value=${text}
          maxlength=${NAME_CHARS_MAX}
          placeholder="alice.os"
          autocomplete="off"
          autocapitalize="none"
          spellcheck=${false}
          onInput=${(event: InputEvent) => setText((event.target as HTMLInputElement).value)}
        />
        <button class="primary" type="submit" disabled=${text.trim() === ''}>Look up</button>
      </form>
      <${Result} name=${name} answer=${answer} />
    </main>
  `;
}

function Result({ name, answer }: { readonly name: string; readonly answer: Answer }): VNode {
  switch (answer.kind) {
    case 'nothing':
      return html`<p class="empty">A name shows whose it is and what is written under it.</p>`;
    case 'waiting':
      return html`<p class="empty" aria-busy="true">Asking the chain …</p>`;
    case 'free':
      return html`<p class="empty">
        Nobody has <strong>${name}</strong>. This page shows it as soon as somebody writes under it.
      </p>`;
    case 'trouble':
      return html`<p class="empty" role="alert">${answer.message}</p>`;
    case 'found':
      return html`<${Shown} found=${answer.found} fresh=${answer.fresh} />`;
  }
}

function Shown({
  found,
  fresh,
}: {
  readonly found: Found;
  readonly fresh: ReadonlySet<string>;
}): VNode {
  const { owner, account, notes, complete } = found;
  return html`
    <section aria-label=${found.name}>
      <dl class="who">
        <dt>Owner</dt>
        <dd>${owner}</dd>
        <dt>Account</dt>
        <dd>${account}</dd>
      </dl>
      ${
        notes.length === 0
          ? html`<p class="empty">Nothing is written under it.</p>`
          : html`<ul class="notes" aria-live="polite">
              ${notes.map(
                (note) =>
                  html`<${Row} key=${note.label} note=${note} fresh=${fresh.has(note.label)} />`,
              )}
            </ul>`
      }
      ${complete ? null : html`<p class="hint">There may be more: not all of its past was to be had.</p>`}
    </section>
  `;
}

function Row({ note, fresh }: { readonly note: Note; readonly fresh: boolean }): VNode {
  const { label, means, data, bytes, block } = note;
  const cut = 2 * bytes > data.length - 2;
  return html`
    <li class="note" data-fresh=${String(fresh)}>
      <span class="label">${label}</span>
      <span class="means">${means ?? 'not what this note should hold'}</span>
      <span class="when">${block === undefined ? '' : `block ${block}`}</span>
      <details>
        <summary>${bytes === 1 ? '1 byte' : `${bytes} bytes`}</summary>
        <code>${data}${cut ? '…' : ''}</code>
      </details>
    </li>
  `;
}
