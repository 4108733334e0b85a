/**
 * `http.*`: the web server's CPU for a request over 64 keep-alive connections, beside plain node:http with the same payload. The load
 * comes from a process of its own; the CPU is this process's, which serves both.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { systemClock } from '../../kernel/clock.ts';
import type { ModuleRequest } from '../../kernel/module.ts';
import { httpServer, type HttpServerModule } from '../../runtime-modules/http-server/index.ts';
import { moduleId, processId } from '../../wit/address.ts';
import { testNode, type TestNode } from '../support/node.ts';
import { guest } from './guests.ts';
import type { Load, Loaded } from './http-load.ts';
import { CONNECTIONS } from './http-load.ts';
import { median } from './measure.ts';
import { count, type Bench, type Row, type Scale } from './row.ts';

const STATIC_RATIO_MAX = 1.4;
const NATIVE_RATIO_MAX = 2.5;
/** 2,500 requests a second. */
const TS_US_MAX = 400;
const APP = processId('app:bench:sys');
const PAYLOAD = 'a'.repeat(1024);
const FLOOR = 'plain node:http, the same 1 KiB';

export const https: readonly Bench[] = [
  {
    name: 'http.static.cached',
    run: (scale) => beside('http.static.cached', scale, STATIC_RATIO_MAX, undefined),
  },
  {
    name: 'http.dynamic.native',
    run: (scale) => beside('http.dynamic.native', scale, NATIVE_RATIO_MAX, 'http.wat'),
  },
  {
    name: 'http.dynamic.ts',
    async run(scale) {
      await using bench = await Served.start('http.ts');
      const requests = count(10_000, scale, 200);
      await bench.load(bench.port, `/${APP}`, requests);
      const runs = await repeat(scale.runs, () => bench.load(bench.port, `/${APP}`, requests));
      const value = median(runs.map(({ wallUs }) => wallUs));
      return [
        {
          name: 'http.dynamic.ts',
          value,
          unit: 'us',
          floor: undefined,
          target: { of: 'value', max: TS_US_MAX },
          ...spread(runs),
          runs: scale.runs,
          note: `wall time a request, ${rate(value)}; answered by a QuickJS component`,
        },
      ];
    },
  },
];

interface Measured {
  /** CPU of this process for one request. */
  readonly cpuUs: number;
  readonly wallUs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

async function beside(
  name: string,
  scale: Scale,
  max: number,
  component: string | undefined,
): Promise<readonly Row[]> {
  await using bench = await Served.start(component);
  const requests = count(40_000, scale, 200);
  const path = `/${APP}`;
  await bench.load(bench.port, path, requests);
  await bench.load(bench.floorPort, path, requests);
  const ours: Measured[] = [];
  const floor: Measured[] = [];
  for (let run = 0; run < scale.runs; run++) {
    ours.push(await bench.load(bench.port, path, requests));
    floor.push(await bench.load(bench.floorPort, path, requests));
  }
  const wall = median(ours.map(({ wallUs }) => wallUs));
  return [
    {
      name,
      value: median(ours.map(({ cpuUs }) => cpuUs)),
      unit: 'us',
      floor: median(floor.map(({ cpuUs }) => cpuUs)),
      target: { of: 'ratio', max },
      runs: scale.runs,
      note: `CPU a request, ${rate(wall)}; floor: ${FLOOR}, ${rate(median(floor.map(({ wallUs }) => wallUs)))}`,
    },
  ];
}

/** A node whose web server answers, the floor beside it, and the process that loads them. */
class Served implements AsyncDisposable {
  readonly port: number;
  readonly floorPort: number;
  readonly #node: TestNode;
  readonly #floor: Server;
  readonly #loader: ChildProcess;

  private constructor(node: TestNode, port: number, floor: Server, loader: ChildProcess) {
    this.#node = node;
    this.port = port;
    this.#floor = floor;
    this.floorPort = (floor.address() as AddressInfo).port;
    this.#loader = loader;
  }

  /** @param component  of the guest that answers; undefined: static content */
  static async start(component: string | undefined): Promise<Served> {
    const node = await testNode();
    const kernelPort = node.kernel.port('http-server');
    const web = httpServer({ port: 0, host: '127.0.0.1' })({
      port: kernelPort,
      clock: systemClock,
    });
    node.kernel.registerModule(web);
    const { port } = await web.listen();
    if (component !== undefined) {
      const server = { node: node.kernel.our, process: moduleId('http-server') };
      await node.start(APP, await guest(component), {
        capabilities: [{ issuer: server, params: '"messaging"' }],
      });
    }
    await bind(node, web, component === undefined);
    const floor = createServer((_request, response) => {
      response.writeHead(200, {
        'Content-Type': 'application/json',
        'Content-Length': PAYLOAD.length,
      });
      response.end(PAYLOAD);
    });
    floor.listen(0, '127.0.0.1');
    await once(floor, 'listening');
    const loader = fork(new URL('http-load.ts', import.meta.url), {
      stdio: 'inherit',
      execArgv: [],
    });
    return new Served(node, port, floor, loader);
  }

  async load(port: number, path: string, requests: number): Promise<Measured> {
    const before = process.cpuUsage();
    this.#loader.send({ port, path, requests } satisfies Load);
    const [loaded] = (await once(this.#loader, 'message')) as [Loaded];
    const { user, system } = process.cpuUsage(before);
    const { ms, errors, p50Ms, p99Ms } = loaded;
    if (errors > 0) throw new Error(`${errors} of ${requests} answers were wrong`);
    return { cpuUs: (user + system) / requests, wallUs: (ms * 1000) / requests, p50Ms, p99Ms };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#loader.kill();
    this.#floor.closeAllConnections();
    this.#floor.close();
    await this.#node[Symbol.asyncDispose]();
  }
}

/** As if the process had asked for it: the guests here only answer. */
async function bind(node: TestNode, web: HttpServerModule, cache: boolean): Promise<void> {
  const body = { Bind: { path: '/', authenticated: false, local_only: false, cache } };
  const request: ModuleRequest = {
    id: 1,
    source: { node: node.kernel.our, process: APP },
    local: true,
    rsvp: undefined,
    body: new TextEncoder().encode(JSON.stringify(body)),
    blob: { mime: 'application/json', bytes: new TextEncoder().encode(PAYLOAD) },
    metadata: undefined,
    expectsResponse: true,
    timeoutS: undefined,
    capabilities: [],
    caller: { exists: true, holds: () => false, heldFrom: () => [] },
  };
  const decoded = web.decode(request);
  if (!decoded.ok) throw new Error('the bench cannot bind its path');
  await web.handle(decoded.value, new AbortController().signal);
}

async function repeat(runs: number, once_: () => Promise<Measured>): Promise<Measured[]> {
  const taken: Measured[] = [];
  for (let run = 0; run < runs; run++) taken.push(await once_());
  return taken;
}

function spread(runs: readonly Measured[]): { p50: number; p99: number } {
  return {
    p50: median(runs.map(({ p50Ms }) => p50Ms)) * 1000,
    p99: median(runs.map(({ p99Ms }) => p99Ms)) * 1000,
  };
}

function rate(wallUs: number): string {
  return `${Math.round(1_000_000 / wallUs)} requests/s over ${CONNECTIONS} connections`;
}
