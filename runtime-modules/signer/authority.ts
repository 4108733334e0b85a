/** Whether what a process holds allows a signature, and what that costs. Pure; no I/O. */
import type { TypedDataHashes } from '../../contracts/typed-data.ts';
import type { JsonValue } from '../../wit/json.ts';
import type { Result } from '../../wit/types.ts';
import type { Charge } from './budgets.ts';
import {
  type Costed,
  type Grant,
  isTagged,
  sameKey,
  transactionCharges,
  typedDataCharges,
} from './grants.ts';

/** What one capability would be charged, all of it or nothing. */
export type Bill = readonly Charge[];

/** Root pays for nothing. */
const FREE: readonly Bill[] = [[]];

/** The bills of the capabilities that allow it, of which one has to be paid. The error says what was looked for. */
export function permitTypedData(
  grants: readonly Grant[],
  asked: {
    readonly key: string;
    readonly hashes: TypedDataHashes;
    readonly message: JsonValue;
  },
): Result<readonly Bill[], string> {
  return permit(
    grants,
    asked.key,
    (grant) =>
      grant.kind === 'typed-data'
        ? typedDataCharges(grant, asked.hashes, asked.message)
        : undefined,
    'no capability for this domain and type with this key',
  );
}

/** Likewise. */
export function permitTransaction(
  grants: readonly Grant[],
  asked: { readonly key: string; readonly transaction: Costed },
): Result<readonly Bill[], string> {
  return permit(
    grants,
    asked.key,
    (grant) =>
      grant.kind === 'transaction' ? transactionCharges(grant, asked.transaction) : undefined,
    'no capability for this chain, contract and selector with this key',
  );
}

/** Likewise; a message costs nothing. */
export function permitMessage(
  grants: readonly Grant[],
  asked: { readonly key: string; readonly message: Uint8Array },
): Result<readonly Bill[], string> {
  return permit(
    grants,
    asked.key,
    (grant) => (grant.kind === 'messages' && isTagged(grant, asked.message) ? [] : undefined),
    'no capability for messages with this tag and this key',
  );
}

function permit(
  grants: readonly Grant[],
  key: string,
  charges: (grant: Grant) => Bill | undefined,
  otherwise: string,
): Result<readonly Bill[], string> {
  if (grants.some(({ kind }) => kind === 'root')) return { ok: true, value: FREE };
  const bills = grants
    .filter((grant) => 'key' in grant && sameKey(grant.key, key))
    .flatMap((grant) => {
      const bill = charges(grant);
      return bill === undefined ? [] : [bill];
    });
  return bills.length > 0 ? { ok: true, value: bills } : { ok: false, error: otherwise };
}
