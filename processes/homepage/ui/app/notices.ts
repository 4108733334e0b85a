/** What the page says beside what it shows: spoken notices, errors that pass, and questions that must be answered. */
import type { VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { html } from './html.ts';
import { Store, useStore } from './store.ts';

/** How long an error stays, ms. */
export const TOAST_MS = 6_000;

export interface Question {
  readonly title: string;
  readonly text: string;
  /** What the button says that does it. */
  readonly action: string;
  readonly danger: boolean;
  readonly onYes: () => void;
}

const said = new Store('');
const toast = new Store<{ readonly text: string; readonly bad: boolean } | undefined>(undefined);
const question = new Store<Question | undefined>(undefined);
let toastTimer: ReturnType<typeof setTimeout> | undefined;

/** For those who listen instead of looking. */
export function say(text: string): void {
  said.value = text;
}

/** Shows a line for a while. */
export function tell(text: string, options: { readonly bad?: boolean } = {}): void {
  toast.value = { text, bad: options.bad === true };
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => {
    toast.value = undefined;
  }, TOAST_MS);
}

/** Asks before something is done that cannot be undone. */
export function ask(asked: Question): void {
  question.value = asked;
}

export function Notices(): VNode {
  const shown = useStore(toast);
  return html`<div>
    <p class="unseen" role="status">${useStore(said)}</p>
    <div class="toasts" role="alert">
      ${shown !== undefined && html`<p class=${`toast ${shown.bad ? 'bad' : ''}`}>${shown.text}</p>`}
    </div>
    <${Confirm} />
  </div>`;
}

function Confirm(): VNode | undefined {
  const asked = useStore(question);
  if (asked === undefined) return undefined;
  const close = (): void => {
    question.value = undefined;
  };
  return html`<${Dialog} label=${asked.title} onClose=${close}>
    <h2>${asked.title}</h2>
    <p>${asked.text}</p>
    <div class="dialog-actions">
      <button type="button" class="button quiet" autofocus onClick=${close}>Cancel</button>
      <button
        type="button"
        class=${`button ${asked.danger ? 'danger' : ''}`}
        onClick=${() => (close(), asked.onYes())}
      >
        ${asked.action}
      </button>
    </div>
  <//>`;
}

interface DialogProps {
  readonly label: string;
  readonly onClose: () => void;
  readonly children: unknown;
}

/** In front of everything, with the focus inside; Escape and a click beside it close it, and the focus goes back. */
export function Dialog({ label, onClose, children }: DialogProps): VNode {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const onClick = (event: MouseEvent): void => {
    if (event.target === dialog.current) onClose();
  };
  return html`<dialog ref=${dialog} aria-label=${label} onClose=${onClose} onClick=${onClick}>
    <div class="dialog-body">${children}</div>
  </dialog>`;
}
