/** `ps`: lists processes with what they use (runtime-modules.md §10.4). */
import { script } from '../shared/host.ts';
import { ps } from '../shared/scripts/processes.ts';

export const init = script(ps);
