/**
 * `/metrics` (Prometheus text) and `/health` (JSON) on a listener of their own, off unless asked for: what they tell is the owner's
 * business, and the public port has no such paths. Built of prom-client, which is loaded only then.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import { type Counters, ANSWER_S_BOUNDS } from './counters.ts';
import { ListenError } from './listen.ts';
import { parseHost } from './requests/visit.ts';

/** One figure that the node adds, such as the number of processes. */
export interface Figure {
  /** As Prometheus wants it: `hyperloom_processes`. */
  readonly name: string;
  readonly help: string;
  /** A counter only grows. Default: gauge. */
  readonly kind?: 'gauge' | 'counter';
  readonly value: number;
}

export interface MetricsNeeds {
  readonly node: string;
  readonly version: string | undefined;
  readonly counters: Counters;
  /** Open WebSockets, waiting requests and bound paths at this moment. */
  readonly now: () => {
    webSockets: number;
    waiting: number;
    bindings: number;
    connections: number;
  };
  readonly figures: () => readonly Figure[];
  readonly upMs: () => number;
}

export interface MetricsServer extends AsyncDisposable {
  readonly address: AddressInfo;
}

/** Listens. @throws ListenError */
export async function serveMetrics(
  host: string,
  port: number,
  needs: MetricsNeeds,
): Promise<MetricsServer> {
  const registry = await registryOf(needs);
  const server = createServer({ headersTimeout: 10_000, requestTimeout: 10_000 });
  server.maxConnections = 64;
  server.on('request', (request, response) => {
    void answer(request, response, { registry, needs, loopback: isLoopback(host) });
  });
  try {
    server.listen({ host, port, exclusive: true });
    await once(server, 'listening');
  } catch (cause) {
    throw new ListenError(
      'port-taken',
      `the metrics cannot be served on ${host}:${port} (${(cause as Error).message}); name another port with --metrics-port.`,
      { cause },
    );
  }
  return { address: server.address() as AddressInfo, [Symbol.asyncDispose]: () => close(server) };
}

async function close(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host.startsWith('127.') || host === '::1';
}

interface Answering {
  readonly registry: Registry;
  readonly needs: MetricsNeeds;
  readonly loopback: boolean;
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { registry, needs, loopback }: Answering,
): Promise<void> {
  request.resume();
  const send = (status: number, type: string, text: string): void => {
    response.writeHead(status, {
      'Content-Type': type,
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
    });
    response.end(request.method === 'HEAD' ? undefined : text);
  };
  // A name that somebody had point here is not how the owner asks (F21).
  if (loopback && parseHost(request.headers.host ?? '')?.loopback !== true) {
    return send(403, 'text/plain; charset=utf-8', 'only under localhost or 127.0.0.1\n');
  }
  const [path] = (request.url ?? '').split('?');
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    send(405, 'text/plain; charset=utf-8', 'GET or HEAD\n');
  } else if (path === '/metrics') {
    send(200, registry.contentType, await registry.metrics());
  } else if (path === '/health') {
    const { node, version, upMs } = needs;
    const upS = Math.floor(upMs() / 1000);
    send(200, 'application/json', JSON.stringify({ status: 'ok', node, version, upS }));
  } else {
    send(404, 'text/plain; charset=utf-8', '/metrics or /health\n');
  }
}

async function registryOf(needs: MetricsNeeds): Promise<Registry> {
  const {
    Registry: Made,
    Counter,
    Gauge,
    Histogram,
    collectDefaultMetrics,
  } = await import('prom-client');
  const registry = new Made();
  collectDefaultMetrics({ register: registry });
  const { counters, now } = needs;
  const registers: Registry[] = [];
  const gauge = (name: string, help: string, read: () => number): void =>
    registry.registerMetric(
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(read());
        },
      }),
    );
  const counter = (name: string, help: string, read: () => number): void =>
    registry.registerMetric(
      new Counter({
        name,
        help,
        registers,
        collect() {
          this.reset();
          this.inc(read());
        },
      }),
    );
  const answers = new Counter({
    name: 'hyperloom_http_responses_total',
    help: 'Answers by class of status.',
    labelNames: ['class'],
    registers,
    collect() {
      this.reset();
      for (const [digit, count] of counters.byClass.entries()) {
        if (digit > 0) this.inc({ class: `${digit}xx` }, count);
      }
    },
  });
  registry.registerMetric(answers);
  counter('hyperloom_http_request_bytes_total', 'Bytes of request bodies.', () => counters.bytesIn);
  counter('hyperloom_http_response_bytes_total', 'Bytes of answers.', () => counters.bytesOut);
  counter(
    'hyperloom_websockets_opened_total',
    'WebSockets opened.',
    () => counters.webSocketsOpened,
  );
  gauge(
    'hyperloom_http_requests_waiting',
    'Requests that wait for a process.',
    () => now().waiting,
  );
  gauge('hyperloom_http_connections', 'Open connections.', () => now().connections);
  gauge('hyperloom_http_bindings', 'Bound paths.', () => now().bindings);
  gauge('hyperloom_websockets_open', 'Open WebSockets.', () => now().webSockets);
  const times = new Histogram({
    name: 'hyperloom_http_answer_seconds',
    help: 'How long processes took to answer.',
    buckets: [...ANSWER_S_BOUNDS],
    registers,
  });
  registry.registerMetric(times);
  counters.onAnswer = (ms) => times.observe(ms / 1000);
  for (const { name, help, kind } of needs.figures()) {
    const read = (): number => needs.figures().find((each) => each.name === name)?.value ?? 0;
    (kind === 'counter' ? counter : gauge)(name, help, read);
  }
  return registry;
}
