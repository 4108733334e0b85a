/** Model servers behind the extension, against servers that behave as the real ones do. */
import { afterEach, describe, expect, it } from 'vitest';
import { type Habits, ModelServer } from '../../../test/support/model-server.ts';
import { BackendError, type Endpoint } from './backend.ts';
import { Backends } from './backends.ts';
import { builtinModels } from './builtin-models.ts';
import { httpBackend } from './http-backend.ts';

const servers: ModelServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server[Symbol.asyncDispose]();
});
const start = async (habits: Habits): Promise<ModelServer> => {
  const server = await ModelServer.start(habits);
  servers.push(server);
  return server;
};

/** All that a backend says, line by line. */
async function linesOf(
  backend: typeof builtinModels,
  endpoint: Endpoint,
  body: object,
  signal = new AbortController().signal,
): Promise<string[]> {
  const lines: string[] = [];
  const take = async (json: string): Promise<void> => void lines.push(json);
  await backend.call({ endpoint, body: JSON.stringify(body), signal, take });
  return lines;
}

const contentOf = (lines: readonly string[]): string =>
  lines
    .map((line) => JSON.parse(line).choices[0])
    .map((choice) => choice?.delta?.content ?? choice?.text ?? choice?.message?.content ?? '')
    .join('');

const chat = { model: 'm', messages: [{ role: 'user', content: 'to be or not' }] };

describe.each(['llama.cpp', 'ollama', 'vllm'] as const)('CM39 a server such as %s', (habits) => {
  it('CM39 lists its models and answers whole and in pieces', async () => {
    const server = await start(habits);
    const backend = httpBackend('mine', server.base);
    expect(await backend.models(new AbortController().signal)).toEqual([server.model]);
    const asked = { ...chat, model: server.model };
    const whole = await linesOf(backend, 'chat', asked);
    expect(whole).toHaveLength(1);
    expect(contentOf(whole)).toBe('one two three');
    const streamed = await linesOf(backend, 'chat', { ...asked, stream: true });
    expect(streamed.length).toBeGreaterThan(4);
    expect(contentOf(streamed)).toBe('one two three');
    const text = { model: server.model, prompt: 'x', stream: true };
    expect(contentOf(await linesOf(backend, 'completions', text))).toBe('one two three');
    expect(await linesOf(backend, 'embeddings', { model: server.model, input: 'x' })).toHaveLength(
      1,
    );
  });

  it('CM41 counts tokens if it can, and says so if it cannot', async () => {
    const server = await start(habits);
    const backend = httpBackend('mine', server.base);
    const counted = linesOf(backend, 'tokenize', { model: server.model, prompt: 'a b c' });
    if (habits === 'ollama') await expect(counted).rejects.toMatchObject({ status: 404 });
    else expect(await counted).toEqual(['{"count":3}']);
  });

  it('CM40 its error keeps its words; one that breaks off is an error; an abort reaches it', async () => {
    const server = await start(habits);
    const backend = httpBackend('mine', server.base);
    const asked = { ...chat, model: server.model, stream: true };
    server.failing = 500;
    await expect(linesOf(backend, 'chat', asked)).rejects.toMatchObject({
      status: 502,
      message: 'it fails',
    });
    server.failing = 503;
    await expect(linesOf(backend, 'chat', asked)).rejects.toMatchObject({ status: 503 });
    server.failing = undefined;
    server.breakAfter = 2;
    // Before its head arrived or after.
    await expect(linesOf(backend, 'chat', asked)).rejects.toSatisfy(
      (error) => error instanceof BackendError && [502, 503].includes(error.status),
    );
    server.breakAfter = undefined;
    const abort = new AbortController();
    server.pace = (at) => {
      if (at === 1) abort.abort();
      return at === 1 ? new Promise(() => undefined) : Promise.resolve();
    };
    await expect(linesOf(backend, 'chat', asked, abort.signal)).rejects.toThrow();
    await expect.poll(() => server.asked.at(-1)?.aborted).toBe(true);
  });
});

