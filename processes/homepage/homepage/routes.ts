/** What each dynamic path answers (packages.md §14.2); `/api/processes` and below are ours. Only the owner reaches them. */
import { type Context, type Process, t } from '../../lib/index.ts';
import { type Apps, APPS_MAX, type Layout } from './apps.ts';
import { describe, kill, logs, restart, usage } from './kernel.ts';
import { NOTIFICATION_PATHS, notifications, onlyAsks } from './notifications.ts';
import { isHtml, widgetPage } from './pages.ts';
import { answer, isSameOrigin, json, plain, type WebAnswer, type WebRequest } from './web.ts';

/** `/version` is refused until this many have registered, so that a page that waits for the boot knows (P46). */
export const READY_APPS = 4;
export const READY_WIDGETS = 3;
/** Bytes of the body of a request. */
export const REQUEST_BYTES_MAX = 262_144;
/** What `/version` says. */
export const VERSION = '1.0.0';

export type Homepage = Process<Layout>;
/** Undefined: answered already. */
type Answered = WebAnswer | undefined;
export type Route = (request: WebRequest, context: Context) => Answered | Promise<Answered>;

export interface Methods {
  readonly GET?: Route;
  readonly POST?: Route;
}

/** By path. */
export function routesOf(homepage: Homepage, apps: Apps): Record<string, Methods> {
  const list = (): ReturnType<Apps['list']> => apps.list(homepage.state);
  return {
    '/apps': { GET: () => json(200, list()) },
    '/version': {
      GET: () => {
        const widgets = list().filter(({ widget }) => widget !== null).length;
        const ready = list().length >= READY_APPS && widgets >= READY_WIDGETS;
        return ready ? plain(200, VERSION) : plain(425, 'still starting');
      },
    },
    '/order': { POST: ({ body }) => setOrder(homepage, body()) },
    '/favorite': { POST: ({ body }) => setFavorite(homepage, body()) },
    '/widget': {
      GET: ({ query }) => {
        const widget = apps.widgetOf(query.get('id') ?? '');
        if (widget === undefined || !isHtml(widget)) return plain(404, 'no such widget');
        return widgetPage(widget, query.get('theme'));
      },
    },
    '/api/processes': { GET: () => usage(homepage) },
    '/api/process': { GET: ({ query }) => describe(homepage, query.get('id')) },
    '/api/logs': { GET: ({ query }) => logs(homepage, query) },
    '/api/kill': { POST: ({ body }) => kill(homepage, body()) },
    '/api/restart': {
      POST: ({ body }, context) => restart(homepage, body(), (first) => answer(context, first)),
    },
    ...notificationRoutes(homepage),
  };
}

/** Which route a request takes; a refusal when it may take none. */
export function routeFor(
  methods: Methods,
  request: WebRequest,
): { readonly route: Route } | { readonly refusal: WebAnswer } {
  const { method } = request;
  const route = method === 'HEAD' ? methods.GET : methods[method as keyof Methods];
  if (route === undefined) return { refusal: notAllowed(Object.keys(methods)) };
  if (method !== 'POST') return { route };
  const refusal = refusalOf(request);
  return refusal === undefined ? { route } : { refusal };
}

export function notAllowed(methods: readonly string[]): WebAnswer {
  const refusal = plain(405, 'method not allowed');
  return { ...refusal, headers: { ...refusal.headers, Allow: methods.join(', ') } };
}

/** Of a request that changes something: from a page of this node, as JSON, which no form of another site can send. */
function refusalOf({ headers, body }: WebRequest): WebAnswer | undefined {
  if (!isSameOrigin(headers)) return json(403, { error: 'only pages of this node may ask this' });
  const type = headers.get('content-type') ?? '';
  if (!/^application\/json\b/i.test(type)) {
    return json(415, { error: 'the content type must be application/json' });
  }
  return body().length > REQUEST_BYTES_MAX ? json(413, { error: 'too long' }) : undefined;
}

const orderPairs = t.list(t.tuple(t.text, t.u32));
const favoritePair = t.tuple(t.text, t.bool);

/** What the pairs do not name stays where it is. Names that are no app any more make room for those that are. */
function setOrder(homepage: Homepage, body: Uint8Array): WebAnswer {
  const pairs = orderPairs.decode(body);
  if (!pairs.ok) return json(400, { error: 'expected [["<process id>", n], ...]' });
  homepage.state = { ...homepage.state, order: merged(homepage.state.order, pairs.value) };
  return json(200, { success: true });
}

function setFavorite(homepage: Homepage, body: Uint8Array): WebAnswer {
  const pair = favoritePair.decode(body);
  if (!pair.ok) return json(400, { error: 'expected ["<process id>", true or false]' });
  homepage.state = { ...homepage.state, favorites: merged(homepage.state.favorites, [pair.value]) };
  return json(200, { success: true });
}

/** The newest names last, the oldest forgotten when there are more than twice as many as there can be apps. */
function merged<T>(
  old: ReadonlyMap<string, T>,
  pairs: readonly (readonly [string, T])[],
): ReadonlyMap<string, T> {
  const all = new Map(old);
  for (const [name, value] of pairs) {
    all.delete(name);
    all.set(name, value);
  }
  return new Map([...all].slice(-2 * APPS_MAX));
}

function notificationRoutes(homepage: Homepage): Record<string, Methods> {
  return Object.fromEntries(
    NOTIFICATION_PATHS.map((path): [string, Methods] => {
      const route: Route = ({ body }) => notifications(homepage, path, body());
      return [path, onlyAsks(path) ? { GET: route, POST: route } : { POST: route }];
    }),
  );
}
