/** The model service of a whole node with the real extension: OpenAI's wire as its clients read it, and what every request costs. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Wallet } from 'ethers';
import { typedDataOf } from '../../contracts/compute.ts';
import { ComputeNode } from '../support/compute-node.ts';
import { ModelServer } from '../support/model-server.ts';

const PATIENCE = { timeout: 60_000, interval: 50 };
const ECHO = 'builtin:echo';
const say = (content: string, more: object = {}): object => ({
  model: ECHO,
  messages: [{ role: 'user', content }],
  ...more,
});

let compute: ComputeNode;
let cookie = '';
let llama: ModelServer;
let vllm: ModelServer;
let other: ModelServer;
let ollama: ModelServer;

beforeAll(async () => {
  [llama, ollama, vllm, other] = await Promise.all([
    ModelServer.start('llama.cpp'),
    ModelServer.start('ollama'),
    ModelServer.start('vllm'),
    ModelServer.start('vllm'),
  ]);
  compute = await ComputeNode.start();
  const backends = { llama, ollama, vllm, other };
  const flags = Object.entries(backends).flatMap(([id, { base }]) => [
    '--backend',
    `${id}=${base}`,
  ]);
  compute.extension('ext', ['--no-probe', ...flags]);
  const login = await fetch(`${compute.url}/login`, {
    method: 'POST',
    body: JSON.stringify({ password_hash: '0x00', subdomain: null }),
  });
  cookie = (login.headers.getSetCookie()[0] ?? '').split(';')[0] ?? '';
  await vi.waitUntil(everyModel, PATIENCE);
}, 180_000);

/** While the node starts something else answers. */
async function everyModel(): Promise<boolean> {
  const text = await (await fetch(at('/health'))).text();
  return text === '{"status":"ok","models":5}';
}

afterAll(async () => {
  await compute?.[Symbol.asyncDispose]();
  for (const server of [llama, ollama, vllm, other]) await server?.[Symbol.asyncDispose]();
});

const at = (path: string): string => `${compute.url}/llm:compute:sys${path}`;

/** As the owner. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a test reads answers of any route
async function owner(method: string, path: string, body?: object): Promise<any> {
  const answer = await fetch(at(path), {
    method,
    headers: { cookie },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${answer.status} ${text}`);
  return text === '' ? undefined : JSON.parse(text);
}

let clients = 0;
/** A client with a key, and money. */
async function newClient(amount = 1_000_000n, wish: object = {}): Promise<Client> {
  const name = `client-${(clients += 1)}`;
  const { key, id } = await owner('POST', '/api/keys', { owner: name, ...NO_WISH, ...wish });
  if (amount > 0n)
    await owner('POST', '/api/ledger', { owner: name, amount: String(amount), ref: `tx-${name}` });
  return new Client(name, key, id);
}
const NO_WISH = {
  models: null,
  endpoints: null,
  rpm: null,
  tpm: null,
  dailyBudget: null,
  expiresAt: null,
  test: null,
};

class Client {
  readonly name: string;
  readonly key: string;
  readonly id: string;

  constructor(name: string, key: string, id: string) {
    this.name = name;
    this.key = key;
    this.id = id;
  }

  post(path: string, body: object, init: RequestInit = {}): Promise<Response> {
    const headers = { authorization: `Bearer ${this.key}`, 'content-type': 'application/json' };
    return fetch(at(path), { method: 'POST', headers, body: JSON.stringify(body), ...init });
  }

  get(path: string): Promise<Response> {
    return fetch(at(path), { headers: { authorization: `Bearer ${this.key}` } });
  }

  chat(body: object, init?: RequestInit): Promise<Response> {
    return this.post('/v1/chat/completions', body, init);
  }

  /** Millionths of HYPER that it has. */
  async has(): Promise<bigint> {
    return BigInt((await owner('GET', `/api/ledger?owner=${this.name}`)).available);
  }
}

