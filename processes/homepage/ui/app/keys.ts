/** Keys that work anywhere on a page, but where somebody writes. */
import { useLayoutEffect } from 'preact/hooks';

/** By `KeyboardEvent.key`. */
export type Keys = Readonly<Record<string, () => void>>;

export function useKeys(keys: Keys): void {
  // With the drawing: the next key may come before the next frame, and a hidden tab has none.
  useLayoutEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const act = keys[event.key];
      if (act === undefined || event.defaultPrevented || isWriting(event)) return;
      event.preventDefault();
      act();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  });
}

/** Single letters are text in a field, a browser's own with a modifier, and nothing to the page under a dialog. */
function isWriting({ ctrlKey, metaKey, altKey, target, key }: KeyboardEvent): boolean {
  if (ctrlKey || metaKey || altKey) return true;
  if (document.querySelector('dialog[open]') !== null) return true;
  const field = target instanceof Element && target.closest('input, textarea, select') !== null;
  return field && key !== 'Escape';
}
