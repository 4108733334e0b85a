/** The capabilities vfs issues, as texts (runtime-modules.md §2.5). Compared as JSON, stored as written here. */
import { moduleId } from '../../wit/address.ts';
import type { Capability, NodeId } from '../../wit/types.ts';

export type DriveAccess = 'read' | 'write';

/** @param drive such as `/p:q/d`: leading slash, no trailing one */
export function driveCapability(our: NodeId, access: DriveAccess, drive: string): Capability {
  return issuedBy(our, 'vfs', `{"kind": "${access}", "drive": ${JSON.stringify(drive)}}`);
}

/** Everything in that module. */
export function rootCapability(our: NodeId, module: string): Capability {
  return issuedBy(our, module, '{"root":true}');
}

function issuedBy(our: NodeId, module: string, params: string): Capability {
  return { issuer: { node: our, process: moduleId(module) }, params };
}
