/** The few pictures that the page draws itself. They say nothing that is not also said in words. */
import type { VNode } from 'preact';
import { html } from './html.ts';

const PATHS = {
  home: 'M4 11.5 12 5l8 6.500M6.500 10v9h11v-9',
  processes: 'M4 17h3l3-9 4 12 3-8h3',
  logs: 'M5 6h14M5 10h9M5 14h14M5 18h7',
  search: 'M10.500 17a6.500 6.500 0 1 0 0-13 6.500 6.500 0 0 0 0 13ZM15.500 15.500 20 20',
  sun: 'M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM12 3v2M12 19v2M3 12h2M19 12h2M5.600 5.600 7 7M17 17l1.400 1.400M5.600 18.400 7 17M17 7l1.400-1.400',
  moon: 'M19.500 14.500A8 8 0 0 1 9.500 4.500a8 8 0 1 0 10 10Z',
  system: 'M4 5h16v11H4zM9 20h6M12 16v4',
  help: 'M9 9.200a3 3 0 1 1 4.400 2.700c-.9.500-1.400 1-1.400 2.100M12 17.500v.1',
  more: 'M6 12h.1M12 12h.1M18 12h.1',
  close: 'M6 6l12 12M18 6 6 18',
  back: 'M14.500 6 8.500 12l6 6',
  star: 'm12 4.500 2.300 4.700 5.200.7-3.800 3.600.9 5.100-4.600-2.400-4.600 2.400.9-5.100-3.800-3.600 5.200-.7z',
  open: 'M13 5h6v6M19 5l-8.500 8.500M10 6H5v13h13v-5',
  download: 'M12 4v11M7.500 11 12 15.500 16.500 11M5 19.500h14',
  pause: 'M9 6v12M15 6v12',
  play: 'M8 5.500v13l10.500-6.500z',
  follow: 'M12 4v13M7 12.500l5 5 5-5M6 20.500h12',
  eyeOff:
    'M4 4l16 16M10 6.300A8.500 8.500 0 0 1 20.500 12a9.500 9.500 0 0 1-2.600 3.300M6.200 8A9.500 9.500 0 0 0 3.500 12a8.600 8.600 0 0 0 11.300 5.300',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { readonly name: IconName }): VNode {
  const width = name === 'more' ? 3 : 1.75;
  return html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
    <path d=${PATHS[name]} stroke-width=${width} />
  </svg>`;
}

/** Three strands over three others. */
export function Mark(): VNode {
  return html`<img class="mark" src="/icon.svg" alt="" width="28" height="28" />`;
}
