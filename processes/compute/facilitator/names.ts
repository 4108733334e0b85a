/** Names of nodes by their ids, from the indexer of the namespace. */
import { member, type Caller } from '../../lib/modules.ts';
import { NoResponse } from '../../lib/errors.ts';
import { namehash } from '../../../contracts/hypermap.ts';

const INDEXER = 'hns-indexer:hns-indexer:sys';
const TIMEOUT_S = 3;

/** Undefined: it is not known, or not now. */
export async function nameOf(caller: Caller, nodeId: string): Promise<string | undefined> {
  // Its own id needs no indexer; a development node's name is in no namespace.
  if (namehash(caller.our.node) === nodeId) return caller.our.node;
  try {
    const body = JSON.stringify({ NamehashToName: { hash: nodeId, block: 0 } });
    const reply = await caller.request(INDEXER, body, { timeoutS: TIMEOUT_S });
    const name = member(JSON.parse(new TextDecoder().decode(reply.body)), 'Name');
    return typeof name === 'string' && namehash(name) === nodeId ? name : undefined;
  } catch (error) {
    if (error instanceof NoResponse || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
