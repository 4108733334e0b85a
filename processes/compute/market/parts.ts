/** The parts of the market, put together, and what happens by itself: rounds among providers, looks at the clock, files that grow old. */
import { every, NoResponse, type Process, Refusal, RemoteError } from '../../lib/index.ts';
import { signer } from '../../lib/signer.ts';
import { drive } from '../../lib/vfs.ts';
import { toHex } from '../../../contracts/hex.ts';
import type { FaultCode } from '../../../wit/jobs/result.ts';
import type { Provider as Registered } from '../shared/facilitator-contract.ts';
import { Artifacts, KEPT_MS } from './artifacts.ts';
import { Auth, type Principal, secretBytes } from './auth.ts';
import { Completion } from './completion.ts';
import { Dispatch } from './dispatch.ts';
import { Endings } from './endings.ts';
import { Feed } from './feed.ts';
import { IllegalTransition, Jobs } from './jobs.ts';
import { Intake } from './intake.ts';
import { Logs } from './logs.ts';
import { NodeStore } from './node-store.ts';
import { Providers, ROUND_MS } from './providers.ts';
import type { JobRecord } from './record.ts';
import { Replicas } from './replicas.ts';
import { Reruns } from './reruns.ts';
import { Settlement } from './settlement.ts';
import type { MarketState } from './settings.ts';
import { JobStore } from './store.ts';
import { Submissions } from './submissions.ts';
import { isOver } from './states.ts';
import { Sweep } from './sweep.ts';
import { Uploads } from './uploads.ts';
import { LOOK_MS, Waiters } from './waiters.ts';

const STATS_MS = 10_000;
const FILES_MS = 600_000;
/** The registry is asked again so soon while nobody is known of it. */
const IMPATIENT_MS = 5_000;

export interface Market {
  readonly process: Process<MarketState>;
  readonly jobs: Jobs;
  readonly store: JobStore;
  readonly nodes: NodeStore;
  readonly providers: Providers;
  readonly dispatch: Dispatch;
  readonly endings: Endings;
  readonly completion: Completion;
  readonly intake: Intake;
  readonly submissions: Submissions;
  readonly settlement: Settlement;
  readonly artifacts: Artifacts;
  readonly uploads: Uploads;
  readonly logs: Logs;
  readonly feed: Feed;
  readonly reruns: Reruns;
  readonly replicas: Replicas;
  readonly auth: Auth;
  readonly now: () => number;
  /** Resolves when the job, or one of the node with this id, has changed: true; or after so long: false. */
  readonly changed: (id: string, ms: number) => Promise<boolean>;
  /** The registry has them from now on, or something else of them. */
  readonly heardOf: (registered: readonly Registered[]) => void;
  /** The same once the job is over; it may give up a second earlier. */
  readonly ended: (jobId: string, ms: number) => Promise<boolean>;
}

