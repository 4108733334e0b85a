/** `m`: sends a message (runtime-modules.md §10.4). */
import { script } from '../shared/host.ts';
import { m } from '../shared/scripts/simple.ts';

export const init = script(m);
