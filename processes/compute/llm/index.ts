/** `llm:compute:sys`: models of this node for clients of OpenAI's interface, metered and paid (compute-market.md §12). */
import { namehash } from '../../../contracts/hypermap.ts';
import { defineProcess } from '../../lib/index.ts';
import { client } from '../../lib/client.ts';
import { contract } from '../../lib/contract.ts';
import { HttpReply, HttpServer, reply } from '../../lib/http-server.ts';
import type { Process } from '../../lib/process.ts';
import { signer } from '../../lib/signer.ts';
import { every, sleep } from '../../lib/timers.ts';
import { drive as openOwnDrive } from '../../lib/vfs.ts';
import { modelEventMethods, modelMethods } from '../shared/model-contract.ts';
import { Accounts, dayOf } from './accounts.ts';
import { Balancer } from './balancer.ts';
import { Catalog, type Gpu } from './catalog.ts';
import { Dispatch } from './dispatch.ts';
import { Gateway } from './gateway.ts';
import { Keys } from './keys.ts';
import { Metrics } from './metrics.ts';
import { OperatorApi } from './operator-api.ts';
import { Rate } from './rate.ts';
import { sessionOnChain } from './session-chain.ts';
import { Sessions, signedVoucher } from './sessions.ts';
import { readSettings } from './settings.ts';
import { type Change, Store } from './store.ts';

const GPU = 'gpu:compute:sys';
/** Between two looks at models, settings, and answers that are slow. */
const TICK_MS = 2_500;

interface Parts {
  readonly gateway: Gateway;
  readonly operator: OperatorApi;
  readonly sessions: Sessions;
  readonly catalog: Catalog;
  readonly dispatch: Dispatch;
  readonly metrics: Metrics;
}
let parts: Parts;

const OPEN = { authenticated: false, localOnly: false } as const;
const http = new HttpServer();

http.get('/v1/models', (request) => parts.gateway.models(request), OPEN);
// Names of models may have slashes.
http.get('/v1/models/*name', (request) => parts.gateway.models(request, request.params.name), OPEN);
http.post('/v1/chat/completions', (request) => parts.gateway.answer('chat', request), OPEN);
http.post('/v1/completions', (request) => parts.gateway.answer('completions', request), OPEN);
http.post('/v1/embeddings', (request) => parts.gateway.answer('embeddings', request), OPEN);
http.post('/v1/tokenize', (request) => parts.gateway.tokenize(request), OPEN);
http.get(
  '/v1/vouchers',
  (request) => {
    const found = parts.gateway.sessionOf(request);
    return found instanceof HttpReply ? found : reply.json(parts.sessions.view(found.jobId));
  },
  OPEN,
);
http.post(
  '/v1/vouchers',
  async (request) => {
    const found = parts.gateway.sessionOf(request);
    if (found instanceof HttpReply) return found;
    const { voucher, signature } = request.json(signedVoucher);
    return reply.json(await parts.sessions.accept(found.jobId, voucher, signature));
  },
  OPEN,
);
http.get(
  '/health',
  () => {
    const models = parts.catalog.models.length;
    return reply.json(
      { status: models > 0 ? 'ok' : 'no models', models },
      { status: models > 0 ? 200 : 503 },
    );
  },
  OPEN,
);
http.get('/metrics', () => reply.text(parts.metrics.text()), OPEN);

http.post('/api/keys', (request) => parts.operator.makeKey(request));
http.get('/api/keys', () => parts.operator.listKeys());
http.delete('/api/keys/:id', ({ params: { id } }) => parts.operator.revokeKey(id));
http.get('/api/ledger', (request) => parts.operator.ledger(request));
http.post('/api/ledger', (request) => parts.operator.topUp(request));
http.get('/api/receipts', (request) => parts.operator.receipts(request));
http.post('/api/sessions', (request) => parts.operator.openSession(request));
http.get('/api/sessions', () => parts.operator.listSessions());

async function open(process: Process<unknown>): Promise<void> {
  const print = (text: string): void => process.print(text);
  const nowMs = (): number => Date.now();
  const drive = await openOwnDrive(process, 'llm');
  const store = await Store.open(process, nowMs);
  const write = (change: Change): Promise<void> =>
    store.write(change).catch((error: unknown) => {
      // What is in memory is ahead of the disk: only what is on disk counts, so the process begins anew from there.
      print(`money cannot be written down, the service starts again: ${String(error)}`);
      process.exit();
      throw error;
    });
  const [kept, ledger, sessionsKept, spent] = await Promise.all([
    store.keys(),
    store.ledger(),
    store.sessions(),
    store.spentSince(dayOf(nowMs())),
  ]);
  // Requests that died with an earlier run cost nothing.
  const released = ledger.open.flatMap(({ ref }) => ledger.capture(ref, 0n));
  if (released.length > 0) await store.write({ entries: released });

  const keys = new Keys({ put: (key) => store.putKey(key), nowMs }, kept);
  const methods = contract(modelMethods);
  const gpu: Gpu = {
    ask: client(process, methods, GPU),
    tell: (kind, value) => process.send(GPU, methods.requests.encode({ kind, value })),
  };
  const balancer = new Balancer(Math.random);
  const settings = (): ReturnType<typeof readSettings> => readSettings(drive, print);
  const catalog = new Catalog({ gpu, balancer, settings }, await settings());
  const sessions = new Sessions(
    {
      signer: signer(process),
      keep: (session) => write({ session }),
      nowMs,
      maxDebt: () => catalog.settings.maxDebt,
    },
    sessionsKept,
  );
  const dispatch = new Dispatch({
    ...{ gpu, balancer, catalog, nowMs, newId },
    sleep: (ms) => sleep(process, ms),
  });
  const metrics = new Metrics();
  const gateway = new Gateway({
    node: process.our.node,
    keys,
    accounts: new Accounts({ ledger, sessions, write, nowMs }, spent),
    sessions,
    catalog,
    dispatch,
    metrics,
    requests: new Rate(),
    tokens: new Rate(),
    wrong: new Rate(),
    nowMs,
    newId,
    print,
  });
  const operator = new OperatorApi({
    ...{ keys, ledger, sessions, store },
    onChain: (jobId) => sessionOnChain(process, namehash(process.our.node), jobId),
  });
  parts = { gateway, operator, sessions, catalog, dispatch, metrics };
  void catalog.look();
  void every(process, TICK_MS, async () => {
    dispatch.tick();
    await catalog.look();
  });
}

function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export default defineProcess({
  contract: contract(modelEventMethods, { access: 'package' }),
  http,
  setup: open,
  on: {
    ModelPiece: ({ rid, state }, context) =>
      parts.dispatch.piece(rid, state, context.blob()?.bytes ?? new Uint8Array()),
  },
});