/** Opens what is on disk. Nothing is asked of anybody before `begin`. */
export async function openMarket(process: Process<MarketState>): Promise<Market> {
  const now = (): number => Date.now();
  const [store, files] = await Promise.all([JobStore.open(process), drive(process, 'market')]);
  const sign = signer(process);
  const feed = new Feed(now);
  const waiters = new Waiters(process, now);
  const settlement = new Settlement(process);
  const jobs = new Jobs({
    store,
    now,
    changed: (job, event) => {
      feed.job(job, event);
      const over = isOver(job.state, job.payment.state);
      waiters.wake(job.jobId);
      if (over) waiters.wake(endOf(job.jobId));
      if (job.node !== undefined) waiters.wake(job.node.nodeId.toLowerCase());
      if (over) parts.reruns.over(job);
      parts.replicas.changed(job);
    },
    broken: (reason) => {
      process.print(
        `market: the disk does not take a change, so the market starts again: ${String(reason)}`,
      );
      process.exit();
    },
    refused: (line) => process.print(`market: ILLEGAL_TRANSITION: ${line}`, 1),
  });
  const nodes = new NodeStore(store.database, now);
  const providers = new Providers({
    process,
    now,
    activeOn: (node) => jobs.activeOn(node).size,
    stakedOn: (node) => jobs.stakedOn(node).size,
    changed: ({ nodeId, state }) => {
      feed.node(nodeId, state?.paired === true ? 'online' : 'offline');
      parts.dispatch.kick();
    },
  });
  const artifacts = new Artifacts(files, sign, store);
  const uploads = new Uploads({ drive: files, signer: sign, database: store.database, now });
  const logs = new Logs(files, store);
  const freed = (): void => parts.dispatch.kickSoon();
  const outcome = (job: JobRecord, success: boolean): void =>
    nodes.outcome(providers, job, success);
  const closeOnChain = (job: JobRecord, code: FaultCode, mayRetry: boolean): void => {
    settlement
      .close({
        jobId: job.jobId,
        attempt: job.attempt,
        terms: settlement.termsOf(job),
        spec: job.spec,
        code,
        mayRetry,
      })
      .catch((error: unknown) =>
        process.print(`job ${job.jobId}: not closed yet: ${String(error)}`, 1),
      );
  };
  const endings = new Endings({
    jobs,
    providers,
    now,
    random: Math.random,
    closeOnChain,
    outcome,
    freed,
  });
  const completion = new Completion({
    process,
    jobs,
    providers,
    endings,
    settlement,
    artifacts,
    logs,
    inputs: uploads.folder,
    now,
    outcome,
    freed,
    audited: (job, passed) => nodes.audit(providers, job, passed),
    assigned: (job) => parts.dispatch.start(job),
    against: (job) => parts.replicas.against(job),
    closeOnChain,
  });
  const replicas = new Replicas({
    process,
    jobs,
    store,
    providers,
    completion,
    endings,
    settlement,
    artifacts: artifacts.folder,
    now,
  });
  const dispatch = new Dispatch({
    process,
    jobs,
    providers,
    endings,
    settlement,
    now,
    takenFor: (job) => replicas.takenFor(job),
  });
  const intake = new Intake({
    jobs,
    providers,
    endings,
    completion,
    settlement,
    signer: sign,
    logs,
    now,
    accepted: (job, by) => dispatch.accepted(job, by),
    progress: (job, progress) => feed.progress(job, progress),
    logged: (job, records) => {
      feed.logged(job, records);
      waiters.wake(job.jobId);
    },
    failed: (jobId, error) => process.print(`job ${jobId}: ${String(error)}`),
  });
  const submissions = new Submissions({
    jobs,
    store,
    providers,
    dispatch,
    settlement,
    uploads,
    signer: sign,
    now,
    newId: () => crypto.randomUUID(),
    newSalt: () => toHex(crypto.getRandomValues(new Uint8Array(32))),
    isFree: ({ kind, owner }) => isFree(process, kind, owner),
  });
  const reruns = new Reruns({
    process,
    providers,
    submissions,
    settlement,
    artifacts,
    endings,
    now,
  });
  // What is called by parts that were made before: only once all are there.
  const parts = { dispatch, reruns, replicas };
  const auth = new Auth({
    secret: () => secretBytes(process.state.secret),
    signer: sign,
    now,
    random: (bytes) => crypto.getRandomValues(new Uint8Array(bytes)),
    executorOf: (nodeId) => providers.byId(nodeId)?.state?.executor,
  });
  const sweep = new Sweep({
    jobs,
    providers,
    dispatch,
    endings,
    completion,
    compare: (job) => replicas.look(job),
    now,
    closeOnChain,
    failed: (job, error) => {
      // Somebody else was quicker: the job is somewhere else by now.
      if (error instanceof IllegalTransition || error instanceof Refusal) return;
      process.print(`job ${job.jobId}: ${String(error)}`);
    },
  });
  const market: Market = {
    process,
    jobs,
    store,
    nodes,
    providers,
    dispatch,
    endings,
    completion,
    intake,
    submissions,
    settlement,
    artifacts,
    uploads,
    logs,
    feed,
    reruns,
    replicas,
    auth,
    now,
    changed: (id, ms) => waiters.wait(id, ms),
    heardOf: (registered) => void providers.askSome(providers.meet(registered)),
    ended: (jobId, ms) => waiters.waitAbout(endOf(jobId), ms),
  };
  await Promise.all([jobs.load(), nodes.load(providers)]);
  await replicas.load();
  begin(market, sweep, waiters);
  return market;
}

