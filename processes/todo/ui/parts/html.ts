/** htm bound to the preact that is installed, and the store as a hook. */
import htm from 'htm';
import { h, type VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Snapshot, Store } from './store.ts';

type Template = (strings: TemplateStringsArray, ...values: unknown[]) => VNode;

// Proof of the types: the package's types describe another module format than the one that is loaded; each template has one root.
export const html = (htm as unknown as { bind(create: typeof h): Template }).bind(h);

/** What the store shows now; the component is drawn again when that changes. */
export function useSnapshot(store: Store): Snapshot {
  const [snapshot, setSnapshot] = useState(store.snapshot);
  useEffect(() => {
    const show = (): void => setSnapshot(store.snapshot);
    const unsubscribe = store.subscribe(show);
    // Effects run a frame after the drawing: what came between would never be shown.
    show();
    return unsubscribe;
  }, [store]);
  return snapshot;
}
