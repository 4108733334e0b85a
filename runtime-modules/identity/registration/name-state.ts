/**
 * What can be done about a name right now, by a wallet or by nobody in particular (hypermap, sections 2 and 8). Decided from the chain
 * alone, so that a page that is loaded again goes on where it was.
 */
import { encodeCall } from '../../../contracts/calls.ts';
import { commitmentOf, isFullName, labelKind } from '../../../contracts/hypermap.ts';
import { SELECTORS } from '../../../contracts/calls.ts';
import type { Result } from '../../../wit/types.ts';
import type { Namespace, OnChainName, ReadError } from './namespace.ts';
import { MAX_COMMIT_AGE, MIN_COMMIT_AGE, mintTransaction } from './transactions.ts';

/** Bytes of the shortest label that a minter by commit and reveal takes. */
export const COMMIT_LABEL_BYTES_MIN = 9;
/**
 * Seconds past the age a commitment needs before it is called ready: blocks are stamped by other clocks than ours. The reference waits
 * five.
 */
export const COMMIT_MARGIN_S = 2;
/** Seconds before its end at which a commitment is called expired: a mint must still get into a block. */
export const COMMIT_END_MARGIN_S = 60;

export type CommitState =
  | { readonly kind: 'none' }
  /** Seconds. */
  | { readonly kind: 'waiting'; readonly readyInS: number }
  | { readonly kind: 'ready'; readonly expiresInS: number };

export type NameState =
  /** `why` is a sentence. */
  | { readonly kind: 'invalid'; readonly why: string }
  | { readonly kind: 'taken'; readonly owner: string }
  /** Of the wallet that asks. */
  | { readonly kind: 'owned'; readonly tba: string }
  /** To be committed to, then minted. */
  | { readonly kind: 'commit'; readonly zoneTba: string; readonly commit: CommitState }
  /** To be minted at once. */
  | { readonly kind: 'open'; readonly zoneTba: string; readonly asZone: boolean }
  /** Free, and not for this wallet. */
  | { readonly kind: 'closed'; readonly zone: string };

/** Label and zone of a name that a node can have; undefined where it cannot. */
export function splitName(name: string): { label: string; zone: string } | undefined {
  const dot = name.indexOf('.');
  const label = name.slice(0, dot);
  if (dot <= 0 || !isFullName(name) || labelKind(label) !== 'name') return undefined;
  return { label, zone: name.slice(dot + 1) };
}

/** Names are looked at once per call; ages of commitments are compared with `nowS`, Unix seconds. */
export async function nameState(
  namespace: Namespace,
  name: string,
  { wallet, nowS }: { readonly wallet: string | undefined; readonly nowS: number },
): Promise<Result<NameState, ReadError>> {
  const parts = splitName(name);
  if (parts === undefined) return of({ kind: 'invalid', why: invalidText(name) });
  const read = await namespace.names([name, parts.zone]);
  if (!read.ok) return read;
  const [own, zone] = read.value;
  if (own !== undefined) {
    return of(
      same(own.owner, wallet)
        ? { kind: 'owned', tba: own.tba }
        : { kind: 'taken', owner: own.owner },
    );
  }
  if (zone === undefined)
    return of({ kind: 'invalid', why: `There is no ${parts.zone} to have names under.` });
  if (same(zone.owner, wallet)) return of({ kind: 'open', zoneTba: zone.tba, asZone: true });
  return freeState(namespace, { ...parts, parent: zone }, { wallet, nowS });
}

interface Place {
  readonly label: string;
  readonly zone: string;
  readonly parent: OnChainName;
}

async function freeState(
  namespace: Namespace,
  { label, zone, parent }: Place,
  { wallet, nowS }: { readonly wallet: string | undefined; readonly nowS: number },
): Promise<Result<NameState, ReadError>> {
  const { reads, place } = namespace;
  const minAge = await number(namespace, parent.tba, MIN_COMMIT_AGE);
  if (!minAge.ok) return minAge;
  if (minAge.value !== undefined) {
    if (label.length < COMMIT_LABEL_BYTES_MIN) {
      const why = `Names under ${zone} have at least ${COMMIT_LABEL_BYTES_MIN} characters.`;
      return of({ kind: 'invalid', why });
    }
    const commit = await commitState(namespace, parent.tba, {
      label,
      wallet,
      nowS,
      minAgeS: minAge.value,
    });
    return commit.ok ? of({ kind: 'commit', zoneTba: parent.tba, commit: commit.value }) : commit;
  }
  if (wallet === undefined) return of({ kind: 'open', zoneTba: parent.tba, asZone: false });
  // Whether it may is for the zone's code to say, which anybody can write.
  const mint = mintTransaction({
    place,
    zoneTba: parent.tba,
    label,
    wallet,
    notes: [],
    asZone: false,
  });
  const tried = await reads.call({ ...mint, from: wallet });
  if (tried.ok) return of({ kind: 'open', zoneTba: parent.tba, asZone: false });
  return tried.error.kind === 'reverted' ? of({ kind: 'closed', zone }) : tried;
}

async function commitState(
  namespace: Namespace,
  zoneTba: string,
  {
    label,
    wallet,
    nowS,
    minAgeS,
  }: { label: string; wallet: string | undefined; nowS: number; minAgeS: number },
): Promise<Result<CommitState, ReadError>> {
  if (wallet === undefined) return { ok: true, value: { kind: 'none' } };
  const data = encodeCall(SELECTORS.getCommit, [BigInt(commitmentOf(label, wallet))]);
  const madeAt = await number(namespace, zoneTba, data);
  if (!madeAt.ok) return madeAt;
  const maxAge = await number(namespace, zoneTba, MAX_COMMIT_AGE);
  if (!maxAge.ok) return maxAge;
  const madeAtS = madeAt.value ?? 0;
  const expiresInS = madeAtS + (maxAge.value ?? 0) - nowS;
  // One that is about to end cannot be made again before it has.
  if (madeAtS === 0 || expiresInS < 0) return { ok: true, value: { kind: 'none' } };
  if (expiresInS < COMMIT_END_MARGIN_S) {
    return { ok: true, value: { kind: 'waiting', readyInS: Math.ceil(expiresInS) + 1 } };
  }
  const readyInS = Math.ceil(madeAtS + minAgeS + COMMIT_MARGIN_S - nowS);
  return {
    ok: true,
    value:
      readyInS > 0
        ? { kind: 'waiting', readyInS }
        : { kind: 'ready', expiresInS: Math.floor(expiresInS) },
  };
}

/** A number that a function returns; undefined: the contract has no such function. */
async function number(
  { reads }: Namespace,
  to: string,
  data: string,
): Promise<Result<number | undefined, ReadError>> {
  const answer = await reads.call({ to, data });
  if (!answer.ok) {
    return answer.error.kind === 'reverted' ? { ok: true, value: undefined } : answer;
  }
  const value = /^0x[0-9a-f]{64}$/i.test(answer.value) ? BigInt(answer.value) : undefined;
  return { ok: true, value: value === undefined || value > MAX ? undefined : Number(value) };
}

const MAX = BigInt(Number.MAX_SAFE_INTEGER);

function of(value: NameState): Result<NameState, never> {
  return { ok: true, value };
}

function same(owner: string, wallet: string | undefined): boolean {
  return owner.toLowerCase() === wallet?.toLowerCase();
}

/** What is wrong with what `splitName` refuses: a sentence. */
export function invalidText(name: string): string {
  if (!name.includes('.')) return 'A name has two parts, such as alice.os.';
  return 'Names have letters a-z, digits and dashes, at most 63 between two dots.';
}
