/** `homepage:homepage:sys`: the node's front door (packages.md §14). Apps register here; the owner's browser is shown them, and the node's processes and log. */
import {
  capability,
  type Context,
  defineProcess,
  Refusal,
  sameCapability,
  processId,
  stateOf,
  t,
} from '../../lib/index.ts';
import { addition, Apps, type Layout, layout } from './apps.ts';
import { CLOCK } from './pages.ts';
import type { Homepage } from './routes.ts';
import { Site } from './site.ts';
import { webRequestIn } from './web.ts';

/** UTF-16 units of a stylesheet that is set. */
export const STYLESHEET_CHARS_MAX = 262_144;

const message = t.union({
  Add: addition,
  Remove: t.unit,
  RemoveOther: t.text,
  SetStylesheet: t.text,
  GetApps: t.unit,
  GetPushSubscription: t.unit,
});

/** Opened by `setup`, which runs before any handler. */
let apps: Apps;
let site: Site;

export default defineProcess({
  state: stateOf(layout, (): Layout => ({ order: new Map(), favorites: new Map() })),
  setup: async (process) => {
    apps = new Apps();
    const clock = { label: 'Clock', icon: undefined, path: undefined, widget: CLOCK };
    apps.add(process.our.process, clock);
    site = await Site.open(process, apps);
  },
  onMessage: (context, process) => {
    const request = webRequestIn(context);
    return request === undefined ? obey(context, process) : site.serve(request, context);
  },
});

/** Requests of processes; some of them are, by the protocol, not answered. */
function obey(context: Context, process: Homepage): string | Promise<void> | undefined {
  if (!context.isLocal) throw new Refusal('Forbidden', 'for processes of this node');
  const decoded = message.decode(context.body);
  if (!decoded.ok) {
    const { path, expected } = decoded.error;
    throw new Refusal('BadRequest', `${path || 'body'}: expected ${expected}`);
  }
  const sender = context.source.process;
  const asked = decoded.value;
  switch (asked.kind) {
    case 'Add':
      apps.add(sender, asked.value);
      return undefined;
    case 'Remove':
      apps.remove(sender);
      return undefined;
    case 'RemoveOther':
      if (carries(context, process, asked.kind)) removeNamed(asked.value);
      return undefined;
    case 'SetStylesheet':
      return carries(context, process, asked.kind) ? restyle(asked.value) : undefined;
    case 'GetApps':
      return JSON.stringify({ GetApps: apps.list(process.state) });
    case 'GetPushSubscription':
      return '{"PushSubscription":null}';
  }
}

/** Whether the message comes with a right that this process issued. The kernel lets only holders attach it. */
function carries({ capabilities }: Context, { our }: Homepage, params: string): boolean {
  const wanted = capability(our, params);
  return capabilities.some((one) => sameCapability(one, wanted));
}

async function restyle(css: string): Promise<void> {
  if (css.length > STYLESHEET_CHARS_MAX) {
    throw new Refusal('TooLong', `a stylesheet has at most ${STYLESHEET_CHARS_MAX} characters`);
  }
  await site.setStylesheet(css);
}

function removeNamed(id: string): void {
  try {
    apps.remove(processId(id));
  } catch {
    // No name of a process: there is no entry of it either.
  }
}
