/** `add-node-provider`: makes a node the first one of a chain that relays (runtime-modules.md §10.4). */
import { script } from '../shared/host.ts';
import { addNodeProvider } from '../shared/scripts/providers.ts';

export const init = script(addNodeProvider);
