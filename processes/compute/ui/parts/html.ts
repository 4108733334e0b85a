/** htm bound to the preact that is installed, and what the market shows as a hook. */
import htm from 'htm';
import { h, type VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Market, Shown } from './market.ts';

type Template = (strings: TemplateStringsArray, ...values: unknown[]) => VNode;

// Proof of the types: the package's types describe another module format than the one that is loaded; each template has one root.
export const html = (htm as unknown as { bind(create: typeof h): Template }).bind(h);

/** What is to be shown now; the component is drawn again when that changes. */
export function useShown(market: Market): Shown {
  const [shown, setShown] = useState(market.shown);
  useEffect(() => {
    const show = (): void => setShown(market.shown);
    const unsubscribe = market.subscribe(show);
    // Effects run a frame after the drawing: what came between would never be shown.
    show();
    return unsubscribe;
  }, [market]);
  return shown;
}
