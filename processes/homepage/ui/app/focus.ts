/** Where the arrow keys lead in a grid that wraps as it likes. */

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export type Direction = 'ArrowLeft' | 'ArrowRight' | 'ArrowUp' | 'ArrowDown' | 'Home' | 'End';

export function isDirection(key: string): key is Direction {
  return ['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown', 'Home', 'End'].includes(key);
}

/** Index of the box to go to; undefined when there is none that way. Left and right follow the order, up and down what is seen. */
export function neighbour(boxes: readonly Box[], from: number, key: Direction): number | undefined {
  const last = boxes.length - 1;
  const start = boxes[from];
  if (start === undefined) return last < 0 ? undefined : 0;
  if (key === 'Home') return 0;
  if (key === 'End') return last;
  if (key === 'ArrowLeft') return from > 0 ? from - 1 : undefined;
  if (key === 'ArrowRight') return from < last ? from + 1 : undefined;
  const sign = key === 'ArrowDown' ? 1 : -1;
  let best: { readonly index: number; readonly distance: number } | undefined;
  for (const [index, box] of boxes.entries()) {
    const down = sign * (middle(box).y - middle(start).y);
    // The next row, not the same one.
    if (down < start.height / 2) continue;
    const distance = down * 4 + Math.abs(middle(box).x - middle(start).x);
    if (best === undefined || distance < best.distance) best = { index, distance };
  }
  return best?.index;
}

/** Index of the box whose middle is nearest to a point. */
export function nearest(boxes: readonly Box[], x: number, y: number): number | undefined {
  let best: { readonly index: number; readonly distance: number } | undefined;
  for (const [index, box] of boxes.entries()) {
    const { x: atX, y: atY } = middle(box);
    const distance = Math.hypot(atX - x, atY - y);
    if (best === undefined || distance < best.distance) best = { index, distance };
  }
  return best?.index;
}

function middle({ left, top, width, height }: Box): { readonly x: number; readonly y: number } {
  return { x: left + width / 2, y: top + height / 2 };
}
