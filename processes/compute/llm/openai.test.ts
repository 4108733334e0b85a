import { describe, expect, it } from 'vitest';
import {
  apiError,
  chunkSeen,
  errorJson,
  parseRequest,
  upstreamBody,
  usageOf,
  wordsIn,
} from './openai.ts';

const chat = {
  model: 'builtin:echo',
  messages: [
    { role: 'system', content: 'be brief' },
    { role: 'user', content: [{ type: 'text', text: 'hello' }, { type: 'image_url' }] },
  ],
};

describe('CM39 requests', () => {
  it('CM39 what matters is read, what is unknown is passed on', () => {
    const parsed = parseRequest(
      'chat',
      JSON.stringify({ ...chat, max_tokens: 5, stream: true, top_k: 3 }),
    );
    expect(parsed).toMatchObject({
      model: 'builtin:echo',
      stream: true,
      includeUsage: false,
      maxTokens: 5,
      prompt: 'be brief\nhello\n',
      choices: 1,
    });
    if (!('endpoint' in parsed)) return expect.unreachable();
    expect(JSON.parse(upstreamBody(parsed))).toMatchObject({
      top_k: 3,
      stream_options: { include_usage: true },
    });
  });

  it('CM39 prompts are texts, texts or tokens', () => {
    const promptOf = (input: unknown): unknown => {
      const parsed = parseRequest('embeddings', JSON.stringify({ model: 'm', input }));
      return 'endpoint' in parsed ? parsed.prompt : parsed.param;
    };
    expect(promptOf('a')).toBe('a');
    expect(promptOf(['a', 'b'])).toBe('a\nb');
    expect(promptOf([1, 2])).toBe('1 2');
    expect(promptOf([[1], [2, 3]])).toBe('1 2 3');
    for (const bad of [undefined, [], {}, [null], [1, 'a'], 7]) expect(promptOf(bad)).toBe('input');
  });

  it.each([
    ['no JSON', '{', null],
    ['no object', '[]', null],
    ['no model', JSON.stringify({ messages: [] }), 'model'],
    ['no messages', JSON.stringify({ model: 'm' }), 'messages'],
    [
      'a message without role',
      JSON.stringify({ model: 'm', messages: [{ content: 'x' }] }),
      'messages',
    ],
    ['n of 0', JSON.stringify({ ...chat, n: 0 }), 'n'],
    ['n of 1,000', JSON.stringify({ ...chat, n: 1_000 }), 'n'],
    ['max_tokens of -1', JSON.stringify({ ...chat, max_tokens: -1 }), 'max_tokens'],
    ['stream of text', JSON.stringify({ ...chat, stream: 'yes' }), 'stream'],
  ])('CM39 %s is 400', (_, body, param) => {
    expect(parseRequest('chat', body)).toMatchObject({
      status: 400,
      type: 'invalid_request_error',
      param,
    });
  });

  it('CM39 an error has the four members that clients read', () => {
    expect(
      JSON.parse(
        errorJson(apiError(404, 'invalid_request_error', 'no', { code: 'model_not_found' })),
      ),
    ).toEqual({
      error: { message: 'no', type: 'invalid_request_error', param: null, code: 'model_not_found' },
    });
  });
});

describe('CM40 CM41 events of a streamed answer', () => {
  it('CM41 deltas with content count, the first with the role alone does not', () => {
    const delta = (content: unknown): unknown => ({ choices: [{ index: 0, delta: content }] });
    expect(chunkSeen(delta({ role: 'assistant', content: '' }))).toMatchObject({ deltas: 0 });
    expect(chunkSeen(delta({ content: 'hi' }))).toEqual({
      deltas: 1,
      usage: undefined,
      usageOnly: false,
    });
    expect(chunkSeen(delta({ tool_calls: [] }))).toMatchObject({ deltas: 1 });
    expect(chunkSeen({ choices: [{ text: 'x' }, { text: '' }] })).toMatchObject({ deltas: 1 });
    expect(chunkSeen('x')).toBeUndefined();
  });

  it('CM40 the event with usage alone is known, and numbers that are none are no usage', () => {
    const usage = { prompt_tokens: 12, completion_tokens: 87, total_tokens: 99 };
    expect(chunkSeen({ choices: [], usage })).toEqual({
      deltas: 0,
      usage: { input: 12, output: 87 },
      usageOnly: true,
    });
    expect(usageOf({ prompt_tokens: -1, completion_tokens: 2 })).toBeUndefined();
    expect(usageOf({ prompt_tokens: 3 })).toEqual({ input: 3, output: 0 });
    expect(wordsIn('  two  words\n')).toBe(2);
  });
});
