/** `echo`: prints its arguments (runtime-modules.md §10.4). */
import { script } from '../shared/host.ts';
import { echo } from '../shared/scripts/simple.ts';

export const init = script(echo);
