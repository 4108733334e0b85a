/** The model service of a whole node for the tests of a file: servers behind its extension, its owner, and clients with keys. */
import { afterAll, beforeAll, expect, vi } from 'vitest';
import { ComputeNode } from './compute-node.ts';
import { ModelServer } from './model-server.ts';

export const PATIENCE = { timeout: 60_000, interval: 50 };
export const ECHO = 'builtin:echo';
export const say = (content: string, more: object = {}): object => ({
  model: ECHO,
  messages: [{ role: 'user', content }],
  ...more,
});
export const NO_WISH = {
  models: null,
  endpoints: null,
  rpm: null,
  tpm: null,
  dailyBudget: null,
  expiresAt: null,
  test: null,
};

/** Starts the servers, the node and its extension before the tests of the file, and ends them after. */
export function modelService(): ModelService {
  const service = new ModelService();
  beforeAll(() => service.start(), 180_000);
  afterAll(() => service[Symbol.asyncDispose]());
  return service;
}

/** Its members are there once the tests run. */
class ModelService implements AsyncDisposable {
  compute!: ComputeNode;
  llama!: ModelServer;
  ollama!: ModelServer;
  /** This one and the next have the same model. */
  vllm!: ModelServer;
  other!: ModelServer;
  #cookie = '';
  #clients = 0;

  async start(): Promise<void> {
    [this.llama, this.ollama, this.vllm, this.other] = await Promise.all([
      ModelServer.start('llama.cpp'),
      ModelServer.start('ollama'),
      ModelServer.start('vllm'),
      ModelServer.start('vllm'),
    ]);
    this.compute = await ComputeNode.start();
    const { llama, ollama, vllm, other } = this;
    const flags = Object.entries({ llama, ollama, vllm, other }).flatMap(([id, { base }]) => [
      '--backend',
      `${id}=${base}`,
    ]);
    this.compute.extension('ext', ['--no-probe', ...flags]);
    const login = await fetch(`${this.compute.url}/login`, {
      method: 'POST',
      body: JSON.stringify({ password_hash: '0x00', subdomain: null }),
    });
    this.#cookie = (login.headers.getSetCookie()[0] ?? '').split(';')[0] ?? '';
    await this.ready();
  }

  /** Waits until every model is there; while the node starts something else answers. */
  async ready(): Promise<void> {
    await vi.waitUntil(async () => {
      const text = await (await fetch(this.at('/health'))).text();
      return text === '{"status":"ok","models":5}';
    }, PATIENCE);
  }

  at(path: string): string {
    return `${this.compute.url}/llm:compute:sys${path}`;
  }

  /** As the owner. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a test reads answers of any route
  async owner(method: string, path: string, body?: object): Promise<any> {
    const answer = await fetch(this.at(path), {
      method,
      headers: { cookie: this.#cookie },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${answer.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  }

  /** A client with a key, and money. */
  async newClient(amount = 1_000_000n, wish: object = {}): Promise<Client> {
    const name = `client-${(this.#clients += 1)}`;
    const { key, id } = await this.owner('POST', '/api/keys', { owner: name, ...NO_WISH, ...wish });
    if (amount > 0n) {
      const credit = { owner: name, amount: String(amount), ref: `tx-${name}` };
      await this.owner('POST', '/api/ledger', credit);
    }
    return this.client(name, key, id);
  }

  client(name: string, key: string, id: string): Client {
    return new Client(this, { name, key, id });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.compute?.[Symbol.asyncDispose]();
    for (const server of [this.llama, this.ollama, this.vllm, this.other])
      await server?.[Symbol.asyncDispose]();
  }
}

class Client {
  readonly #service: ModelService;
  readonly name: string;
  readonly key: string;
  readonly id: string;

  constructor(service: ModelService, { name, key, id }: Record<'name' | 'key' | 'id', string>) {
    this.#service = service;
    this.name = name;
    this.key = key;
    this.id = id;
  }

  post(path: string, body: object, init: RequestInit = {}): Promise<Response> {
    const headers = { authorization: `Bearer ${this.key}`, 'content-type': 'application/json' };
    return fetch(this.#service.at(path), {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
      ...init,
    });
  }

  get(path: string): Promise<Response> {
    return fetch(this.#service.at(path), { headers: { authorization: `Bearer ${this.key}` } });
  }

  chat(body: object, init?: RequestInit): Promise<Response> {
    return this.post('/v1/chat/completions', body, init);
  }

  /** Millionths of HYPER that it has. */
  async has(): Promise<bigint> {
    return BigInt((await this.#service.owner('GET', `/api/ledger?owner=${this.name}`)).available);
  }

  /** Waits until it stands at so much: bills are written after answers. */
  async settled(left: bigint): Promise<void> {
    await expect.poll(() => this.has(), PATIENCE).toBe(left);
  }
}
