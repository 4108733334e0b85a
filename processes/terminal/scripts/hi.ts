/** `hi`: sends a line to another node (runtime-modules.md §10.4). */
import { script } from '../shared/host.ts';
import { hi } from '../shared/scripts/simple.ts';

export const init = script(hi);
