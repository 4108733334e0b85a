/** `get-providers`: lists the providers of chains (runtime-modules.md §10.4). */
import { script } from '../shared/host.ts';
import { getProviders } from '../shared/scripts/providers.ts';

export const init = script(getProviders);
