/** htm bound to the preact that is installed, and what is live as a hook. */
import htm from 'htm';
import { h, type VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Live, View } from './live.ts';

type Template = (strings: TemplateStringsArray, ...values: unknown[]) => VNode;

// Proof of the types: the package's types describe another module format than the one that is loaded; each template has one root.
export const html = (htm as unknown as { bind(create: typeof h): Template }).bind(h);

/** What is to be shown now; the component is drawn again when that changes. */
export function useView(live: Live): View {
  const [view, setView] = useState(live.view);
  useEffect(() => live.subscribe(() => setView(live.view)), [live]);
  return view;
}
