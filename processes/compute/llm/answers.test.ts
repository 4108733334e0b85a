/** What backends say in their ways, as clients read it. */
import { describe, expect, it } from 'vitest';
import { readChunk, readWhole, usageChunk } from './answers.ts';

const head = { id: 'chatcmpl-1', created: 5, model: 'm' };
const chat = { endpoint: 'chat', includeUsage: false, body: {} } as const;
const chunk = (more: object): string =>
  JSON.stringify({ id: 'theirs', created: 1, model: 'gguf', object: 'x', ...more });

describe('CM40 events', () => {
  it('CM40 all have our id, time and model; what a server adds stays', () => {
    const line = chunk({ choices: [{ index: 0, delta: { content: 'hi' }, stop_reason: 7 }] });
    const read = readChunk(line, head, chat);
    if (typeof read !== 'object') return expect.unreachable();
    expect(JSON.parse(read.json ?? '')).toEqual({
      ...head,
      object: 'chat.completion.chunk',
      choices: [{ index: 0, delta: { content: 'hi' }, stop_reason: 7 }],
    });
    expect(read).toMatchObject({ deltas: 1, text: 'hi' });
  });

  it('CM40 usage is heard and not shown, wherever it stands; asked for, it is null until the end', () => {
    const usage = { prompt_tokens: 1, completion_tokens: 2 };
    const alone = readChunk(chunk({ choices: [], usage }), head, chat);
    expect(alone).toMatchObject({ json: undefined, usage: { input: 1, output: 2 } });
    const within = chunk({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }], usage });
    const hidden = readChunk(within, head, chat);
    const shown = readChunk(within, head, { ...chat, includeUsage: true });
    if (typeof hidden !== 'object' || typeof shown !== 'object') return expect.unreachable();
    expect(hidden.usage).toEqual({ input: 1, output: 2 });
    expect(JSON.parse(hidden.json ?? '')).not.toHaveProperty('usage');
    expect(JSON.parse(shown.json ?? '').usage).toBeNull();
    expect(
      JSON.parse(usageChunk(head, 'chat', { input: 1, output: 2, estimated: true })),
    ).toMatchObject({ choices: [], usage: { total_tokens: 3, usage_estimated: true } });
  });

  it('CM40 calls of tools and thoughts are text that is billed', () => {
    const tools = chunk({ choices: [{ delta: { tool_calls: [{ id: 'c' }] } }] });
    expect(readChunk(tools, head, chat)).toMatchObject({ deltas: 1, text: '[{"id":"c"}]' });
    const thought = chunk({ choices: [{ delta: { content: '', reasoning_content: 'hm' } }] });
    expect(readChunk(thought, head, chat)).toMatchObject({ text: 'hm', deltas: 1 });
  });

  it('CM40 an error in the middle is one, and what is no JSON is none', () => {
    expect(readChunk('{"error":{"message":"out of memory"}}', head, chat)).toBe('out of memory');
    expect(readChunk('{"error":"gone"}', head, chat)).toBe('gone');
    for (const bad of ['', 'null', '[]', '{"a"', '{}'])
      expect(readChunk(bad, head, chat)).toBeUndefined();
  });
});

describe('CM39 whole answers', () => {
  it('CM39 the bill’s tokens are shown, and what else a server counts', () => {
    const line = JSON.stringify({
      choices: [{ index: 0, message: { role: 'assistant', content: 'a b' } }],
      usage: { prompt_tokens: 1, completion_tokens: 90, prompt_tokens_details: { cached: 1 } },
    });
    const read = readWhole(line, head, chat);
    if (typeof read !== 'object') return expect.unreachable();
    expect(read).toMatchObject({ text: 'a b', pieces: 2, usage: { input: 1, output: 90 } });
    expect(JSON.parse(read.json({ input: 1, output: 2, estimated: false }))).toMatchObject({
      ...head,
      object: 'chat.completion',
      usage: { prompt_tokens: 1, completion_tokens: 2, prompt_tokens_details: { cached: 1 } },
    });
  });

  it('CM39 vectors in the form that was asked for', () => {
    const floats = JSON.stringify({ data: [{ index: 0, embedding: [1, -0.5] }] });
    const base64 = JSON.stringify({ data: [{ index: 0, embedding: 'AACAPwAAAL8=' }] });
    const of = (line: string, encoding_format?: string): unknown => {
      const body = { encoding_format };
      const read = readWhole(line, head, { endpoint: 'embeddings', body });
      if (typeof read !== 'object') return expect.unreachable();
      return JSON.parse(read.json({ input: 1, output: 0, estimated: false })).data[0].embedding;
    };
    for (const line of [floats, base64]) {
      expect(of(line)).toEqual([1, -0.5]);
      expect(of(line, 'float')).toEqual([1, -0.5]);
      expect(of(line, 'base64')).toBe('AACAPwAAAL8=');
    }
  });
});
