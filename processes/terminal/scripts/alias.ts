import { script } from '../shared/host.ts';
import { alias } from '../shared/scripts/simple.ts';

export const init = script(alias);
