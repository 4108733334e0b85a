/**
 * The transactions by which a name becomes a node (hypermap, sections 8 and 11), as calldata that a wallet signs. Pure: browser and
 * command line send the very same.
 */
import {
  encodeCall,
  encodeCommit,
  encodeExecute,
  encodeMint,
  encodeNotes,
  OPERATION_CALL,
} from '../../../contracts/calls.ts';
import { commitmentOf } from '../../../contracts/hypermap.ts';
import { encodeIp, encodePort, encodeRouters } from '../../../contracts/notes.ts';
import type { Routing } from '../routing.ts';
import type { ChainPlace } from './namespace.ts';

export interface PlannedTransaction {
  readonly to: string;
  readonly data: string;
}

/** `minCommitAge()`, `maxCommitAge()`: only a minter by commit and reveal has them. */
export const MIN_COMMIT_AGE = encodeCall('382e3de7', []);
export const MAX_COMMIT_AGE = encodeCall('d72ceb9c', []);

export interface NodeNotes {
  /** Lower-case hex without `0x`. */
  readonly netKey: string;
  readonly routing: Routing;
}

interface Note {
  readonly label: string;
  readonly data: string;
}

/** The notes of a node; undefined where an address or a port is not one. */
export function notesOf({ netKey, routing }: NodeNotes): readonly Note[] | undefined {
  const key = { label: '~net-key', data: `0x${netKey}` };
  if (routing.kind === 'routers')
    return [key, { label: '~routers', data: encodeRouters(routing.routers) }];
  const { ws = 0, tcp = 0 } = routing.ports;
  const data = [encodePort(ws), encodePort(tcp), encodeIp(routing.ip ?? '')];
  const [wsPort, tcpPort, ip] = data;
  if (wsPort === undefined || tcpPort === undefined || ip === undefined) return undefined;
  return [
    key,
    { label: '~ws-port', data: wsPort },
    { label: '~tcp-port', data: tcpPort },
    { label: '~ip', data: ip },
  ];
}

/** Commits to a label at a minter by commit and reveal. */
export function commitTransaction(
  zoneTba: string,
  label: string,
  committer: string,
): PlannedTransaction {
  return { to: zoneTba, data: encodeCommit(commitmentOf(label, committer)) };
}

export interface Minting {
  readonly place: ChainPlace;
  readonly zoneTba: string;
  readonly label: string;
  /** Gets the name, and sends the transaction. */
  readonly wallet: string;
  readonly notes: readonly Note[];
  /** The wallet owns the zone, and mints as it. */
  readonly asZone: boolean;
}

/** Mints a name that is a node from its first block on. */
export function mintTransaction(minting: Minting): PlannedTransaction {
  const { place, zoneTba, label, wallet, notes, asZone } = minting;
  const mint = encodeMint({
    who: wallet,
    label,
    initialization: encodeNotes(place, notes),
    implementation: place.account,
  });
  if (!asZone) return { to: zoneTba, data: mint };
  const data = encodeExecute({ to: place.hypermap, data: mint, operation: OPERATION_CALL });
  return { to: zoneTba, data };
}

/** New notes for a name that exists, from its owner. */
export function resetTransaction(
  place: ChainPlace,
  tba: string,
  notes: readonly Note[],
): PlannedTransaction {
  return { to: tba, data: encodeNotes(place, notes) };
}
