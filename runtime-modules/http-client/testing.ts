/** http-client on a test bench. */
import { connectorOf, type WorldOptions } from '../shared/outbound/testing.ts';
import { Bench, TestClock, TestPort } from '../shared/testing.ts';
import { httpClient, type HttpClientOptions, type HttpClientWork } from './index.ts';

export type ClientOptions = HttpClientOptions & WorldOptions;

export interface Client extends AsyncDisposable {
  readonly bench: Bench<HttpClientWork>;
  readonly port: TestPort;
  readonly clock: TestClock;
}

export function clientOf(options: ClientOptions = {}): Client {
  const port = new TestPort('http-client');
  const clock = new TestClock();
  const module = httpClient(options)({ port, clock, connector: connectorOf(options, clock) });
  return {
    bench: new Bench(module, port),
    port,
    clock,
    [Symbol.asyncDispose]: () => module[Symbol.asyncDispose](),
  };
}
