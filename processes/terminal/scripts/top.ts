/** `top`: lists processes as the kernel keeps them (runtime-modules.md §10.4). */
import { script } from '../shared/host.ts';
import { top } from '../shared/scripts/processes.ts';

export const init = script(top);
