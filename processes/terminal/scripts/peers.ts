/** `peers`: who is connected to this node (runtime-modules.md §10.4). */
import { script } from '../shared/host.ts';
import { peers } from '../shared/scripts/network.ts';

export const init = script(peers);
