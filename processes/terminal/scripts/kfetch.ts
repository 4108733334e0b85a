import { script } from '../shared/host.ts';
import { kfetch } from '../shared/scripts/processes.ts';

export const init = script(kfetch);
