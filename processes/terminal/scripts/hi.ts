import { script } from '../shared/host.ts';
import { hi } from '../shared/scripts/simple.ts';

export const init = script(hi);