/** Goes on with what was there, and keeps going. */
function begin(market: Market, sweep: Sweep, waiters: Waiters): void {
  const { process, jobs, providers, settlement, dispatch, feed } = market;
  const failed = (what: string) => (error: unknown) =>
    process.print(`market: ${what} has stopped: ${String(error)}`);
  sweep.start();
  const registry = async (): Promise<void> => {
    await settlement.refresh();
    const fresh: string[] = [];
    for await (const one of settlement.registered()) fresh.push(...providers.meet([one]));
    await providers.askSome(fresh);
  };
  // Neither waits for the other: free jobs need no chain.
  const round = async (): Promise<void> => {
    await Promise.all([registry(), providers.round()]);
  };
  const goOn = (job: JobRecord): void => {
    dispatch.resume(job);
    if (job.state === 'verifying') void market.completion.check(job);
  };
  const first = Promise.all([
    providers.round().then(() => {
      for (const job of [...jobs.all()]) goOn(job);
      dispatch.kick();
    }),
    registry().then(async () => {
      for (const job of [...jobs.all()]) await catchUp(market, job);
    }),
  ]);
  first.catch(failed('the first round'));
  void every(process, ROUND_MS, () => round().catch(failed('a round'))).catch(failed('asking'));
  void every(process, IMPATIENT_MS, async () => {
    // The facilitator has just begun to read the chain, or there is nobody.
    const nobody = providers.all().every(({ registered }) => registered === undefined);
    const wanted = nobody || providers.awaitsName();
    if (wanted && settlement.settings !== undefined) await registry().catch(failed('a look'));
  }).catch(failed('waiting'));
  void every(process, LOOK_MS, () => {
    waiters.look();
    sweep.run();
  }).catch(failed('the clock'));
  void every(process, STATS_MS, () => {
    if (!feed.isWatched('network')) return;
    feed.publish('network_stats_update', ['network'], networkStats(market));
  }).catch(failed('the figures'));
  void every(process, FILES_MS, () =>
    sweepFiles(market).catch(failed('a look at old files')),
  ).catch(failed('looking at old files'));
}

/** What the chain said while the market was not there. */
async function catchUp({ settlement, completion }: Market, job: JobRecord): Promise<void> {
  if (job.payment.state === 'free' || settlement.settings === undefined) return;
  try {
    await completion.money(await settlement.money(job.jobId));
  } catch (error) {
    // It is told again when something happens.
    if (!(error instanceof NoResponse) && !(error instanceof RemoteError)) throw error;
  }
}

export function networkStats({ providers, jobs }: Market): Readonly<Record<string, number>> {
  let runningJobs = 0;
  for (const { state } of jobs.all()) if (state === 'running') runningJobs += 1;
  return {
    activeNodes: providers.all().filter(({ state }) => state?.paired === true).length,
    runningJobs,
    totalJobs: jobs.size,
    queuedJobs: jobs.queue.size,
  };
}

async function sweepFiles(market: Market): Promise<void> {
  const { artifacts, uploads, logs, store, jobs, now } = market;
  for (const jobId of await artifacts.expire(now() - KEPT_MS)) {
    const job = await store.get(jobId);
    if (job === undefined) continue;
    await logs.remove(jobId, job.attempt + 1);
    await store.append([
      {
        jobId,
        seq: job.seq + 1,
        at: now(),
        was: job.state,
        now: job.state,
        cause: 'files are removed',
        patch: { seq: job.seq + 1, expired: true },
      },
    ]);
    jobs.forgetEnd(jobId);
  }
  await uploads.sweep();
}

function isFree(process: Process<MarketState>, kind: Principal['kind'], owner: string): boolean {
  const { free } = process.state;
  if (kind === 'operator' || free.kind === 'Everybody') return true;
  if (kind === 'wallet') return false;
  return free.kind === 'Nodes' || owner.startsWith(`process:${process.our.node}@`);
}

function endOf(jobId: string): string {
  return `end of ${jobId}`;
}
