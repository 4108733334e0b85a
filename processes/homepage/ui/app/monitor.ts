/** What the node's processes do, as of now and over the last minutes; one for the whole page, so that plots outlive a change of pages. */
import { get, messageOf } from './api.ts';
import { History } from './history.ts';
import { Poller } from './poller.ts';
import { Store } from './store.ts';
import { type Row, rowsOf, type Snapshot, snapshotOf, type Totals, totalsOf } from './usage.ts';

/** Between two looks while processes are on show, ms. */
export const LIVE_MS = 1_000;
/** Between two looks on other pages, ms. */
export const CALM_MS = 5_000;

export interface Moment {
  readonly atMs: number;
  readonly rows: readonly Row[];
  readonly totals: Totals;
}

/** Undefined until the first answer. */
export const moment = new Store<Moment | undefined>(undefined);
/** Why there is none. */
export const momentError = new Store<string | undefined>(undefined);
export const history = new History();

let last: Snapshot | undefined;

async function look(): Promise<void> {
  try {
    const now = snapshotOf(await get('/api/processes'), performance.now());
    const rows = rowsOf(last, now);
    // Rates take two looks; nobody should wait for them on a page that looks seldom.
    if (last === undefined) setTimeout(() => monitor.now(), LIVE_MS);
    last = now;
    history.record(rows, now.atMs);
    momentError.value = undefined;
    moment.value = { atMs: now.atMs, rows, totals: totalsOf(rows) };
  } catch (error) {
    momentError.value = messageOf(error);
    throw error;
  }
}

export const monitor = new Poller(look, CALM_MS);