/** The events of a streamed answer, as they come. */
async function* eventsOf(answer: Response): AsyncGenerator<string> {
  let held = '';
  for await (const bytes of answer.body!) {
    held += new TextDecoder().decode(bytes);
    for (let end = held.indexOf('\n\n'); end >= 0; end = held.indexOf('\n\n')) {
      const event = held.slice(0, end);
      held = held.slice(end + 2);
      if (event.startsWith(':')) continue;
      expect(event).toMatch(/^data: [^\n]+$/);
      yield event.slice(6);
    }
  }
  expect(held).toBe('');
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- as above
async function chunksOf(answer: Response): Promise<any[]> {
  const events: string[] = [];
  for await (const event of eventsOf(answer)) events.push(event);
  expect(events.pop()).toBe('[DONE]');
  return events.map((event) => JSON.parse(event));
}

const contentOf = (chunks: readonly { choices: { delta: { content?: string } }[] }[]): string =>
  chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('');

/** Waits until the client stands at so much: bills are written after answers. */
async function settled(client: Client, left: bigint): Promise<void> {
  await expect.poll(() => client.has(), PATIENCE).toBe(left);
}

describe('CM39 the interface', () => {
  it('CM39 lists models with prices, and one of them, with a slash in its name or without', async () => {
    const client = await newClient(0n);
    const answer = await client.get('/v1/models');
    expect(answer.status).toBe(200);
    const { object, data } = (await answer.json()) as { object: string; data: { id: string }[] };
    expect(object).toBe('list');
    expect(data.map(({ id }) => id)).toEqual(
      [ECHO, 'builtin:embed-hash-384', llama.model, ollama.model, vllm.model].toSorted(),
    );
    expect(data[0]).toMatchObject({
      object: 'model',
      owned_by: 'test.dev',
      hn: { prices: { in: '1000', out: '3000' }, nodes: ['test.dev'] },
    });
    for (const path of [encodeURIComponent(vllm.model), vllm.model, ECHO])
      expect(await (await client.get(`/v1/models/${path}`)).json()).toMatchObject({
        id: decodeURIComponent(path),
      });
    expect((await client.get('/v1/models/nobody')).status).toBe(404);
  });

  it('CM39 a whole answer has the members that clients read, and says what it cost', async () => {
    const client = await newClient();
    const answer = await client.chat(say('to be or not to be'));
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(answer.headers.get('x-request-id')).toMatch(/^req_[0-9a-f]{32}$/);
    expect(answer.headers.get('x-hn-node')).toBe('test.dev');
    const body = await answer.json();
    expect(body).toMatchObject({
      id: expect.stringMatching(/^chatcmpl-/),
      object: 'chat.completion',
      created: expect.any(Number),
      model: ECHO,
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'to be or not to be' },
          logprobs: null,
          finish_reason: 'stop',
        },
      ],
      usage: { prompt_tokens: 6, completion_tokens: 6, total_tokens: 12 },
    });
    // (6·1000 + 6·3000) / 1000
    expect(answer.headers.get('x-hn-cost')).toBe('24');
    await settled(client, 1_000_000n - 24n);
    const { receipts } = await owner('GET', '/api/receipts');
    expect(receipts.at(-1)).toMatchObject({
      owner: client.name,
      model: ECHO,
      node: 'test.dev',
      input: 6,
      output: 6,
      cost: '24',
      request_sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      response_sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });

  it('CM39 completions of several prompts, and of tokens', async () => {
    const client = await newClient();
    const texts = await client.post('/v1/completions', { model: ECHO, prompt: ['a b', 'c'] });
    expect(await texts.json()).toMatchObject({
      object: 'text_completion',
      choices: [
        { index: 0, text: 'a b', finish_reason: 'stop' },
        { index: 1, text: 'c' },
      ],
      usage: { prompt_tokens: 3, completion_tokens: 3 },
    });
    const tokens = await client.post('/v1/completions', { model: ECHO, prompt: [1, 2, 3] });
    expect(await tokens.json()).toMatchObject({ choices: [{ text: '1 2 3' }] });
  });

  it('CM39 embeddings in both forms, also of a server that has but one', async () => {
    const client = await newClient();
    const ask = async (model: string, encoding_format?: string) => {
      const answer = await client.post('/v1/embeddings', { model, input: 'x y', encoding_format });
      return ((await answer.json()) as { data: [{ embedding: unknown }] }).data[0].embedding;
    };
    const floats = (await ask('builtin:embed-hash-384')) as number[];
    expect(floats).toHaveLength(384);
    const bytes = Buffer.from((await ask('builtin:embed-hash-384', 'base64')) as string, 'base64');
    expect(floats.map((_, index) => bytes.readFloatLE(4 * index))).toEqual(floats);
    expect(await ask(ollama.model)).toEqual([0.5, -0.25, 1]);
    const converted = Buffer.from((await ask(ollama.model, 'base64')) as string, 'base64');
    expect([0, 4, 8].map((offset) => converted.readFloatLE(offset))).toEqual([0.5, -0.25, 1]);
  });

  it('CM39 tokens are counted, health and figures are told', async () => {
    const client = await newClient(0n);
    const counted = await client.post('/v1/tokenize', { model: ECHO, prompt: 'a b c' });
    expect(await counted.json()).toEqual({ object: 'tokens', model: ECHO, count: 3 });
    expect(
      await (await client.post('/v1/tokenize', { model: vllm.model, prompt: 'a b' })).json(),
    ).toMatchObject({ count: 2 });
    expect((await client.post('/v1/tokenize', { model: ollama.model, prompt: 'a' })).status).toBe(
      501,
    );
    expect(await (await fetch(at('/health'))).json()).toEqual({ status: 'ok', models: 5 });
    expect(await (await fetch(at('/metrics'))).text()).toMatch(
      /^llm_requests_total\{endpoint="chat"\} \d+$/m,
    );
  });

  it.each([
    ['no key', {}, say('x'), 401, 'invalid_api_key'],
    ['a model that nobody has', undefined, say('x', { model: 'nobody' }), 404, 'model_not_found'],
    ['no messages', undefined, { model: ECHO }, 400, null],
  ])('CM39 %s', async (_, headers, body, status, code) => {
    const client = await newClient();
    const answer = await client.chat(body, headers === undefined ? {} : { headers });
    expect(answer.status).toBe(status);
    const { error } = (await answer.json()) as { error: object };
    expect(Object.keys(error)).toEqual(['message', 'type', 'param', 'code']);
    expect(error).toMatchObject({ code });
  });

  it('CM39 a body of more than 8 MiB is 413; one that needs several frames passes', async () => {
    const client = await newClient(100_000_000n);
    expect((await client.chat(say('x'.repeat(8 * 1024 * 1024)))).status).toBe(413);
    const long = `${'word '.repeat(120_000)}end`;
    const answer = await client.chat(say(long, { max_tokens: 200_000 }));
    expect(answer.status).toBe(200);
    const { choices } = (await answer.json()) as { choices: [{ message: { content: string } }] };
    expect(choices[0].message.content).toBe(long);
  });
});

