/** The extension's end of `llm.*`: bounded by credit, ended by either side. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { decodeFrame, encodeFrame } from '../../../wit/hn-ext/frames.ts';
import {
  LLM_BODY_BYTES_MAX,
  LLM_CALLS_MAX,
  LLM_CHUNK_BYTES,
  LLM_WINDOW_BYTES,
} from '../../../wit/hn-ext/limits.ts';
import type { Body, Frame, FrameType } from '../../../wit/hn-ext/schema.ts';
import { type Backend, BackendError, type ModelCall } from './backend.ts';
import { builtinModels } from './builtin-models.ts';
import { type ModelFrame, ModelCalls } from './model-calls.ts';

/** The other side, which sees every frame as bytes. */
class Harness {
  readonly sent: Frame[] = [];
  readonly calls: ModelCalls;
  /** Of the deadline. */
  timeout: (() => void) | undefined;

  constructor(backend: Backend) {
    this.calls = new ModelCalls({
      send: (t, body) => {
        const read = decodeFrame(encodeFrame(t, body, { n: 1 }));
        if (!read.ok) throw new Error(read.error.message);
        this.sent.push(read.value);
      },
      backend: (id) => (id === 'it' ? backend : undefined),
      clock: {
        after: (_ms, work) => {
          this.timeout = work;
          return () => (this.timeout = undefined);
        },
      },
    });
  }

  tell<T extends ModelFrame['t']>(t: T, body: Body<T>): void {
    this.calls.frame({ t, body, n: undefined, a: undefined } as unknown as ModelFrame);
  }

  /** Asks, and hands over the body as it is asked for. */
  ask(body: object, { rid = 'r', credit = LLM_WINDOW_BYTES } = {}): void {
    const bytes = Buffer.from(JSON.stringify(body));
    const asked = { rid, backend: 'it', endpoint: 'chat', bytes: bytes.length, credit };
    this.tell('llm.request', { ...asked, deadlineMs: 1_000 });
    for (let more = this.of('llm.more').at(-1); more?.body.rid === rid;) {
      const { offset } = more.body;
      this.tell('llm.body', { rid, offset, data: bytes.subarray(offset, offset + 7) });
      const next = this.of('llm.more').at(-1);
      if (next === more) break;
      more = next;
    }
  }

  of<T extends FrameType>(t: T): readonly Frame<T>[] {
    return this.sent.filter((frame) => frame.t === t) as unknown as readonly Frame<T>[];
  }

  get said(): string {
    return Buffer.concat(this.of('llm.chunk').map(({ body }) => body.data)).toString();
  }
}

const saying = (call: (call: ModelCall) => Promise<void>): Backend => ({
  ...{ id: 'it', base: '', models: async () => [] },
  call,
});
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const chat = { model: 'builtin:echo', stream: true, messages: [{ role: 'user', content: 'a b' }] };

