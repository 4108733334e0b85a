/** `alias`: sets and removes names for scripts (runtime-modules.md §10.4). */
import { script } from '../shared/host.ts';
import { alias } from '../shared/scripts/simple.ts';

export const init = script(alias);
