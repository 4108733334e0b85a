/** `peer`: what is known of a node (runtime-modules.md §10.4). */
import { script } from '../shared/host.ts';
import { peer } from '../shared/scripts/network.ts';

export const init = script(peer);
