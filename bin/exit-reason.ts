/** Why a node could not start, as an exit code's name and a sentence (docs/operating.md). */
import { ListenError } from '../runtime-modules/http-server/index.ts';
import { IdentityError } from '../runtime-modules/identity/development.ts';
import { HomeError } from '../runtime-modules/identity/home.ts';
import { StoreError } from '../runtime-modules/state/index.ts';
import { BundleBuildError } from '../processes/bundled.ts';
import { ChainConfigError } from './chain.ts';
import { NetworkError } from './network.ts';

export type ExitReason =
  | 'homeInUse'
  | 'homeUnusable'
  | 'noIdentity'
  | 'packages'
  | 'web'
  | 'usage'
  | 'network'
  | 'bug';

/** What the disk says where nothing is wrong with the node. */
const DISK: ReadonlyMap<string, string> = new Map([
  ['ENOSPC', 'its disk is full: make room and start it again'],
  ['EDQUOT', 'the quota of its disk is used up: make room and start it again'],
  ['EROFS', 'its disk is read-only'],
  ['EIO', 'its disk cannot be read or written'],
]);
/** Of text in an error of a library that has no code. */
const FULL = /no space left on device/i;
const CAUSES_MAX = 8;

export interface WhyNotStarted {
  readonly reason: ExitReason;
  /** For the owner; of a bug the stack. */
  readonly text: string;
}

/** @param error  what `bootNode` rejected with */
export function whyNotStarted(error: unknown, home: string): WhyNotStarted {
  const first = firstOf(error);
  const reason = reasonOf(first);
  if (reason !== 'bug') return { reason, text: (first as Error).message };
  const disk = diskOf(first);
  if (disk !== undefined) return { reason: 'homeUnusable', text: `${home}: ${disk}` };
  return {
    reason,
    text: first instanceof Error ? (first.stack ?? first.message) : String(first),
  };
}

/** What failed first: what fails while all that was taken is given back again is a consequence. */
function firstOf(error: unknown): unknown {
  let first = error;
  while (first instanceof SuppressedError) first = first.suppressed;
  return first;
}

function reasonOf(error: unknown): ExitReason {
  if (error instanceof HomeError) return error.code === 'in-use' ? 'homeInUse' : 'homeUnusable';
  if (error instanceof StoreError) return error.code === 'locked' ? 'homeInUse' : 'homeUnusable';
  if (error instanceof IdentityError) return 'noIdentity';
  if (error instanceof BundleBuildError) return 'packages';
  if (error instanceof ListenError) return 'web';
  if (error instanceof ChainConfigError) return 'usage';
  if (error instanceof NetworkError) return 'network';
  return 'bug';
}

function diskOf(error: unknown): string | undefined {
  let at = error;
  for (let depth = 0; at instanceof Error && depth < CAUSES_MAX; depth += 1) {
    const code = (at as NodeJS.ErrnoException).code;
    const said = typeof code === 'string' ? DISK.get(code) : undefined;
    if (said !== undefined) return said;
    if (FULL.test(at.message)) return DISK.get('ENOSPC');
    at = at.cause;
  }
  return undefined;
}
