/** `clear-state`: deletes what a process has saved (runtime-modules.md §10.4). */
import { script } from '../shared/host.ts';
import { clearState } from '../shared/scripts/simple.ts';

export const init = script(clearState);
