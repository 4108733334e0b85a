/**
 * The market as this page shows it: asked for once, then kept up by what its WebSocket says. Whatever an event changes is asked for
 * again, soon and at most so often; only progress and logs are taken from the events themselves.
 */
import { Jobs } from './jobs.ts';
import { type Live, type MarketEvent } from './live.ts';
import { ApiProblem, type MarketApi } from './market-api.ts';
import type { Figures, Free, JobView, Ledger, LogRecord, NodeView } from './views.ts';

/** What changes often is asked for at most so often, in milliseconds. */
const NODES_MS = 1_000;
const LEDGER_MS = 5_000;
/** Records of a log that are kept; of longer ones the end. */
export const LOG_RECORDS_MAX = 2_000;
/** Of the line of the last minutes: one each 10 s. */
const SAMPLES_MAX = 360;

export interface Sample {
  readonly atMs: number;
  readonly running: number;
  readonly queued: number;
}

export interface Shown {
  readonly connected: boolean;
  /** What is wrong with everything: offline, signed out. */
  readonly problem: ApiProblem | undefined;
  /** Undefined until they are known. Latest first. */
  readonly jobs: readonly JobView[] | undefined;
  readonly hasMore: boolean;
  readonly nodes: readonly NodeView[] | undefined;
  readonly figures: Figures | undefined;
  readonly ledger: Ledger | undefined;
  /** The name of this node. */
  readonly our: string | undefined;
  readonly free: Free | undefined;
  /** Of the chain that jobs are paid on; null: there is none. */
  readonly chain: number | null | undefined;
  readonly samples: readonly Sample[];
  /** Of the job that is looked at. */
  readonly logs: readonly LogRecord[];
}

interface Settings {
  readonly node: string;
  readonly free: Free;
  readonly chain: number | null;
}