describe('T27 where requests go', () => {
  it.each([
    'http://10.0.0.1/v1',
    'http://169.254.169.254/latest',
    'http://example.org/v1',
    'https://127.0.0.1/v1',
    'http://127.0.0.1.example.org/v1',
    'file:///etc/passwd',
  ])('T27 %s is no backend', (base) => {
    expect(() => httpBackend('x', base)).toThrow(RangeError);
  });

  it('T27 a server that answers with another place is not followed', async () => {
    const { createServer } = await import('node:http');
    const { once } = await import('node:events');
    const server = createServer((_request, response) => {
      response.writeHead(307, { location: 'http://169.254.169.254/' }).end();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const backend = httpBackend('x', `http://127.0.0.1:${port}/v1`);
    await expect(linesOf(backend, 'chat', chat)).rejects.toMatchObject({ status: 503 });
    server.close();
  });
});

describe('CM39 which backends there are', () => {
  it('CM39 those that the operator named stay when they are away, with the models that they had', async () => {
    const server = await start('vllm');
    const mine = httpBackend('mine', server.base);
    const never = httpBackend('never', 'http://127.0.0.1:9/v1');
    const backends = new Backends({ configured: [mine, never], probe: false, nodePort: 0 });
    await backends.look();
    const listed = [
      { id: 'builtin', base: '', models: ['builtin:echo', 'builtin:embed-hash-384'] },
      { id: 'mine', base: `${server.base}/`, models: ['org/tiny'] },
    ];
    expect(backends.listed).toEqual(listed);
    await servers.pop()![Symbol.asyncDispose]();
    await backends.look();
    expect(backends.listed).toEqual(listed);
    expect(backends.get('never')).toBeUndefined();
    expect(backends.get('mine')).toBe(mine);
  });
});

describe('CM39 builtin models', () => {
  it('CM39 builtin:echo says the last user message, a word a token, up to max_tokens', async () => {
    const body = { ...chat, model: 'builtin:echo', max_tokens: 3 };
    const [whole = ''] = await linesOf(builtinModels, 'chat', body);
    expect(JSON.parse(whole)).toMatchObject({
      object: 'chat.completion',
      choices: [{ message: { role: 'assistant', content: 'to be or' }, finish_reason: 'length' }],
      usage: { prompt_tokens: 4, completion_tokens: 3, total_tokens: 7 },
    });
    const options = { stream: true, stream_options: { include_usage: true }, n: 2 };
    const lines = await linesOf(builtinModels, 'chat', { ...body, ...options });
    expect(contentOf(lines)).toBe('to be orto be or');
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({
      choices: [],
      usage: { completion_tokens: 6 },
    });
    const texts = { model: 'builtin:echo', prompt: ['a b', 'c'] };
    const [made = ''] = await linesOf(builtinModels, 'completions', texts);
    expect(JSON.parse(made).choices.map(({ text }: { text: string }) => text)).toEqual([
      'a b',
      'c',
    ]);
  });

  it('CM39 builtin:embed-hash-384 makes the same vector of length 1 in both forms', async () => {
    const body = { model: 'builtin:embed-hash-384', input: ['the quick brown fox', 'other'] };
    const [floats = ''] = await linesOf(builtinModels, 'embeddings', body);
    const [base64 = ''] = await linesOf(builtinModels, 'embeddings', {
      ...body,
      encoding_format: 'base64',
    });
    const vector = JSON.parse(floats).data[0].embedding as number[];
    expect(vector).toHaveLength(384);
    expect(Math.hypot(...vector)).toBeCloseTo(1, 3);
    const bytes = Buffer.from(JSON.parse(base64).data[0].embedding, 'base64');
    expect(vector.map((_, at) => bytes.readFloatLE(4 * at))).toEqual(vector);
    const [cut = ''] = await linesOf(builtinModels, 'embeddings', { ...body, dimensions: 200 });
    expect(Math.hypot(...JSON.parse(cut).data[0].embedding)).toBeCloseTo(1, 5);
  });

  it('CM39 what they do not know is refused', async () => {
    await expect(linesOf(builtinModels, 'chat', chat)).rejects.toMatchObject({ status: 404 });
  });
});
