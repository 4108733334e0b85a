/** The widget of the homepage: what is open, to be checked off; the page itself is one click away. */
import type { VNode } from 'preact';
import { html, useSnapshot } from './html.ts';
import type { Store } from './store.ts';

/** More would need to be scrolled. */
const SHOWN_MAX = 6;

export function Widget({ store }: { readonly store: Store }): VNode {
  const { items } = useSnapshot(store);
  const open = items?.filter(({ done }) => !done) ?? [];
  const more = open.length - SHOWN_MAX;
  return html`
    <main class="widget">
      <h1><a href="./" target="_top">To do</a></h1>
      ${
        items === undefined
          ? html`<p class="empty" aria-busy="true">…</p>`
          : open.length === 0
            ? html`<p class="empty">Nothing to do.</p>`
            : html`<ul>
                ${open.slice(0, SHOWN_MAX).map(
                  ({ id, text }) => html`
                    <li key=${id}>
                      <label>
                        <input
                          type="checkbox"
                          onChange=${() => store.change({ kind: 'Check', value: { id, done: true } })}
                        />
                        <span>${text}</span>
                      </label>
                    </li>
                  `,
                )}
              </ul>`
      }
      ${more > 0 ? html`<p class="more"><a href="./" target="_top">${more} more</a></p>` : null}
    </main>
  `;
}
