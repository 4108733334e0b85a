/**
 * Running again what was picked (compute-market.md §8.3): a secret for every hour, committed to before; runs on nodes of other operators
 * through the market; what their outcomes say together.
 */
import { PULL_S_MAX } from '../../../contracts/compute.ts';
import { toHex } from '../../../contracts/hex.ts';
import { type JobSpec, timeoutOf } from '../../../wit/jobs/spec.ts';
import type { Caller } from '../../lib/modules.ts';
import { openDrive } from '../../lib/vfs.ts';
import type { AuditHour, Evidence } from '../shared/oracle-contract.ts';
import { auditRateBps, commitmentOf, doubled, HOUR_MS, isPicked } from './audit.ts';
import { compareRuns, type Comparison, type ReadOutput } from './compare.ts';
import { DISPUTE_RERUN, type Docket, type Opinion, REPLICA_RERUN, type Rerun } from './docket.ts';
import { specOf } from './facts.ts';
import { failedByClient } from './gates.ts';

/** Bytes of an output that is compared. */
export const COMPARED_BYTES_MAX = 8 * 1_024 * 1_024;
/** Of one answer. */
const HOURS_MAX = 48;
/** Reruns that may fail before an audit proves nothing. */
const FAILED_MAX = 3;

export class Audits {
  readonly #docket: Docket;
  readonly #caller: Caller;

  constructor(caller: Caller, docket: Docket) {
    this.#caller = caller;
    this.#docket = docket;
  }

  /** Commits to the secrets of this hour and the next. */
  async commit(): Promise<void> {
    const hour = Math.floor(Date.now() / HOUR_MS);
    for (const each of [hour, hour + 1]) await this.#docket.hour(each, newSecret);
  }

  /** Whether a receipt is audited; noted, so that everybody can check it later. @param slashed  the node's reservation */
  async isAudited(
    run: Evidence,
    receiptHash: string,
    createdMs: number,
    slashed: bigint,
  ): Promise<boolean> {
    const spec = specOf(run);
    if ((spec.verify?.mode ?? 'exact') === 'none') return false;
    const hour = Math.floor(createdMs / HOUR_MS);
    const { secret } = await this.#docket.hour(hour, newSecret);
    const rate = auditRateBps(run.price, slashed);
    const rateBps = failedByClient(run.result.receipt.status) ? doubled(rate) : rate;
    const audited = isPicked(secret, run.jobId, receiptHash, rateBps);
    await this.#docket.pick({ jobId: run.jobId, receiptHash, hour, rateBps, audited });
    return audited;
  }

  /** Hours as they are published: secrets of those that are over. */
  async hours(from: number, limit: number): Promise<AuditHour[]> {
    const now = Math.floor(Date.now() / HOUR_MS);
    const hours = await this.#docket.hours(from, Math.min(limit, HOURS_MAX));
    return Promise.all(
      hours.map(async ({ hour, secret, commitment }) => ({
        hour,
        commitment,
        secret: hour < now ? secret : undefined,
        // While the hour runs, what was not picked would tell of the secret.
        picks: hour < now ? await this.#docket.picks(hour) : [],
      })),
    );
  }

  /** Of what ran again against what is judged. `artifacts`: where each has its outputs. */
  compare(
    run: Pick<Evidence, 'spec' | 'result' | 'artifacts'>,
    result: Evidence['result'],
    artifacts: string,
  ): Promise<Comparison> {
    const folders = { first: run.artifacts, second: artifacts };
    const read: ReadOutput = async (which, { sha256, size }) => {
      if (size > COMPARED_BYTES_MAX) return undefined;
      const [, pkg = '', drive = '', ...rest] = folders[which].split('/');
      return openDrive(this.#caller, `/${pkg}/${drive}`).read([...rest, sha256].join('/'));
    };
    return compareRuns(specOf(run), outcomeOf(run.result), outcomeOf(result), read);
  }
}

/** Milliseconds that a run which is made again may take, until it is in. */
export function rerunMs(spec: JobSpec): number {
  return (timeoutOf(spec) + PULL_S_MAX) * 1_000;
}

export type AuditOutcome = Opinion | 'go-on';

/**
 * What reruns say together. One that agrees clears the run. Against it there have to be `auditors` of different operators that differ, and
 * that agree with each other; where they do not, nothing is proven. Other runs of the same job (§4.6) are one of them.
 */
export function outcomeOfReruns(
  reruns: readonly Rerun[],
  auditors: number,
  nowMs: number,
): AuditOutcome {
  if (reruns.some(({ outcome }) => outcome === 'same')) return 'agreed';
  const differing = reruns.filter(({ outcome }) => outcome === 'different');
  // Runs that the client paid for may be of friends of one another: together they are one voice.
  const operators = new Set(
    differing.map(({ rerun, operator }) =>
      isReplica(rerun) ? 'replicas' : operator?.toLowerCase(),
    ),
  );
  const roots = new Set(differing.map(({ outputsRoot }) => outputsRoot));
  if (operators.size >= auditors)
    return roots.size === 1 || auditors === 1 ? 'differed' : 'inconclusive';
  const open = reruns.filter(({ outcome, untilMs }) => outcome === undefined && untilMs > nowMs);
  if (open.length > 0) return 'go-on';
  const last = reruns.findLast(({ rerun }) => !isReplica(rerun));
  if (last === undefined || last.outcome === 'different') return 'go-on';
  // It failed at one node, and another one may do better. Where nobody could be found, or two runs cannot be compared, none will.
  const failed = reruns.filter(hasFailed).length;
  return hasFailed(last) && failed < FAILED_MAX ? 'go-on' : 'inconclusive';
}

/** Somebody was to run it, and it ended without a result. */
function hasFailed({ rerun, outcome, operator, outputsRoot }: Rerun): boolean {
  if (isReplica(rerun)) return false;
  return outcome === 'undecided' && operator !== undefined && outputsRoot === undefined;
}

function isReplica(rerun: number): boolean {
  return rerun >= REPLICA_RERUN && rerun < DISPUTE_RERUN;
}

function outcomeOf({ receipt, outputs }: Evidence['result']): Parameters<typeof compareRuns>[1] {
  const { status, exitCode, outputsRoot } = receipt;
  return { status, exitCode, outputsRoot, outputs };
}

function newSecret(): { secret: string; commitment: string } {
  const secret = toHex(crypto.getRandomValues(new Uint8Array(32)));
  return { secret, commitment: commitmentOf(secret) };
}
