/** A provider to test with, over a real WebSocket: it answers what the test says, and counts what it was asked. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { type Bench, OUR_NODE, type TestPort } from '../shared/testing.ts';
import type { ProviderConfig } from '../../wit/eth-api.ts';
import type { EthWork } from './index.ts';

export interface RpcCall {
  readonly method: string;
  readonly params: unknown;
}

/** `{ result }`, `{ error }`, text to send as it is, or undefined for silence; or a promise of it. */
export type Script = (call: RpcCall) => unknown;

export class TestProvider implements AsyncDisposable {
  readonly calls: RpcCall[] = [];
  readonly headers: (string | undefined)[] = [];
  readonly #server: WebSocketServer;
  readonly #sockets = new Set<WebSocket>();
  script: Script;
  /** What a new connection is told that asks; undefined: the script is asked, as for everything else. */
  chainId: string | undefined = '0x7a69';

  private constructor(server: WebSocketServer, script: Script) {
    this.#server = server;
    this.script = script;
    server.on('connection', (socket, request) => {
      this.headers.push(request.headers.authorization);
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      // A text message of one client, never in pieces here.
      socket.once('message', (data) => {
        const first = (data as Buffer).toString();
        if (!this.#greet(socket, first)) this.#answer(socket, first);
        socket.on('message', (later) => this.#answer(socket, (later as Buffer).toString()));
      });
    });
  }

  static async start(script: Script, port = 0): Promise<TestProvider> {
    const server = new WebSocketServer({ host: '127.0.0.1', port });
    await once(server, 'listening');
    return new TestProvider(server, script);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/key-in-the-path`;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  count(method: string): number {
    return this.calls.filter((call) => call.method === method).length;
  }

  config(chainId = 31_337): ProviderConfig {
    const value = { url: this.url, auth: undefined };
    return { chain_id: chainId, trusted: false, provider: { kind: 'RpcUrl', value } };
  }

  /** Something happened on a subscription. */
  notify(subscription: string, result: unknown): void {
    const params = { subscription, result };
    for (const socket of this.#sockets)
      socket.send(JSON.stringify({ jsonrpc: '2.0', method: 'eth_subscription', params }));
  }

  /** Sends text as it is to everybody. */
  say(text: string): void {
    for (const socket of this.#sockets) socket.send(text);
  }

  /** Cuts every connection. */
  drop(): void {
    for (const socket of this.#sockets) socket.terminate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drop();
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }

  /** The module's first question, which is none of the calls that tests count. */
  #greet(socket: WebSocket, text: string): boolean {
    const { id, method } = JSON.parse(text) as RpcCall & { readonly id: number };
    if (method !== 'eth_chainId' || this.chainId === undefined) return false;
    socket.send(JSON.stringify({ jsonrpc: '2.0', id, result: this.chainId }));
    return true;
  }

  #answer(socket: WebSocket, text: string): void {
    const { id, method, params } = JSON.parse(text) as RpcCall & { readonly id: number };
    this.calls.push({ method, params });
    const send = (answer: unknown): void => {
      if (answer === undefined) return;
      if (typeof answer === 'string') return socket.send(answer);
      socket.send(JSON.stringify({ jsonrpc: '2.0', id, ...(answer as object) }));
    };
    const answer = this.script({ method, params });
    if (answer instanceof Promise) void answer.then(send);
    else send(answer);
  }
}

/** A log as providers send it. */
export function logAt(block: number, index = 0, hash = `0xb${block}`): Record<string, unknown> {
  return {
    address: '0x00000000000000000000000000000000000000aa',
    topics: ['0x01'],
    data: '0x',
    blockHash: hash,
    blockNumber: `0x${block.toString(16)}`,
    transactionHash: `0xt${block}`,
    transactionIndex: '0x0',
    logIndex: `0x${index.toString(16)}`,
    removed: false,
  };
}

/** Turns of the event loop until it holds; sockets are real, so their turns are the only measure. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  for (let turn = 0; turn < 20_000; turn++) {
    if (holds()) return;
    await new Promise(setImmediate);
  }
  throw new Error(`never: ${what}`);
}

/** Bodies of requests that the module sent to a process or node, parsed. */
export function sentTo(port: TestPort, node = OUR_NODE): unknown[] {
  return port.sent
    .filter(({ target }) => target.node === node)
    .map(({ message }) =>
      message.kind === 'request'
        ? (JSON.parse(new TextDecoder().decode(message.request.body)) as unknown)
        : undefined,
    );
}

/** Asks as a process of this node. */
export async function ask(bench: Bench<EthWork>, body: unknown, from = 'p:k:q'): Promise<unknown> {
  return (await bench.ask({ from, body, timeoutS: 30 }))?.body;
}

export function rpc(method: string, params: unknown = null, chainId = 31_337): unknown {
  return { Request: { chain_id: chainId, method, params } };
}

export function subscribeLogs(sub_id: number | string, params: unknown = {}): string {
  const rest = JSON.stringify({ chain_id: 31_337, kind: 'logs', params }).slice(1);
  return `{"SubscribeLogs":{"sub_id":${sub_id},${rest}}`;
}
