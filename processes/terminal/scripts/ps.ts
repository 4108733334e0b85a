import { script } from '../shared/host.ts';
import { ps } from '../shared/scripts/processes.ts';

export const init = script(ps);
