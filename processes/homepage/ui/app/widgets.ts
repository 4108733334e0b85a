/** Widgets of apps, each in a frame that keeps it to itself. */
import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import { type App, widgetAddress } from './apps.ts';
import { html } from './html.ts';
import { Icon } from './icons.ts';
import { plural } from './format.ts';

const HIDDEN_KEY = 'homepage-hidden-widgets';
/** HTML of an app has an origin of its own; a page of an app is what it would be in a tab, but for leading this one away. */
const SANDBOX_HTML = 'allow-scripts allow-popups allow-popups-to-escape-sandbox';
const SANDBOX_PAGE = `${SANDBOX_HTML} allow-same-origin allow-forms`;

export function Widgets(props: {
  readonly apps: readonly App[];
  readonly theme: string;
}): VNode | undefined {
  const { apps, theme } = props;
  const [hidden, setHidden] = useState(readHidden);
  const widgets = apps.flatMap((app) => {
    const address = widgetAddress(app, theme);
    return address === undefined ? [] : [{ app, address }];
  });
  const shown = widgets.filter(({ app }) => !hidden.includes(app.id));
  if (widgets.length === 0) return undefined;
  const hide = (ids: readonly string[]): void => {
    setHidden(ids);
    storeHidden(ids);
  };
  return html`<section class="widgets" aria-labelledby="widgets-title">
    <h2 id="widgets-title">Widgets</h2>
    <ul>
      ${shown.map(
        ({ app, address }) =>
          html`<li key=${app.id} class="widget card">
            <header>
              <h3>${app.label}</h3>
              <button
                type="button"
                class="icon-button small"
                aria-label=${`Hide the widget ${app.label}`}
                title="Hide"
                onClick=${() => hide([...hidden, app.id])}
              >
                <${Icon} name="eyeOff" />
              </button>
            </header>
            <iframe
              title=${`Widget: ${app.label}`}
              src=${address}
              sandbox=${address.startsWith('/widget?') ? SANDBOX_HTML : SANDBOX_PAGE}
              loading="lazy"
              referrerpolicy="no-referrer"
            ></iframe>
          </li>`,
      )}
    </ul>
    ${
      shown.length < widgets.length &&
      html`<button type="button" class="link-button" onClick=${() => hide([])}>
        Show ${plural(widgets.length - shown.length, 'hidden widget', 'hidden widgets')}
      </button>`
    }
  </section>`;
}

function readHidden(): readonly string[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(HIDDEN_KEY) ?? '[]');
    return Array.isArray(stored) ? stored.filter((id) => typeof id === 'string') : [];
  } catch {
    return [];
  }
}

function storeHidden(ids: readonly string[]): void {
  try {
    localStorage.setItem(HIDDEN_KEY, JSON.stringify(ids));
  } catch {
    // Storage is off in this browser: hidden as long as the page lasts.
  }
}
