/** `remove-provider`: takes a provider away (runtime-modules.md §10.4). */
import { script } from '../shared/host.ts';
import { removeProvider } from '../shared/scripts/providers.ts';

export const init = script(removeProvider);
