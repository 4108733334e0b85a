/** `help`: lists the scripts (runtime-modules.md §10.4). */
import { script } from '../shared/host.ts';
import { help } from '../shared/scripts/simple.ts';

export const init = script(help);
