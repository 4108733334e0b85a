/** Apps opened in place: each keeps running in its frame while another one, or the home page, is in front of it. */
import type { VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import {
  frameAddress,
  hashOf,
  linkRequestIn,
  type OpenApp,
  opensInTabs,
  PATHS,
} from './address.ts';
import type { App } from './apps.ts';
import { html } from './html.ts';
import { Icon } from './icons.ts';
import { useKeys } from './keys.ts';
import { goTo, place, push } from './place.ts';
import { apps } from './registry.ts';
import { useStore } from './store.ts';

/** Apps that are kept in frames; the one that was in front longest ago gives way. */
export const FRAMES_MAX = 6;

interface Frame {
  readonly app: App;
  readonly address: string;
}

/** Whether apps open in tabs here, see `opensInTabs`. */
export const inTabs = opensInTabs(location.hostname);

export function open(app: App): void {
  if (inTabs) window.open(app.path ?? '/', '_blank', 'noopener');
  else openInPlace({ id: app.id, path: '' });
}

function openInPlace(wanted: OpenApp): void {
  push(`${PATHS.home}${hashOf(wanted)}`);
}

export function Frames(): VNode {
  const { open: wanted } = useStore(place);
  const known = useStore(apps);
  const [frames, setFrames] = useState<readonly Frame[]>([]);
  const box = useRef<HTMLDivElement>(null);
  const app = known?.find(({ id }) => id === wanted?.id);
  useEffect(() => {
    if (app === undefined || wanted === undefined) return;
    const address = frameAddress(app, wanted.path);
    // A link that leads into an app, opened where apps open in tabs.
    if (inTabs) location.replace(address);
    else setFrames((old) => withFrame(old, { app, address }, wanted.path));
  }, [wanted?.id, wanted?.path, app?.path]);
  useEffect(() => {
    const onMessage = ({ source, data }: MessageEvent): void => {
      const ours = [...(box.current?.querySelectorAll('iframe') ?? [])];
      if (!ours.some(({ contentWindow }) => contentWindow === source)) return;
      const asked = linkRequestIn(data, apps.value ?? [], location.origin);
      if (asked === undefined) return;
      if ('app' in asked) openInPlace(asked.app);
      else window.open(asked.tab, '_blank', 'noopener');
    };
    addEventListener('message', onMessage);
    return () => removeEventListener('message', onMessage);
  }, []);
  useKeys(wanted === undefined ? {} : { Escape: () => goTo('home') });
  const close = (id: string): void => {
    setFrames(frames.filter((frame) => frame.app.id !== id));
    goTo('home');
  };
  return html`<div class="frames" ref=${box} hidden=${wanted === undefined || inTabs}>
    ${
      wanted !== undefined &&
      html`<div class="frame-bar">
        <button
          type="button"
          class="icon-button"
          aria-label="Back to the home page"
          onClick=${() => goTo('home')}
        >
          <${Icon} name="back" />
        </button>
        <h1>${app?.label ?? wanted.id}</h1>
        ${
          app !== undefined &&
          html`<a
            class="icon-button"
            href=${app.path}
            target="_blank"
            rel="noopener"
            aria-label="Open in a new tab"
            ><${Icon} name="open"
          /></a>`
        }
        <button
          type="button"
          class="icon-button"
          aria-label="Close the app"
          onClick=${() => close(wanted.id)}
        >
          <${Icon} name="close" />
        </button>
      </div>`
    }
    ${
      wanted !== undefined &&
      app === undefined &&
      html`<p class="empty">
        ${known === undefined ? 'Loading…' : `${wanted.id} is not among the apps of this node.`}
      </p>`
    }
    ${frames.map(
      (frame) =>
        html`<iframe
          key=${frame.app.id}
          title=${frame.app.label}
          src=${frame.address}
          hidden=${frame.app.id !== wanted?.id}
          allow="clipboard-write; fullscreen"
        ></iframe>`,
    )}
  </div>`;
}

/** An app that has a frame keeps it as it is, unless it is led to a path. */
function withFrame(frames: readonly Frame[], wanted: Frame, path: string): readonly Frame[] {
  const old = frames.find(({ app }) => app.id === wanted.app.id);
  const kept = old !== undefined && path === '' ? old : wanted;
  const others = frames.filter((frame) => frame !== old);
  // Moving an iframe in the document would load it anew: the others keep their places.
  return old === undefined
    ? [...others.slice(-(FRAMES_MAX - 1)), kept]
    : frames.map((frame) => (frame === old ? kept : frame));
}
