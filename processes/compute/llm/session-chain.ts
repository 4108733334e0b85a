/**
 * What the chain says of a session (compute-market.md §12.4 b; findings F37, F42): asked of the facilitator of this node, which watches the
 * escrow. What it is asked is a part of its contract.
 */
import { addressText, hashText, structCodec, wideNumber } from '../../../contracts/compute-json.ts';
import { MODE } from '../../../contracts/compute.ts';
import { option, record, text, u32, u64, unit } from '../../../wit/codec.ts';
import { client, type Requester } from '../../lib/client.ts';
import { contract, method } from '../../lib/contract.ts';
import { NoResponse, Refusal, RemoteError } from '../../lib/errors.ts';
import type { SessionOffer } from './sessions.ts';

const FACILITATOR = 'facilitator:compute:sys';
const ANSWER_S = 10;
const NOBODY = /^0x0{40}$/;

const job = record({ jobId: hashText });
const asked = contract({
  Settings: method(unit, record({ chainId: u32, escrow: addressText })),
  Money: method(
    job,
    record({
      state: text,
      attempt: u32,
      price: wideNumber,
      nodeId: option(hashText),
      deadline: u64,
    }),
  ),
  TermsOf: method(job, option(record({ terms: structCodec('ComputeTerms') }))),
});

/**
 * A session as it is on the chain, if vouchers of it pay this node.
 * @param nodeId  of this node
 * @throws Refusal `NoSession`, saying what is missing
 */
export async function sessionOnChain(
  requester: Requester,
  nodeId: string,
  jobId: string,
): Promise<SessionOffer> {
  const facilitator = client(requester, asked, FACILITATOR, { timeoutS: ANSWER_S });
  try {
    const { chainId, escrow } = await facilitator.Settings();
    const money = await facilitator.Money({ jobId });
    const terms = (await facilitator.TermsOf({ jobId }))?.terms;
    if (terms === undefined) throw missing('its terms are not known here');
    if (terms.mode !== MODE.session) throw missing('it is not paid by vouchers');
    if (money.state !== 'assigned') throw missing(`the escrow has it as ${money.state}`);
    if (money.nodeId?.toLowerCase() !== nodeId.toLowerCase())
      throw missing('it is assigned to another node');
    const { attempt, price, deadline } = money;
    const signer = NOBODY.test(terms.voucherSigner) ? terms.client : terms.voucherSigner;
    return { jobId, chainId, escrow, signer, attempt, price, deadline };
  } catch (error) {
    if (error instanceof NoResponse) throw missing('this node cannot see the chain now');
    if (error instanceof RemoteError) throw missing(error.message);
    throw error;
  }
}

const missing = (why: string): Refusal => new Refusal('NoSession', why);
