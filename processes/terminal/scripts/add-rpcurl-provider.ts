/** `add-rpcurl-provider`: makes a URL the first provider of a chain (runtime-modules.md §10.4). */
import { script } from '../shared/host.ts';
import { addRpcUrlProvider } from '../shared/scripts/providers.ts';

export const init = script(addRpcUrlProvider);
