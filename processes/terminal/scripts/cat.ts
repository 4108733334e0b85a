/** `cat`: prints a file of the vfs (runtime-modules.md §10.4). */
import { script } from '../shared/host.ts';
import { cat } from '../shared/scripts/simple.ts';

export const init = script(cat);
