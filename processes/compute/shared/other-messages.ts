/** What arrives beside the contract: news of the chain, and what cannot be understood. */
import type { Context } from '../../lib/context.ts';
import type { Contract, Methods } from '../../lib/contract.ts';
import { Refusal } from '../../lib/errors.ts';
import { takeEthUpdate } from '../../lib/eth.ts';

/** @throws Refusal `BadRequest`, which says what was expected where */
export async function takeOther<M extends Methods>(
  context: Context,
  { requests }: Contract<M>,
): Promise<void> {
  if (await takeEthUpdate(context)) return;
  const read = requests.decode(context.body);
  const why = read.ok
    ? 'it has no handler'
    : `${read.error.path || 'body'}: expected ${read.error.expected}`;
  throw new Refusal('BadRequest', `the request cannot be understood: ${why}`);
}
