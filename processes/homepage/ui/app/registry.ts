/** The apps as the node lists them, and what is done to their order here before the node has it. */
import { get, messageOf, post } from './api.ts';
import { type App, changeBetween } from './apps.ts';
import { tell } from './notices.ts';
import { Poller } from './poller.ts';
import { Store } from './store.ts';

/** Between two looks at the list, ms: apps come when they start, and their pictures are large. */
export const APPS_MS = 10_000;

/** Undefined until the first answer. */
export const apps = new Store<readonly App[] | undefined>(undefined);
/** Why there is none. */
export const appsError = new Store<string | undefined>(undefined);

let shown = '';
/** Changes under way; what the node says meanwhile is older than what is seen. */
let saving = 0;

async function look(): Promise<void> {
  try {
    const listed = await get('/apps');
    if (!Array.isArray(listed)) throw new Error('the node does not list its apps');
    appsError.value = undefined;
    const text = JSON.stringify(listed);
    if (saving > 0 || text === shown) return;
    shown = text;
    // Proof of the type: what homepage/apps.ts lists; the page shows only texts of it.
    apps.value = listed as App[];
  } catch (error) {
    appsError.value = messageOf(error);
    throw error;
  }
}

export const registry = new Poller(look, APPS_MS);

/** Shows the apps as they stand now that `id` has been moved, and tells the node; on a failure all stands as before. */
export async function rearrange(after: readonly App[], id: string): Promise<void> {
  const before = apps.value ?? [];
  const change = changeBetween(before, after, id);
  if (change === undefined) return;
  apps.value = after;
  saving += 1;
  try {
    if (change.order.length > 0) await post('/order', change.order);
    if (change.favorite !== undefined) await post('/favorite', change.favorite);
    shown = '';
  } catch (error) {
    apps.value = before;
    tell(`Not saved: ${messageOf(error)}`, { bad: true });
  } finally {
    saving -= 1;
  }
}
