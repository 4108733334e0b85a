/** What the scripts ask the cacher with. */
import type { Requester } from '../../lib/client.ts';
import { member } from '../../lib/modules.ts';

const CACHER = 'hypermap-cacher:hypermap-cacher:sys';

/** The text of its answer. Rejects with NoResponse. */
export async function ask(process: Requester, body: unknown): Promise<string> {
  const reply = await process.request(CACHER, JSON.stringify(body), { timeoutS: 5 });
  const answer: unknown = JSON.parse(new TextDecoder().decode(reply.body));
  if (typeof answer === 'string') return answer;
  const [outcome] = Object.values(answer as object) as unknown[];
  return String(member(outcome, 'Ok') ?? member(outcome, 'Err'));
}
