import { script } from '../shared/host.ts';
import { help } from '../shared/scripts/simple.ts';

export const init = script(help);
