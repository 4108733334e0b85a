/** Which transaction comes next until a name has this node's keys: the same for the pages and for the command line. */
import type { Result } from '../../../wit/types.ts';
import type { Routing } from '../routing.ts';
import { type NameState, splitName } from './name-state.ts';
import { readErrorText } from './namespace.ts';
import type { Refusal, Registration } from './registration.ts';
import {
  commitTransaction,
  mintTransaction,
  notesOf,
  type PlannedTransaction,
  resetTransaction,
} from './transactions.ts';

/** `wait`: the commitment is too young; ask again in `readyInS` seconds. */
export type NextStep =
  | { readonly kind: 'commit' | 'mint' | 'reset'; readonly transaction: PlannedTransaction }
  | { readonly kind: 'wait'; readonly readyInS: number };

export interface Plan {
  readonly name: string;
  /** Sends the transactions, and owns the name. */
  readonly wallet: string;
  readonly routing: Routing;
}

export async function nextStep(
  registration: Registration,
  { name, wallet, routing }: Plan,
): Promise<Result<NextStep, Refusal>> {
  const { publicKeyHex: netKey } = await registration.networkingInfo();
  const notes = notesOf({ netKey, routing });
  if (notes === undefined || !isReachable(routing))
    return refuse(400, 'A direct node needs an IP address and at least one port.');
  const state = await registration.nameState(name, wallet);
  if (!state.ok)
    return refuse(state.error.kind === 'disagree' ? 502 : 503, readErrorText(state.error));
  const { place } = registration.namespace;
  const label = splitName(name)?.label ?? '';
  const minted = (zoneTba: string, asZone: boolean): Result<NextStep, never> => {
    const transaction = mintTransaction({ place, zoneTba, label, wallet, notes, asZone });
    return { ok: true, value: { kind: 'mint', transaction } };
  };
  switch (state.value.kind) {
    case 'commit':
      return committed(state.value, { label, wallet, minted });
    case 'open':
      return minted(state.value.zoneTba, state.value.asZone);
    case 'owned': {
      const transaction = resetTransaction(place, state.value.tba, notes);
      return { ok: true, value: { kind: 'reset', transaction } };
    }
    case 'taken':
      return refuse(409, `${name} belongs to ${state.value.owner}.`);
    case 'closed':
      return refuse(409, `${state.value.zone} gives this wallet no names.`);
    case 'invalid':
      return refuse(400, state.value.why);
  }
}

function committed(
  { zoneTba, commit }: Extract<NameState, { kind: 'commit' }>,
  {
    label,
    wallet,
    minted,
  }: {
    readonly label: string;
    readonly wallet: string;
    readonly minted: (zoneTba: string, asZone: boolean) => Result<NextStep, never>;
  },
): Result<NextStep, never> {
  if (commit.kind === 'ready') return minted(zoneTba, false);
  const value: NextStep =
    commit.kind === 'waiting'
      ? { kind: 'wait', readyInS: commit.readyInS }
      : { kind: 'commit', transaction: commitTransaction(zoneTba, label, wallet) };
  return { ok: true, value };
}

function isReachable(routing: Routing): boolean {
  return routing.kind === 'routers' || Boolean(routing.ports.ws) || Boolean(routing.ports.tcp);
}

function refuse(status: number, text: string): { ok: false; error: Refusal } {
  return { ok: false, error: { status, text } };
}
