/**
 * `hypermap-cacher:hypermap-cacher:sys`: logs of the namespace in signed files, for this node and, if its owner wants, for others
 * (hypermap.md §14). Whoever reads them takes them as hints (findings.md F34).
 */
import {
  type Context,
  defineProcess,
  every,
  formatAddress,
  type Process,
  Refusal,
  stateOf,
  t,
} from '../../lib/index.ts';
import {
  HttpError,
  type HttpReply,
  HttpServer,
  reply,
  strictHeaders,
} from '../../lib/http-server.ts';
import { readChainSettings } from '../../lib/chain-settings.ts';
import {
  cacherRequest,
  type CacherRequest,
  cacherResponse,
  type CacherResponse,
  cacherStatus,
  manifest,
} from '../contract.ts';
import { type CacherParts, fetchFromChain, fetchFromPeer, INTERVAL_S } from './cacher.ts';
import { BatchStore } from './store.ts';
import { PROTOCOL } from './batch.ts';

const NODES_MAX = 64;

const state = t.record({ providing: t.bool, nodes: t.option(t.list(t.text)) });
type State = t.Decoded<typeof state>;
type Handle = Process<State>;

let parts: CacherParts;
let starting = true;
let nextAtMs = 0;
let running: Promise<void> | undefined;

/** For whoever has no node, without a login: only while the owner provides, as for other nodes. */
const http = new HttpServer<State>({ authenticated: false, headers: strictHeaders });
for (const path of ['/manifest', '/manifest.json'] as const)
  http.get(path, (_request, process) =>
    provided(process, () => reply.coded(manifest, parts.store.manifest)),
  );
http.get('/status', (_request, process) =>
  provided(process, () => reply.coded(cacherStatus, status(process))),
);
http.get('/log-cache/:file', ({ params }, process) =>
  provided(process, async () => {
    const text = await parts.store.content(params.file);
    if (text === undefined) throw new Refusal('NotFound', 'the manifest names no such file');
    return reply.bytes(new TextEncoder().encode(text), { type: 'application/json' });
  }),
);

function provided<R extends HttpReply | Promise<HttpReply>>(process: Handle, give: () => R): R {
  if (!process.state.providing) throw new Refusal('Forbidden', 'this node provides nothing');
  if (starting) throw new HttpError(503, 'the cache is being filled; try again', 'IsStarting');
  return give();
}

export default defineProcess({
  http,
  state: stateOf(state, (): State => ({ providing: false, nodes: undefined })),
  setup: async (process: Handle) => {
    const settings = await readChainSettings(process);
    parts = { process, settings, store: await BatchStore.open(process, settings.chain_id) };
    starting = true;
    running = undefined;
    void work(process);
    void every(process, INTERVAL_S * 1_000, () => work(process)).catch((error: unknown) =>
      process.print(`caching has stopped: ${String(error)}`),
    );
  },
  onMessage: async (context, process) => {
    const request = cacherRequest.decode(context.body);
    if (!request.ok || !context.expectsResponse) return;
    context.reply(cacherResponse.encode(await answer(request.value, context, process)));
  },
});

/** One round; a second one that is asked for meanwhile is the same. */
function work(process: Handle): Promise<void> {
  running ??= round(process).finally(() => {
    running = undefined;
    starting = false;
    nextAtMs = Date.now() + INTERVAL_S * 1_000;
  });
  return running;
}

async function round(process: Handle): Promise<void> {
  try {
    if (parts.store.last === undefined) {
      const sources = shuffled(process.state.nodes ?? parts.settings.cache_sources ?? []);
      for (const node of sources) {
        if (node !== process.our.node && (await fetchFromPeer(parts, node))) break;
      }
    }
    await fetchFromChain(parts);
  } catch (error) {
    // Without somebody who signs, or a chain, there is nothing to keep; the next round tries again.
    process.print(`nothing new is cached: ${String(error)}`, 1);
  }
}

async function answer(
  request: CacherRequest,
  context: Context,
  process: Handle,
): Promise<CacherResponse> {
  const { store } = parts;
  if (!context.isLocal && !mayRead(request, context, process)) return { kind: 'Rejected' };
  if (starting) return { kind: 'IsStarting' };
  switch (request.kind) {
    case 'GetManifest':
      return { kind: 'GetManifest', value: store.manifest };
    case 'GetLogCacheContent':
      return {
        kind: request.kind,
        value: { kind: 'Ok', value: await store.content(request.value) },
      };
    case 'GetStatus':
      return { kind: 'GetStatus', value: status(process) };
    case 'GetLogsByRange': {
      const { from_block: from, to_block: to } = request.value;
      const found = await store.range(Number(from), Number(to ?? Number.MAX_SAFE_INTEGER));
      const value =
        found === undefined
          ? ({ kind: 'Latest', value: store.last ?? 0 } as const)
          : ({ kind: 'Logs', value: [found.last, found.text] } as const);
      return { kind: 'GetLogsByRange', value: { kind: 'Ok', value } };
    }
    case 'StartProviding':
    case 'StopProviding': {
      const providing = request.kind === 'StartProviding';
      process.state = { ...process.state, providing };
      const said = providing ? 'other nodes may read' : 'other nodes may not read';
      return { kind: request.kind, value: { kind: 'Ok', value: said } };
    }
    case 'SetNodes':
      if (request.value.length > NODES_MAX)
        return { kind: 'SetNodes', value: { kind: 'Err', value: `at most ${NODES_MAX} nodes` } };
      process.state = { ...process.state, nodes: request.value };
      return { kind: 'SetNodes', value: { kind: 'Ok', value: 'nodes are set' } };
    case 'Reset':
      if (request.value !== undefined)
        process.state = { ...process.state, nodes: request.value.slice(0, NODES_MAX) };
      await store.clear();
      starting = true;
      void work(process);
      return { kind: 'Reset', value: { kind: 'Ok', value: 'the cache is empty and being filled' } };
  }
}

/** Other nodes: their cachers only, to read only, and only if our owner wants. */
function mayRead(
  { kind }: CacherRequest,
  { source }: Context,
  { our, state: { providing } }: Handle,
): boolean {
  return providing && source.process === our.process && kind.startsWith('Get');
}

function status(process: Handle): Extract<CacherResponse, { kind: 'GetStatus' }>['value'] {
  const { store, settings } = parts;
  return {
    last_cached_block: store.last ?? 0,
    chain_id: String(settings.chain_id),
    protocol_version: PROTOCOL,
    next_cache_attempt_in_seconds:
      running === undefined ? Math.max(0, Math.ceil((nextAtMs - Date.now()) / 1_000)) : undefined,
    manifest_filename: store.manifest.manifestFilename,
    log_files_count: store.manifest.items.size,
    our_address: formatAddress(process.our),
    is_providing: process.state.providing,
  };
}

/** So that not all nodes ask the same one. */
function shuffled(nodes: readonly string[]): string[] {
  const left = [...nodes];
  const order: string[] = [];
  while (left.length > 0) order.push(...left.splice(Math.floor(Math.random() * left.length), 1));
  return order;
}
