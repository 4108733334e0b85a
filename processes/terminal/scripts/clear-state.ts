import { script } from '../shared/host.ts';
import { clearState } from '../shared/scripts/simple.ts';

export const init = script(clearState);
