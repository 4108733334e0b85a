/** Backends behind the model service of a whole node: answers as they are made, what is counted of them, and what fails. */
import { describe, expect, it } from 'vitest';
import { modelService, PATIENCE, say } from '../support/model-service.ts';

const service = modelService();

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

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a test reads chunks of any kind
async function chunksOf(answer: Response): Promise<any[]> {
  const events: string[] = [];
  for await (const event of eventsOf(answer)) events.push(event);
  expect(events.pop()).toBe('[DONE]');
  return events.map((event) => JSON.parse(event));
}

const contentOf = (chunks: readonly { choices: { delta: { content?: string } }[] }[]): string =>
  chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('');

describe('CM40 streaming', () => {
  it('CM40 events as they are made, all of one answer, and [DONE]; usage only where it is wanted', async () => {
    const client = await service.newClient();
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
    await client.settled(1_000_000n - 2n * 16n);
  });

  it('CM40 the first byte is there before the backend has finished', async () => {
    const client = await service.newClient();
    const gate = Promise.withResolvers<void>();
    service.llama.pace = (index) => (index === 2 ? gate.promise : Promise.resolve());
    const answer = await client.chat(say('x', { model: service.llama.model, stream: true }));
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
    service.llama.pace = () => Promise.resolve();
  });

  it('CM40 while a backend takes its time there are signs of life, and then the answer', async () => {
    const client = await service.newClient();
    const late = Promise.withResolvers<void>();
    service.ollama.pace = () => late.promise;
    const whole = await client.chat(say('x', { model: service.ollama.model }));
    // The head is there before the answer.
    expect(whole.status).toBe(200);
    late.resolve();
    expect(await whole.json()).toMatchObject({
      choices: [{ message: { content: 'one two three' } }],
      usage: { completion_tokens: 3 },
    });

    const gate = Promise.withResolvers<void>();
    service.ollama.pace = () => gate.promise;
    const answer = await client.chat(say('x', { model: service.ollama.model, stream: true }));
    let text = '';
    for await (const bytes of answer.body!) {
      text += new TextDecoder().decode(bytes);
      if (text.includes(': keep-alive\n\n')) gate.resolve();
    }
    expect(text).toContain(': keep-alive\n\n');
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
    service.ollama.pace = () => Promise.resolve();
  }, 90_000);

  it('CM40 a client that leaves stops the backend, and pays for what it got', async () => {
    const client = await service.newClient();
    service.vllm.pieces = service.other.pieces = ['one', ' two', ' three', ' four'];
    const never = (index: number): Promise<void> =>
      index === 2 ? new Promise(() => undefined) : Promise.resolve();
    service.vllm.pace = service.other.pace = never;
    const abort = new AbortController();
    const body = say('a b c', { model: service.vllm.model, stream: true });
    const answer = await client.chat(body, { signal: abort.signal });
    let seen = '';
    for await (const event of eventsOf(answer)) {
      seen += JSON.parse(event).choices[0].delta.content ?? '';
      if (seen === 'one two') break;
    }
    abort.abort();
    const last = (): boolean =>
      [...service.vllm.asked, ...service.other.asked].some(({ aborted }) => aborted);
    await expect.poll(last, PATIENCE).toBe(true);
    service.vllm.pace = service.other.pace = () => Promise.resolve();
    service.vllm.pieces = service.other.pieces = ['one', ' two', ' three'];
    // 3 words in, as counted by the server's tokenizer, and the two that were delivered.
    await client.settled(1_000_000n - 9n);
    const { receipts } = await service.owner('GET', '/api/receipts?after=0');
    const mine = receipts.filter((one: { owner: string }) => one.owner === client.name);
    expect(mine).toMatchObject([{ input: 3, output: 2, response_sha256: null }]);
  });

  it('CM40 a backend that breaks off ends the answer with an error and without [DONE]; nothing delivered costs nothing', async () => {
    const client = await service.newClient();
    service.llama.breakAfter = 2;
    service.llama.pace = () => new Promise((resolve) => setImmediate(resolve));
    const answer = await client.chat(say('a', { model: service.llama.model, stream: true }));
    if (answer.status === 200) {
      const events: string[] = [];
      for await (const event of eventsOf(answer)) events.push(event);
      expect(events).not.toContain('[DONE]');
      expect(JSON.parse(events.at(-1) ?? '')).toMatchObject({ error: { type: 'server_error' } });
    }
    service.llama.breakAfter = undefined;
    service.llama.failing = 500;
    const poor = await service.newClient();
    const failed = await poor.chat(say('a', { model: service.llama.model }));
    expect(failed.status).toBe(500);
    expect(await failed.json()).toMatchObject({ error: { message: 'it fails' } });
    service.llama.failing = undefined;
    await poor.settled(1_000_000n);
  });

  it('CM40 a client that reads slowly slows the backend', async () => {
    const client = await service.newClient(1_000_000_000n);
    const piece = 'x'.repeat(20_000);
    service.llama.pieces = Array.from({ length: 2_000 }, () => piece);
    let made = 0;
    service.llama.pace = async (index) => {
      made = index;
      await new Promise((resolve) => setImmediate(resolve));
    };
    const answer = await client.chat(
      say('a', { model: service.llama.model, stream: true, max_tokens: 2_000 }),
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
    service.llama.pieces = ['one', ' two', ' three'];
    service.llama.pace = () => Promise.resolve();
  }, 120_000);
});

describe('CM41 what is billed', () => {
  it('CM41 without usage a tokenizer counts; without one the pieces, which is said', async () => {
    const client = await service.newClient();
    service.llama.usage = undefined;
    const counted = await client.chat(say('a b', { model: service.llama.model }));
    const body = (await counted.json()) as { usage: object };
    expect(body.usage).toEqual({ prompt_tokens: 2, completion_tokens: 3, total_tokens: 5 });
    service.llama.usage = 1;
    service.ollama.usage = undefined;
    const options = { stream: true, stream_options: { include_usage: true } };
    const chunks = await chunksOf(
      await client.chat(say('a b', { model: service.ollama.model, ...options })),
    );
    expect(chunks.at(-1)).toMatchObject({
      usage: { prompt_tokens: 2, completion_tokens: 3, usage_estimated: true },
    });
    service.ollama.usage = 1;
  });

  it('CM41 T25 a backend that claims ten times as much is billed by what was counted', async () => {
    const client = await service.newClient();
    service.llama.pieces = Array.from({ length: 20 }, () => ' word');
    service.llama.usage = 10;
    const answer = await client.chat(say('a b', { model: service.llama.model }));
    expect(await answer.json()).toMatchObject({ usage: { completion_tokens: 20 } });
    service.llama.usage = 1;
    service.llama.pieces = ['one', ' two', ' three'];
  });
});

describe('CM44 backends that fail', () => {
  it('CM44 another backend answers as long as nothing was sent; a request that is wrong is not tried again', async () => {
    const client = await service.newClient();
    service.vllm.failing = 500;
    const before = service.vllm.asked.length;
    for (let n = 0; n < 12; n += 1) {
      const answer = await client.chat(say(`prompt ${n}`, { model: service.vllm.model }));
      expect(answer.status).toBe(200);
    }
    // Three failures, and it is asked no more.
    expect(service.vllm.asked.length - before).toBeLessThanOrEqual(3);
    service.vllm.failing = undefined;
    service.other.failing = 400;
    const seen = service.vllm.asked.length + service.other.asked.length;
    const wrong = await client.chat(say('x', { model: service.vllm.model }));
    expect(wrong.status).toBe(400);
    expect(service.vllm.asked.length + service.other.asked.length).toBe(seen + 1);
    service.other.failing = undefined;
  });
});