describe('CM40 streaming', () => {
  it('CM40 events as they are made, all of one answer, and [DONE]; usage only where it is wanted', async () => {
    const client = await newClient();
    const plain = await client.chat(say('to be or not', { stream: true }));
    expect(plain.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(plain.headers.get('cache-control')).toBe('no-cache');
    const chunks = await chunksOf(plain);
    expect(contentOf(chunks)).toBe('to be or not');
    expect(chunks[0]).toMatchObject({
      object: 'chat.completion.chunk',
      choices: [{ delta: { role: 'assistant', content: '' } }],
    });
    expect(chunks.at(-1)).toMatchObject({ choices: [{ delta: {}, finish_reason: 'stop' }] });
    const heads = new Set(chunks.map(({ id, created, model }) => `${id} ${created} ${model}`));
    expect(heads.size).toBe(1);
    expect(chunks.filter((chunk) => 'usage' in chunk)).toEqual([]);

    const options = { stream: true, stream_options: { include_usage: true } };
    const counted = await chunksOf(await client.chat(say('to be or not', options)));
    expect(counted.filter(({ usage }) => usage !== null)).toHaveLength(1);
    expect(counted.at(-1)).toMatchObject({
      choices: [],
      usage: { prompt_tokens: 4, completion_tokens: 4, total_tokens: 8 },
    });
    await settled(client, 1_000_000n - 2n * 16n);
  });

  it('CM40 the first byte is there before the backend has finished', async () => {
    const client = await newClient();
    const gate = Promise.withResolvers<void>();
    llama.pace = (index) => (index === 2 ? gate.promise : Promise.resolve());
    const answer = await client.chat(say('x', { model: llama.model, stream: true }));
    const events = eventsOf(answer);
    let seen = '';
    while (!seen.endsWith('one two')) {
      const { value } = await events.next();
      seen += JSON.parse(value ?? '').choices[0].delta.content ?? '';
    }
    // It waits for us: nothing that came can have been the end.
    gate.resolve();
    const rest: string[] = [];
    for await (const event of events) rest.push(event);
    expect(rest.at(-1)).toBe('[DONE]');
    llama.pace = () => Promise.resolve();
  });

  it('CM40 while a backend takes its time there are signs of life, and then the answer', async () => {
    const client = await newClient();
    const late = Promise.withResolvers<void>();
    ollama.pace = () => late.promise;
    const whole = await client.chat(say('x', { model: ollama.model }));
    // The head is there before the answer.
    expect(whole.status).toBe(200);
    late.resolve();
    expect(await whole.json()).toMatchObject({
      choices: [{ message: { content: 'one two three' } }],
      usage: { completion_tokens: 3 },
    });

    const gate = Promise.withResolvers<void>();
    ollama.pace = () => gate.promise;
    const answer = await client.chat(say('x', { model: ollama.model, stream: true }));
    let text = '';
    for await (const bytes of answer.body!) {
      text += new TextDecoder().decode(bytes);
      if (text.includes(': keep-alive\n\n')) gate.resolve();
    }
    expect(text).toContain(': keep-alive\n\n');
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
    ollama.pace = () => Promise.resolve();
  }, 90_000);

  it('CM40 a client that leaves stops the backend, and pays for what it got', async () => {
    const client = await newClient();
    vllm.pieces = other.pieces = ['one', ' two', ' three', ' four'];
    const never = (index: number): Promise<void> =>
      index === 2 ? new Promise(() => undefined) : Promise.resolve();
    vllm.pace = other.pace = never;
    const abort = new AbortController();
    const body = say('a b c', { model: vllm.model, stream: true });
    const answer = await client.chat(body, { signal: abort.signal });
    let seen = '';
    for await (const event of eventsOf(answer)) {
      seen += JSON.parse(event).choices[0].delta.content ?? '';
      if (seen === 'one two') break;
    }
    abort.abort();
    const last = (): boolean => [...vllm.asked, ...other.asked].some(({ aborted }) => aborted);
    await expect.poll(last, PATIENCE).toBe(true);
    vllm.pace = other.pace = () => Promise.resolve();
    vllm.pieces = other.pieces = ['one', ' two', ' three'];
    // 3 words in, as counted by the server's tokenizer, and the two that were delivered.
    await settled(client, 1_000_000n - 9n);
    const { receipts } = await owner('GET', '/api/receipts?after=0');
    const mine = receipts.filter((one: { owner: string }) => one.owner === client.name);
    expect(mine).toMatchObject([{ input: 3, output: 2, response_sha256: null }]);
  });

  it('CM40 a backend that breaks off ends the answer with an error and without [DONE]; nothing delivered costs nothing', async () => {
    const client = await newClient();
    llama.breakAfter = 2;
    llama.pace = () => new Promise((resolve) => setImmediate(resolve));
    const answer = await client.chat(say('a', { model: llama.model, stream: true }));
    if (answer.status === 200) {
      const events: string[] = [];
      for await (const event of eventsOf(answer)) events.push(event);
      expect(events).not.toContain('[DONE]');
      expect(JSON.parse(events.at(-1) ?? '')).toMatchObject({ error: { type: 'server_error' } });
    }
    llama.breakAfter = undefined;
    llama.failing = 500;
    const poor = await newClient();
    const failed = await poor.chat(say('a', { model: llama.model }));
    expect(failed.status).toBe(500);
    expect(await failed.json()).toMatchObject({ error: { message: 'it fails' } });
    llama.failing = undefined;
    await settled(poor, 1_000_000n);
  });

  it('CM40 a client that reads slowly slows the backend', async () => {
    const client = await newClient(1_000_000_000n);
    const piece = 'x'.repeat(20_000);
    llama.pieces = Array.from({ length: 2_000 }, () => piece);
    let made = 0;
    llama.pace = async (index) => {
      made = index;
      await new Promise((resolve) => setImmediate(resolve));
    };
    const answer = await client.chat(
      say('a', { model: llama.model, stream: true, max_tokens: 2_000 }),
    );
    const reader = answer.body!.getReader();
    await reader.read();
    // It comes to a stop before it has made all of 40 MB.
    let before = -1;
    await expect
      .poll(
        () => {
          const still = made === before;
          before = made;
          return still && made > 0;
        },
        { timeout: 60_000, interval: 1_000 },
      )
      .toBe(true);
    expect(made).toBeLessThan(1_999);
    for (let part = await reader.read(); !part.done; part = await reader.read());
    expect(made).toBe(1_999);
    llama.pieces = ['one', ' two', ' three'];
    llama.pace = () => Promise.resolve();
  }, 120_000);
});

describe('CM41 what is billed', () => {
  it('CM41 without usage a tokenizer counts; without one the pieces, which is said', async () => {
    const client = await newClient();
    llama.usage = undefined;
    const counted = await client.chat(say('a b', { model: llama.model }));
    const body = (await counted.json()) as { usage: object };
    expect(body.usage).toEqual({ prompt_tokens: 2, completion_tokens: 3, total_tokens: 5 });
    llama.usage = 1;
    ollama.usage = undefined;
    const options = { stream: true, stream_options: { include_usage: true } };
    const chunks = await chunksOf(
      await client.chat(say('a b', { model: ollama.model, ...options })),
    );
    expect(chunks.at(-1)).toMatchObject({
      usage: { prompt_tokens: 2, completion_tokens: 3, usage_estimated: true },
    });
    ollama.usage = 1;
  });

  it('CM41 T25 a backend that claims ten times as much is billed by what was counted', async () => {
    const client = await newClient();
    llama.pieces = Array.from({ length: 20 }, () => ' word');
    llama.usage = 10;
    const answer = await client.chat(say('a b', { model: llama.model }));
    expect(await answer.json()).toMatchObject({ usage: { completion_tokens: 20 } });
    llama.usage = 1;
    llama.pieces = ['one', ' two', ' three'];
  });
});

describe('CM42 the prepaid ledger', () => {
  it('CM42 T28 of 100 requests at once on a balance for ten, ten pass', async () => {
    const client = await newClient(0n);
    // 2 messages' worth and half a character in, 20 out: 17 + 60.
    const body = say('x', { max_tokens: 20 });
    await owner('POST', '/api/ledger', { owner: client.name, amount: '770', ref: 'ten' });
    const answers = await Promise.all(Array.from({ length: 100 }, () => client.chat(body)));
    const passed = answers.filter(({ status }) => status === 200).length;
    const refused = answers.filter(({ status }) => status === 402).length;
    expect(passed + refused).toBe(100);
    // What an early one did not use may be enough for a later one; more than the balance never is.
    expect(passed).toBeGreaterThanOrEqual(10);
    await settled(client, 770n - BigInt(passed) * 4n);
    let sum = 0n;
    let after = 0;
    for (let more = true; more;) {
      const { entries } = await owner('GET', `/api/ledger?after=${after}`);
      for (const { entry, debit, credit } of entries) {
        sum += BigInt(credit) - BigInt(debit);
        after = entry;
      }
      more = entries.length > 0;
    }
    expect(after).toBeGreaterThan(100);
    expect(sum).toBe(0n);
  });

  it('CM42 money counts once, however often it is told', async () => {
    const client = await newClient(5n);
    const again = { owner: client.name, amount: '5', ref: `tx-${client.name}` };
    await expect(owner('POST', '/api/ledger', again)).rejects.toThrow('409');
    expect(await client.has()).toBe(5n);
    const answer = await client.chat(say('x'));
    expect(answer.status).toBe(402);
    expect(await answer.json()).toMatchObject({ error: { code: 'payment_required' } });
  });
});

describe('CM43 voucher sessions', () => {
  it('CM43 serving stops above what may be owed, and goes on with a voucher', async () => {
    const wallet = Wallet.createRandom();
    const jobId = `0x${'5e'.repeat(32)}`;
    const escrow = `0x${'e5'.repeat(20)}`;
    // No facilitator runs here, so the owner says what the chain does.
    await expect(owner('POST', '/api/sessions', { jobId, chain: null })).rejects.toThrow(
      'NoSession',
    );
    const chain = {
      ...{ escrow, chainId: 31_337, signer: wallet.address, attempt: 2 },
      ...{ price: '100000', deadline: Math.floor(Date.now() / 1_000) + 3_600 },
    };
    const { key, id } = await owner('POST', '/api/sessions', { jobId, chain });
    const client = new Client('session', key, id);
    // A request of 16,000 tokens may cost nearly all that may be owed.
    const big = say('word '.repeat(4_000), { max_tokens: 12_000 });
    expect((await client.chat(big)).status).toBe(200);
    const view = async () =>
      (await (await client.get('/v1/vouchers')).json()) as Record<string, string>;
    await expect
      .poll(view, PATIENCE)
      .toMatchObject({ served: '16000', debt: '16000', wanted: true });
    const stopped = await client.chat(big);
    expect(stopped.status).toBe(402);
    expect(await stopped.json()).toMatchObject({ error: { code: 'voucher_required' } });

    const voucherOf = async (cumulative: bigint, attempt = 2, by = wallet) => {
      const voucher = { jobId, attempt, cumulative, tokensIn: 4_000n, tokensOut: 4_000n };
      const domain = {
        name: 'HypernodeEscrow',
        chainId: 31_337,
        verifyingContract: escrow,
      } as const;
      // eslint-disable-next-line @typescript-eslint/no-explicit-any -- as wallets take it
      const data = typedDataOf(domain, 'Voucher', voucher) as any;
      const { EIP712Domain: _, ...types } = data.types;
      const signature = await by.signTypedData(data.domain, types, data.message);
      const wire = {
        ...voucher,
        cumulative: String(cumulative),
        tokensIn: '4000',
        tokensOut: '4000',
      };
      return client.post('/v1/vouchers', { voucher: wire, signature });
    };
    // Of another attempt, by somebody else, beyond the price: none.
    expect((await voucherOf(16_000n, 1)).status).toBe(400);
    expect((await voucherOf(16_000n, 2, Wallet.createRandom())).status).toBe(400);
    expect((await voucherOf(100_001n)).status).toBe(400);
    const accepted = await voucherOf(16_000n);
    expect(await accepted.json()).toMatchObject({ signed: '16000', debt: '0', wanted: false });
    expect((await voucherOf(15_999n)).status).toBe(400);
    const next = await client.chat(big);
    expect(next.status).toBe(200);
    const { sessions } = await owner('GET', '/api/sessions');
    expect(sessions[0]).toMatchObject({
      jobId,
      claim: { voucher: { cumulative: '16000', attempt: 2 }, signature: expect.any(String) },
    });
  }, 60_000);
});

describe('CM44 backends that fail', () => {
  it('CM44 another backend answers as long as nothing was sent; a request that is wrong is not tried again', async () => {
    const client = await newClient();
    vllm.failing = 500;
    const before = vllm.asked.length;
    for (let n = 0; n < 12; n += 1) {
      const answer = await client.chat(say(`prompt ${n}`, { model: vllm.model }));
      expect(answer.status).toBe(200);
    }
    // Three failures, and it is asked no more.
    expect(vllm.asked.length - before).toBeLessThanOrEqual(3);
    vllm.failing = undefined;
    other.failing = 400;
    const seen = vllm.asked.length + other.asked.length;
    const wrong = await client.chat(say('x', { model: vllm.model }));
    expect(wrong.status).toBe(400);
    expect(vllm.asked.length + other.asked.length).toBe(seen + 1);
    other.failing = undefined;
  });
});

describe('CM45 keys', () => {
  it('CM45 a key opens what it names, and nothing once it is revoked', async () => {
    const client = await newClient(1_000_000n, { models: [ECHO], endpoints: ['chat'] });
    expect((await client.chat(say('x'))).status).toBe(200);
    const other403 = await client.chat(say('x', { model: llama.model }));
    expect(other403.status).toBe(403);
    expect((await client.post('/v1/completions', { model: ECHO, prompt: 'x' })).status).toBe(403);
    await owner('DELETE', `/api/keys/${client.id}`);
    expect((await client.chat(say('x'))).status).toBe(401);
    const { keys } = await owner('GET', '/api/keys');
    const listed = keys.find(({ id }: { id: string }) => id === client.id);
    expect(listed).toMatchObject({ owner: client.name, revokedAt: expect.any(Number) });
    expect(JSON.stringify(keys)).not.toContain(client.key);
  });

  it('CM45 a limited key is told how much is left, and when to come again', async () => {
    const client = await newClient(1_000_000n, { rpm: 2, tpm: 100_000 });
    const first = await client.chat(say('x'));
    expect(first.headers.get('x-ratelimit-limit-requests')).toBe('2');
    expect(first.headers.get('x-ratelimit-remaining-requests')).toBe('1');
    expect(first.headers.get('x-ratelimit-limit-tokens')).toBe('100000');
    expect(first.headers.get('x-ratelimit-reset-requests')).toMatch(/^\d+s$/);
    await client.chat(say('x'));
    const third = await client.chat(say('x'));
    expect(third.status).toBe(429);
    expect(Number(third.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await third.json()).toMatchObject({ error: { code: 'rate_limit_exceeded' } });
  });

  it('CM45 a daily budget ends with 429', async () => {
    const client = await newClient(1_000_000n, { dailyBudget: '100' });
    expect((await client.chat(say('x', { max_tokens: 20 }))).status).toBe(200);
    const answer = await client.chat(say('x', { max_tokens: 40 }));
    expect(answer.status).toBe(429);
    expect(await answer.json()).toMatchObject({ error: { code: 'insufficient_quota' } });
  });

  it('CM45 the owner’s routes need the login', async () => {
    for (const path of ['/api/keys', '/api/ledger', '/api/receipts', '/api/sessions'])
      // What comes is the page to log in at.
      await expect((await fetch(at(path))).json()).rejects.toThrow(SyntaxError);
    const body = JSON.stringify({ owner: 'nobody', ...NO_WISH });
    expect((await fetch(at('/api/keys'), { method: 'POST', body })).status).not.toBe(201);
    const { keys } = await owner('GET', '/api/keys');
    expect(keys.map((key: { owner: string }) => key.owner)).not.toContain('nobody');
  });

  it('CM45 after a restart keys open, money is there, and what was kept for requests is free again', async () => {
    const client = await newClient(1_000n);
    ollama.pace = () => new Promise(() => undefined);
    const hanging = client
      .chat(say('x', { model: ollama.model, max_tokens: 100 }))
      .then(({ status }) => status)
      .catch(() => 0);
    await expect.poll(() => client.has(), PATIENCE).toBeLessThan(1_000n);
    await compute.restart();
    await hanging;
    await vi.waitUntil(everyModel, PATIENCE);
    ollama.pace = () => Promise.resolve();
    await settled(client, 1_000n);
    expect((await client.chat(say('x', { max_tokens: 20 }))).status).toBe(200);
  }, 120_000);

  // Last: it uses up what this address may get wrong.
  it('CM45 T26 twenty wrong keys a minute of one address, then 429', async () => {
    const wrong = new Client('x', `hnk_live_${'A'.repeat(43)}`, 'x');
    const statuses: number[] = [];
    for (let n = 0; n < 22; n += 1) statuses.push((await wrong.get('/v1/models')).status);
    expect(new Set(statuses.slice(0, 15))).toEqual(new Set([401]));
    expect(statuses.at(-1)).toBe(429);
    const right = await newClient(0n);
    expect((await right.get('/v1/models')).status).toBe(200);
  });
});
