/**
 * Terms of jobs: made for clients, and checked (compute-market.md §3.6, §6.5; findings F37). A client signs blindly what a server wrote, so
 * nothing here may be worse for it than what the escrow itself would refuse; and this node has limits of its own.
 */
import { deadlineOf, MODE, saltOf, type ComputeTerms } from '../../../contracts/compute.ts';
import type { Result } from '../../../wit/types.ts';
import { NOBODY, NOTHING, same } from '../shared/words.ts';

/** Seconds from now to `fundBy`. */
export const FUND_WINDOW_S_MIN = 60;
export const FUND_WINDOW_S_MAX = 86_400;
/** Seconds from `fundBy` to the deadline. */
export const JOB_S_MAX = 30 * 86_400;
/** Seconds of the challenge window in terms that nobody signed as terms. */
export const WINDOW_S_MIN = 600;
export const WINDOW_S_MAX = 7 * 86_400;
/** Up to this price, in the token's smallest unit, a client may agree to have no window. */
export const NO_WINDOW_AMOUNT_MAX = 10_000_000n;
/** Length of an intent's id. */
export const INTENT_CHARS_MAX = 128;

/** What terms are made with. */
export interface TermsRules {
  readonly token: string;
  readonly platform: string;
  /** The most that this node takes for one job. */
  readonly amountMax: bigint;
  readonly fundWindowS: number;
  readonly challengeWindowS: number;
}

/** What a client wants to pay for. */
export interface TermsWish {
  readonly client: string;
  readonly intentId: string;
  readonly amount: bigint;
  readonly specHash: string;
  readonly attempts: number;
  readonly timeoutS: number;
  readonly nodeId: string | undefined;
  readonly mode: number;
  readonly fundWindowS: number | undefined;
  readonly challengeWindowS: number | undefined;
}

/**
 * The terms for a wish.
 * @param nowS  of the chain
 */
export function termsFor(
  wish: TermsWish,
  rules: TermsRules,
  nowS: number,
): Result<ComputeTerms, string> {
  if (wish.intentId === '' || wish.intentId.length > INTENT_CHARS_MAX)
    return bad(`an intent's id has 1 to ${INTENT_CHARS_MAX} characters`);
  if (wish.attempts < 1 || wish.timeoutS < 1)
    return bad('attempts and timeoutS are positive numbers');
  const fundBy = BigInt(nowS + (wish.fundWindowS ?? rules.fundWindowS));
  const terms: ComputeTerms = {
    client: wish.client,
    token: rules.token,
    amount: wish.amount,
    specHash: wish.specHash,
    nodeId: wish.nodeId ?? NOTHING,
    platform: rules.platform,
    voucherSigner: NOBODY,
    fundBy,
    deadline: deadlineOf(fundBy, wish.attempts, wish.timeoutS),
    challengeWindow: wish.challengeWindowS ?? rules.challengeWindowS,
    mode: wish.mode,
    salt: saltOf(wish.intentId),
  };
  const problem = termsProblem(terms, rules, { nowS, signed: false });
  return problem === undefined ? { ok: true, value: terms } : bad(problem);
}

/**
 * Which limit terms pass, in words; undefined: none. `signed`: the client signs them as terms, and knows what it agrees to; otherwise it
 * may be paying blindly.
 */
export function termsProblem(
  terms: ComputeTerms,
  rules: TermsRules,
  { nowS, signed }: { readonly nowS: number; readonly signed: boolean },
): string | undefined {
  const { client, token, amount, platform, voucherSigner, fundBy, deadline } = terms;
  const now = BigInt(nowS);
  if (same(client, NOBODY)) return 'client is nobody';
  if (!same(token, rules.token)) return `token is not ${rules.token}, the only one taken here`;
  if (!same(platform, rules.platform)) return `platform is not this node, ${rules.platform}`;
  if (amount <= 0n || amount > rules.amountMax)
    return `amount is not between 1 and ${rules.amountMax}`;
  if (terms.mode !== MODE.exact && terms.mode !== MODE.metered && terms.mode !== MODE.session)
    return 'mode is none of 0, 1 and 2';
  if (
    terms.mode === MODE.session
      ? !same(voucherSigner, NOBODY) && !same(voucherSigner, client)
      : !same(voucherSigner, NOBODY)
  )
    return 'voucherSigner may sign the money away: it must be nobody, or of a session the client';
  if (terms.mode === MODE.session && !signed) return 'a session is for terms that the client signs';
  if (fundBy < now) return 'fundBy has passed';
  if (fundBy > now + BigInt(FUND_WINDOW_S_MAX)) return `fundBy is over ${FUND_WINDOW_S_MAX} s away`;
  if (deadline <= fundBy) return 'deadline is not after fundBy';
  if (deadline > fundBy + BigInt(JOB_S_MAX)) return `deadline is over ${JOB_S_MAX} s after fundBy`;
  const windowless = signed && terms.challengeWindow === 0;
  if (windowless && (amount < NO_WINDOW_AMOUNT_MAX || terms.mode === MODE.session))
    return undefined;
  if (terms.challengeWindow < WINDOW_S_MIN || terms.challengeWindow > WINDOW_S_MAX)
    return `challengeWindow is not between ${WINDOW_S_MIN} and ${WINDOW_S_MAX} s`;
  return undefined;
}

/** Whether two wishes ask for the same: only what the client itself chose counts. */
export function sameWish(terms: ComputeTerms, made: ComputeTerms): boolean {
  return (
    same(terms.client, made.client) &&
    same(terms.salt, made.salt) &&
    terms.amount === made.amount &&
    same(terms.specHash, made.specHash) &&
    same(terms.nodeId, made.nodeId) &&
    terms.mode === made.mode
  );
}

function bad(error: string): Result<never, string> {
  return { ok: false, error };
}
