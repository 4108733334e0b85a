/** `net-diagnostics`: what net has to say (runtime-modules.md §10.4). */
import { script } from '../shared/host.ts';
import { netDiagnostics } from '../shared/scripts/network.ts';

export const init = script(netDiagnostics);
