import { script } from '../shared/host.ts';
import { kill } from '../shared/scripts/simple.ts';

export const init = script(kill);
