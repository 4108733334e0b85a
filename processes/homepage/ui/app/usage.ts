/** What the kernel says of its processes, and what two such answers say together. */

/** One process of `{"Debug":"Usage"}` (wit/kernel-api.ts); sums run over its restarts. */
export interface Usage {
  readonly state: string;
  readonly fuel: number;
  readonly cpu_ms: number;
  readonly memory_bytes: number;
  readonly messages_received: number;
  readonly messages_sent: number;
  readonly mailbox: number;
  readonly mailbox_bytes: number;
  readonly capabilities: number;
  readonly uptime_ms: number;
  readonly restarts: number;
  readonly last_end?: string | null;
  readonly queued_operations: number;
  readonly package?: {
    readonly disk_bytes: number | null;
    readonly disk_bytes_max: number | null;
    readonly open_handles: number;
  };
}

export interface Snapshot {
  /** Milliseconds of a clock that only goes forward. */
  readonly atMs: number;
  readonly processes: ReadonlyMap<string, Usage>;
}

/** A process at one moment, with what it did since the moment before; rates are undefined while there is none. */
export interface Row {
  readonly id: string;
  readonly usage: Usage;
  /** Share of one core. */
  readonly cpu: number | undefined;
  readonly fuelPerS: number | undefined;
  readonly inPerS: number | undefined;
  readonly outPerS: number | undefined;
}

export interface Totals {
  /** Those that are no part of the node itself. */
  readonly processes: number;
  readonly cpu: number | undefined;
  readonly memoryBytes: number;
  readonly messagesPerS: number | undefined;
}

/** Reads the answer of `/api/processes`. @throws Error for anything else */
export function snapshotOf(answer: unknown, atMs: number): Snapshot {
  const usage = (answer as { Debug?: { Usage?: Record<string, Usage> } } | null)?.Debug?.Usage;
  if (typeof usage !== 'object') throw new Error('the node says nothing about its processes');
  return { atMs, processes: new Map(Object.entries(usage)) };
}

export function rowsOf(before: Snapshot | undefined, now: Snapshot): Row[] {
  const seconds = before === undefined ? 0 : elapsedMs(before, now) / 1_000;
  return [...now.processes].map(([id, usage]) => {
    const old = before?.processes.get(id);
    const perS = (pick: (usage: Usage) => number): number | undefined => {
      if (old === undefined || seconds <= 0) return undefined;
      const more = pick(usage) - pick(old);
      // Counters never go back: if one did, it is another process of the same name.
      return more < 0 ? undefined : more / seconds;
    };
    const cpuMsPerS = perS(({ cpu_ms }) => cpu_ms);
    return {
      id,
      usage,
      cpu: cpuMsPerS === undefined ? undefined : cpuMsPerS / 1_000,
      fuelPerS: perS(({ fuel }) => fuel),
      inPerS: perS(({ messages_received }) => messages_received),
      outPerS: perS(({ messages_sent }) => messages_sent),
    };
  });
}

/**
 * Time between two answers as the node saw it: how much longer its processes have been up. The time at which an answer arrives here
 * has the jitter of the network in it, which would show as CPU load.
 */
export function elapsedMs(before: Snapshot, now: Snapshot): number {
  let longest = 0;
  for (const [id, { uptime_ms }] of now.processes) {
    const old = before.processes.get(id);
    if (old !== undefined) longest = Math.max(longest, uptime_ms - old.uptime_ms);
  }
  return longest > 0 ? longest : now.atMs - before.atMs;
}

export function totalsOf(rows: readonly Row[]): Totals {
  const sum = (pick: (row: Row) => number | undefined): number | undefined => {
    const known = rows.map(pick).filter((value) => value !== undefined);
    return known.length === 0 ? undefined : known.reduce((all, value) => all + value, 0);
  };
  return {
    processes: rows.filter(({ usage }) => !isPartOfNode(usage)).length,
    cpu: sum(({ cpu }) => cpu),
    memoryBytes: sum(({ usage }) => usage.memory_bytes) ?? 0,
    messagesPerS: sum(({ inPerS }) => inPerS),
  };
}

/** The kernel and its runtime modules: native code, which is not metered, and which nothing here ends. */
export function isPartOfNode({ state }: Usage): boolean {
  return state === 'module' || state === 'kernel';
}