export class Market {
  readonly api: MarketApi;
  readonly #live: Live;
  readonly #after: (ms: number, work: () => void) => void;
  readonly #jobs: Jobs;
  readonly #listeners = new Set<() => void>();
  readonly #due = new Set<string>();
  #selected: string | undefined;
  #attempt = 0;
  #shown: Shown = {
    connected: false,
    problem: undefined,
    jobs: undefined,
    hasMore: false,
    nodes: undefined,
    figures: undefined,
    ledger: undefined,
    our: undefined,
    free: undefined,
    chain: undefined,
    samples: [],
    logs: [],
  };

  constructor(api: MarketApi, live: Live, after: (ms: number, work: () => void) => void) {
    this.api = api;
    this.#live = live;
    this.#after = after;
    this.#jobs = new Jobs(api, {
      after,
      changed: () => this.#show({ jobs: this.#jobs.all, hasMore: this.#jobs.hasMore }),
      failed: (error) => this.#failed(error),
    });
  }

  get shown(): Shown {
    return this.#shown;
  }

  /** Calls `listener` after every change; returns how to stop that. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(): void {
    this.#live.start({
      heard: (event) => this.#heard(event),
      missed: () => void this.refresh(),
      connected: (connected) => {
        this.#show({ connected });
        if (connected) void this.refresh();
      },
    });
    void this.refresh();
  }

  /** Asks for everything that is shown. */
  async refresh(): Promise<void> {
    try {
      const asked = [this.#jobs.first(), this.#nodes(), this.#figures(), this.#ledger()];
      const { node, free, chain } = await this.api.json<Settings>('api/settings');
      await Promise.all(asked);
      this.#show({ our: node, free, chain, problem: undefined });
      if (this.#selected !== undefined) await this.#readLogs(this.#selected);
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Older jobs than those that are shown. */
  more(): void {
    void this.#jobs.more().catch((error: unknown) => this.#failed(error));
  }

  /** Which job's log is followed; undefined: none. */
  select(jobId: string | undefined): void {
    if (jobId === this.#selected) return;
    if (this.#selected !== undefined) this.#live.unfollow(`job:${this.#selected}`);
    this.#selected = jobId;
    this.#show({ logs: [] });
    if (jobId === undefined) return;
    this.#live.follow(`job:${jobId}`);
    void this.#jobs
      .one(jobId)
      .then(() => this.#readLogs(jobId))
      .catch((error: unknown) => this.#failed(error));
  }

  job(jobId: string): JobView | undefined {
    return this.#jobs.get(jobId);
  }

  async cancel(jobId: string): Promise<void> {
    this.#jobs.take(await this.api.json<JobView>(`api/jobs/${jobId}`, { method: 'DELETE' }));
  }

  /** A new job of this page: shown before the market says it. */
  async submitted(jobId: string): Promise<void> {
    await this.#jobs.one(jobId);
  }

  async setFree(free: Free): Promise<void> {
    await this.api.ask('api/settings', { method: 'PUT', body: { free } });
    this.#show({ free });
  }

  async addNode(node: string): Promise<void> {
    await this.api.ask('api/nodes', { method: 'POST', body: { node } });
    await this.#nodes();
  }

  async removeNode(nodeId: string): Promise<void> {
    await this.api.ask(`api/nodes/${nodeId}`, { method: 'DELETE' });
    await this.#nodes();
  }

  async withdraw(role: Ledger['credits'][number]['role']): Promise<void> {
    await this.api.ask(`api/facilitator/claim-rewards?as=${role}`, { method: 'POST' });
    await this.#ledger();
  }

  // ---- what the market says

  #heard({ event, data }: MarketEvent): void {
    const jobId = typeof data['jobId'] === 'string' ? data['jobId'] : undefined;
    switch (event) {
      case 'job_status_update':
      case 'payment_update':
      case 'verdict':
        if (jobId !== undefined) this.#jobs.changed(jobId);
        this.#soon('figures', 300, () => this.#figures());
        this.#soon('ledger', LEDGER_MS, () => this.#ledger());
        break;
      case 'job_progress':
        // Proof of the types: as `feed.ts` writes them.
        if (jobId !== undefined)
          this.#jobs.progress(jobId, data as unknown as NonNullable<JobView['progress']>);
        break;
      case 'job_log':
        if (jobId === this.#selected)
          this.#logged(Number(data['attempt']), data['records'] as readonly LogRecord[]);
        break;
      case 'node_status_update':
        this.#soon('nodes', NODES_MS, () => this.#nodes());
        break;
      case 'network_stats_update':
        this.#sample(data as unknown as Figures);
        break;
      default:
    }
  }

  #logged(attempt: number, records: readonly LogRecord[]): void {
    const known = attempt === this.#attempt ? this.#shown.logs : [];
    const last = known.at(-1)?.seq ?? -1;
    const [first] = records;
    if (first === undefined) return;
    // The log as it was read ends before: what lies between is read.
    if (first.seq > last + 1 && this.#selected !== undefined) {
      void this.#readLogs(this.#selected).catch((error: unknown) => this.#failed(error));
      return;
    }
    this.#attempt = attempt;
    const fresh = records.filter(({ seq }) => seq > last);
    if (fresh.length > 0) this.#show({ logs: [...known, ...fresh].slice(-LOG_RECORDS_MAX) });
  }

  // ---- asking

  async #readLogs(jobId: string): Promise<void> {
    const attempt = this.#jobs.get(jobId)?.attempt ?? 0;
    let logs = attempt === this.#attempt ? this.#shown.logs : [];
    for (;;) {
      const from = (logs.at(-1)?.seq ?? -1) + 1;
      const answer = await this.api.ask(`api/jobs/${jobId}/logs?from=${from}&attempt=${attempt}`);
      const lines = (await answer.text()).split('\n').filter(Boolean);
      if (jobId !== this.#selected) return;
      // Proof of the type: as the market writes them.
      const fresh = lines.map((line) => JSON.parse(line) as LogRecord);
      logs = [...logs, ...fresh].slice(-LOG_RECORDS_MAX);
      this.#attempt = attempt;
      this.#show({ logs });
      if (fresh.length === 0) return;
    }
  }

  async #nodes(): Promise<void> {
    const { nodes } = await this.api.json<{ nodes: readonly NodeView[] }>('api/nodes');
    this.#show({ nodes });
  }

  async #figures(): Promise<void> {
    this.#sample(await this.api.json<Figures>('api/stats/network'));
  }

  async #ledger(): Promise<void> {
    this.#show({ ledger: await this.api.json<Ledger>('api/ledger') });
  }

  #sample(figures: Figures): void {
    const { runningJobs: running, queuedJobs: queued } = figures;
    const made = { atMs: Date.now(), running, queued };
    this.#show({ figures, samples: [...this.#shown.samples, made].slice(-SAMPLES_MAX) });
  }

  /** Once within that time, however often it is wished. */
  #soon(what: string, ms: number, work: () => Promise<void>): void {
    if (this.#due.has(what)) return;
    this.#due.add(what);
    this.#after(ms, () => {
      this.#due.delete(what);
      work().catch((error: unknown) => this.#failed(error));
    });
  }

  #failed(error: unknown): void {
    if (!(error instanceof ApiProblem)) throw error;
    // Of one thing that is not there any more the rest is no worse.
    if (error.code === 'SIGNED_OUT' || error.code === 'OFFLINE') this.#show({ problem: error });
  }

  #show(change: Partial<Shown>): void {
    this.#shown = { ...this.#shown, ...change };
    for (const listener of this.#listeners) listener();
  }
}
