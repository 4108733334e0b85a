/** What the market's API answers (compute-market.md §3.3, §13), as far as the page shows it. */

export interface JobView {
  readonly jobId: string;
  readonly client: string;
  readonly state: string;
  readonly substate: string | null;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly spec: {
    readonly type: string;
    readonly kind: string;
    readonly label?: string;
    readonly image?: string;
    readonly entry: { readonly fn?: string; readonly cmd?: readonly string[] };
    readonly verify?: { readonly mode: string; readonly replicas?: number };
    readonly limits: { readonly timeoutS: number };
  };
  readonly specHash: string;
  readonly payment: {
    readonly state: string;
    readonly amount: string;
    readonly payout: string | null;
  };
  readonly node: { readonly name: string } | null;
  readonly progress: { readonly ppm: number; readonly note?: string } | null;
  readonly result: {
    readonly exitCode: number;
    readonly outputs: readonly {
      readonly path: string;
      readonly size: number;
      readonly sha256: string;
    }[];
    readonly usage: Readonly<Record<string, number>>;
    readonly receiptHash: string;
    readonly expired: boolean;
  } | null;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly reason: string | null;
  /** Why no provider can have it; null: one can, or it does not wait. Not in lists. */
  readonly waiting?: readonly { readonly node: string; readonly why: string }[] | null;
  readonly times: Readonly<Record<string, number>>;
  /** Of a job that several nodes run. */
  readonly replicas?: readonly RunView[];
  readonly majority?: number;
}

export interface RunView {
  readonly index: number;
  readonly state: string;
  readonly node: string | null;
  readonly payout: string | null;
  readonly agrees: boolean | null;
  readonly error: string | null;
}

export interface Gpu {
  readonly name: string;
  readonly class: string;
  readonly memMiB: number;
}

export interface NodeView {
  readonly nodeId: string;
  readonly node: string;
  readonly status: 'online' | 'busy' | 'offline';
  readonly device: {
    readonly host: {
      readonly cpuModel: string;
      readonly cpuThreads: number;
      readonly memMiB: number;
    };
    readonly gpus: readonly Gpu[];
    readonly runners: Readonly<Record<string, unknown>>;
  } | null;
  readonly slots: number;
  readonly free: number;
  readonly prices: Readonly<Record<string, string>>;
  readonly reputation: number;
  readonly seenAt: number;
  /** Nodes that say they have one of its GPUs too. */
  readonly sharedWith: readonly string[];
  readonly registry: { readonly stake: string; readonly slashes: number } | null;
}

export interface Figures {
  readonly activeNodes: number;
  readonly runningJobs: number;
  readonly totalJobs: number;
  readonly queuedJobs: number;
}

export interface Day {
  /** `2026-11-27`, in UTC. */
  readonly day: string;
  readonly jobs: number;
  readonly completed: number;
  readonly failed: number;
  readonly paid: string;
  readonly earned: string;
  readonly fees: string;
}

export interface Ledger {
  readonly days: readonly Day[];
  readonly credits: readonly {
    readonly role: 'provider' | 'coordinator';
    readonly account: string;
    readonly amount: string;
  }[];
}

export interface Quote {
  readonly node: string | null;
  readonly class: string;
  /** Of all runs together. */
  readonly price: string;
  readonly replicas: number;
  readonly suited: number;
  readonly free: number;
  readonly unsuited: readonly { readonly node: string; readonly why: string }[];
}

export interface LogRecord {
  readonly seq: number;
  /** 1 stdout, 2 stderr, 3 the runner. */
  readonly stream: number;
  readonly atMs: number;
  readonly text: string;
}

export type Free = 'Owner' | 'Nodes' | 'Everybody';

const OVER = new Set(['completed', 'refunded', 'cancelled', 'failed']);

export function isOver({ state }: JobView): boolean {
  return OVER.has(state);
}

/** What a job is called where there is room for a few words. */
export function titleOf({ spec }: JobView): string {
  const { label, kind, image, entry } = spec;
  return label ?? entry.fn ?? image?.replace(/@.*$/, '') ?? entry.cmd?.[0] ?? kind;
}
