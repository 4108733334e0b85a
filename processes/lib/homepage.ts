/** A tile, and perhaps a widget, on the node's homepage (packages.md §14.1). `import { showOnHomepage } from 'hyperware/homepage'`. */
import type { Process } from './process.ts';

const HOMEPAGE = 'homepage:homepage:sys';

export interface Tile {
  readonly label: string;
  /** Where it leads, from the process's root on; without, it leads nowhere. */
  readonly path?: string;
  /** A data URL; for a picture in SVG see `svgIcon`. */
  readonly icon?: string;
  /** HTML, or the path of a page of this process. */
  readonly widget?: string;
}

/**
 * Puts the tile there, or replaces it. The homepage forgets tiles when it restarts, so this belongs into every `setup`. The manifest
 * must request `homepage:homepage:sys`; without a homepage nothing happens.
 */
export function showOnHomepage(process: Process<unknown>, tile: Tile): void {
  const { label, path = null, icon = null, widget } = tile;
  const shown = widget?.startsWith('/') === true ? `/${process.our.process}${widget}` : widget;
  const add = { label, icon, path, widget: shown ?? null };
  process.send(HOMEPAGE, JSON.stringify({ Add: add }));
}

/** A picture in SVG, whose text is ASCII, as the data URL that the homepage takes. */
export function svgIcon(svg: string): string {
  return `data:image/svg+xml;base64,${btoa(svg)}`;
}
