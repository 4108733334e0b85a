/** `kfetch`: shows the node at a glance (runtime-modules.md §10.4). */
import { script } from '../shared/host.ts';
import { kfetch } from '../shared/scripts/processes.ts';

export const init = script(kfetch);
