/** `kill`: ends a process (runtime-modules.md §10.4). */
import { script } from '../shared/host.ts';
import { kill } from '../shared/scripts/simple.ts';

export const init = script(kill);