describe('CM40 model requests at the extension', () => {
  it('CM40 the body in pieces, the answer as lines, and hashes of both', async () => {
    const harness = new Harness(builtinModels);
    harness.ask(chat);
    await expect.poll(() => harness.of('llm.done')).toHaveLength(1);
    expect(harness.said.trimEnd().split('\n')).toHaveLength(4);
    const hash = (text: string): string => createHash('sha256').update(text).digest('hex');
    expect(harness.of('llm.done')[0]!.body).toMatchObject({
      sha256: hash(harness.said),
      requestSha256: hash(JSON.stringify(chat)),
      chunks: harness.of('llm.chunk').length,
    });
    expect(harness.timeout).toBeUndefined();
  });

  it('CM40 no byte more than credit allows; the backend waits, and goes on with more', async () => {
    const line = JSON.stringify('x'.repeat(50_000));
    let taken = 0;
    const backend = saying(async (call) => {
      for (; taken < 20; taken += 1) await call.take(line);
    });
    const harness = new Harness(backend);
    harness.ask(chat, { credit: 1_000 });
    await settle();
    expect(harness.said).toHaveLength(1_000);
    expect(taken).toBeLessThan(3);
    for (let n = 0; n < 20 && harness.of('llm.done').length === 0; n += 1) {
      const before = harness.said.length;
      harness.tell('llm.credit', { rid: 'r', bytes: 100_000 });
      await settle();
      expect(harness.said.length - before).toBeLessThanOrEqual(100_000);
    }
    expect(harness.said).toBe(`${line}\n`.repeat(20));
    for (const { body } of harness.of('llm.chunk'))
      expect(body.data.length).toBeLessThanOrEqual(LLM_CHUNK_BYTES);
    expect(harness.of('llm.chunk').map(({ body }) => body.i)).toEqual(
      harness.of('llm.chunk').map((_, index) => index),
    );
  });

  it('CM40 cancelled or without a channel, the backend is stopped and nothing more is said', async () => {
    for (const end of [
      (harness: Harness) => harness.tell('llm.cancel', { rid: 'r' }),
      (harness: Harness) => harness.calls.lost(),
    ]) {
      let signal: AbortSignal | undefined;
      const harness = new Harness(
        saying((call) => {
          signal = call.signal;
          return new Promise((_, reject) =>
            call.signal.addEventListener('abort', () => reject(call.signal.reason as Error)),
          );
        }),
      );
      harness.ask(chat);
      end(harness);
      await settle();
      expect(signal?.aborted).toBe(true);
      expect(harness.sent.filter(({ t }) => t !== 'llm.more')).toEqual([]);
    }
  });

  it('CM40 an answer that takes longer than its deadline is stopped with 504', async () => {
    let signal: AbortSignal | undefined;
    const harness = new Harness(
      saying((call) => ((signal = call.signal), new Promise(() => undefined))),
    );
    harness.ask(chat);
    harness.timeout?.();
    expect(signal?.aborted).toBe(true);
    expect(harness.of('llm.error')).toMatchObject([{ body: { status: 504 } }]);
  });

  it('CM40 a backend’s error keeps its status and words; a fault of ours tells nothing', async () => {
    for (const [error, told] of [
      [new BackendError(404, 'no such model'), { status: 404, message: 'no such model' }],
      [new Error('secret path'), { status: 502, message: 'the backend failed' }],
    ] as const) {
      const harness = new Harness(saying(() => Promise.reject(error)));
      harness.ask(chat);
      await settle();
      expect(harness.of('llm.error')).toMatchObject([{ body: told }]);
    }
  });

  it('CM40 what is too much, or unknown, is refused', () => {
    const harness = new Harness(saying(() => new Promise(() => undefined)));
    const asked = { backend: 'it', endpoint: 'chat', bytes: 9, credit: 1, deadlineMs: 1 };
    harness.tell('llm.request', { ...asked, rid: 'a', backend: 'http://10.0.0.1/' });
    harness.tell('llm.request', { ...asked, rid: 'b', endpoint: '../admin' });
    harness.tell('llm.request', { ...asked, rid: 'c', bytes: LLM_BODY_BYTES_MAX + 1 });
    for (let n = 0; n <= LLM_CALLS_MAX; n += 1)
      harness.tell('llm.request', { ...asked, rid: `r${n}` });
    expect(harness.of('llm.error').map(({ body }) => [body.rid, body.status])).toEqual([
      ['a', 503],
      ['b', 400],
      ['c', 413],
      [`r${LLM_CALLS_MAX}`, 503],
    ]);
    // A body that is not what was announced is not taken.
    harness.tell('llm.body', { rid: 'r0', offset: 0, data: new Uint8Array(10) });
    harness.tell('llm.body', { rid: 'r0', offset: 3, data: new Uint8Array(1) });
    expect(harness.of('llm.more').filter(({ body }) => body.rid === 'r0')).toHaveLength(1);
  });
});
