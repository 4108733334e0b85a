/** The jobs that the page knows: the latest ones, older ones if they are asked for, each kept up when the market says that it changed. */
import type { MarketApi } from './market-api.ts';
import type { JobView } from './views.ts';

/** Jobs that are asked for at a time. */
const PAGE = 50;
/** A job that changes is asked for again after so long, in milliseconds. */
const CHANGED_MS = 150;
/** Jobs that are kept, so that a page which stays open for days does not grow. */
const JOBS_MAX = 1_000;

export interface JobsNeeds {
  readonly after: (ms: number, work: () => void) => void;
  readonly changed: () => void;
  readonly failed: (error: unknown) => void;
}

interface Page {
  readonly jobs: readonly JobView[];
  readonly cursor: string | null;
}

export class Jobs {
  readonly #api: MarketApi;
  readonly #needs: JobsNeeds;
  readonly #known = new Map<string, JobView>();
  readonly #due = new Set<string>();
  #cursor: string | null | undefined;
  #all: readonly JobView[] | undefined;

  constructor(api: MarketApi, needs: JobsNeeds) {
    this.#api = api;
    this.#needs = needs;
  }

  /** Latest first; undefined until they are known. */
  get all(): readonly JobView[] | undefined {
    return this.#all;
  }

  get hasMore(): boolean {
    return typeof this.#cursor === 'string' && this.#known.size < JOBS_MAX;
  }

  get(jobId: string): JobView | undefined {
    return this.#known.get(jobId);
  }

  /** The latest ones, again. */
  async first(): Promise<void> {
    const { jobs, cursor } = await this.#api.json<Page>(`api/jobs?limit=${PAGE}`);
    for (const job of jobs) this.#known.set(job.jobId, job);
    // Older ones that were asked for before go on where they were.
    this.#cursor ??= cursor;
    this.#order();
  }

  async more(): Promise<void> {
    if (typeof this.#cursor !== 'string') return;
    const path = `api/jobs?limit=${PAGE}&cursor=${encodeURIComponent(this.#cursor)}`;
    const { jobs, cursor } = await this.#api.json<Page>(path);
    for (const job of jobs) this.#known.set(job.jobId, job);
    this.#cursor = cursor;
    this.#order();
  }

  async one(jobId: string): Promise<void> {
    this.take(await this.#api.json<JobView>(`api/jobs/${jobId}`));
  }

  take(job: JobView): void {
    this.#known.set(job.jobId, job);
    this.#order();
  }

  /** It is asked for again soon; what changes until then costs nothing more. */
  changed(jobId: string): void {
    if (this.#due.has(jobId)) return;
    this.#due.add(jobId);
    this.#needs.after(CHANGED_MS, () => {
      this.#due.delete(jobId);
      this.one(jobId).catch(this.#needs.failed);
    });
  }

  progress(jobId: string, progress: NonNullable<JobView['progress']>): void {
    const job = this.#known.get(jobId);
    if (job !== undefined) this.take({ ...job, progress });
  }

  #order(): void {
    const created = ({ times }: JobView): number => times['created'] ?? 0;
    const sorted = [...this.#known.values()].toSorted((a, b) => created(b) - created(a));
    for (const { jobId } of sorted.splice(JOBS_MAX)) this.#known.delete(jobId);
    this.#all = sorted;
    this.#needs.changed();
  }
}
