import { script } from '../shared/host.ts';
import { cat } from '../shared/scripts/simple.ts';

export const init = script(cat);
