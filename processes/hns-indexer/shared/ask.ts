/** What the scripts ask the indexer with. */
import type { Capability } from '../../../wit/types.ts';
import type { Requester } from '../../lib/client.ts';

export const INDEXER = 'hns-indexer:hns-indexer:sys';
const ANSWER_S = 5;

/** The answer's JSON. Rejects with NoResponse. */
export async function ask(
  process: Requester,
  body: unknown,
  capabilities: readonly Capability[] = [],
): Promise<Record<string, unknown>> {
  const options = { timeoutS: ANSWER_S, capabilities };
  const reply = await process.request(INDEXER, JSON.stringify(body), options);
  const answer: unknown = JSON.parse(new TextDecoder().decode(reply.body));
  // Proof of the type: every answer of the indexer is an object with one member.
  return answer as Record<string, unknown>;
}
