import { script } from '../shared/host.ts';
import { top } from '../shared/scripts/processes.ts';

export const init = script(top);
