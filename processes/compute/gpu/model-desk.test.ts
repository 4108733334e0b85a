/** The gpu process's end of model requests: what is under way is bounded, whatever the extension or the caller does. */
import { describe, expect, it } from 'vitest';
import { address } from '../../../wit/address.ts';
import { LLM_CALLS_MAX, LLM_CHUNK_BYTES, LLM_WINDOW_BYTES } from '../../../wit/hn-ext/limits.ts';
import type { Frame } from '../../../wit/hn-ext/schema.ts';
import { ModelDesk } from './model-desk.ts';

const CALLER = address('alice.os@llm:compute:sys');
const asked = (rid: string) => ({ rid, backend: 'b', endpoint: 'chat', deadlineMs: 1_000 });

function newDesk(up = true) {
  const sent: [string, object][] = [];
  const told: { rid: string; state: { kind: string; value?: unknown }; bytes?: Uint8Array }[] = [];
  const clock = { nowMs: 0 };
  const desk = new ModelDesk({
    session: { up, send: (t, body) => void sent.push([t, body]) },
    machine: () => undefined,
    nowMs: () => clock.nowMs,
    tell: (_caller, piece, bytes) =>
      void told.push({ ...piece, ...(bytes === undefined ? {} : { bytes }) }),
  });
  const frame = (t: string, body: object): boolean => desk.frame({ t, body } as unknown as Frame);
  return { desk, sent, told, clock, frame };
}

describe('CM40 model requests at the process', () => {
  it('CM40 the body is handed over as it is asked for, pieces are told, and taken ones give credit', () => {
    const { desk, sent, told, frame } = newDesk();
    const body = new Uint8Array(LLM_CHUNK_BYTES + 5);
    desk.call(asked('r'), body, CALLER);
    expect(sent).toMatchObject([
      ['llm.request', { rid: 'r', bytes: body.length, credit: LLM_WINDOW_BYTES }],
    ]);
    frame('llm.more', { rid: 'r', offset: 0 });
    frame('llm.more', { rid: 'r', offset: LLM_CHUNK_BYTES });
    frame('llm.more', { rid: 'r', offset: body.length });
    expect(
      sent.slice(1).map(([, { data }]: [string, { data?: Uint8Array }]) => data?.length),
    ).toEqual([LLM_CHUNK_BYTES, 5]);
    frame('llm.chunk', { rid: 'r', i: 0, data: new Uint8Array(7) });
    desk.taken('r', 7);
    expect(sent.at(-1)).toEqual(['llm.credit', { rid: 'r', bytes: 7 }]);
    // Not twice.
    desk.taken('r', 7);
    expect(sent.filter(([t]) => t === 'llm.credit')).toHaveLength(1);
    frame('llm.done', { rid: 'r', chunks: 1, sha256: 'a', requestSha256: 'b' });
    expect(told.map(({ state }) => state.kind)).toEqual(['More', 'Done']);
    expect(frame('job.state', {})).toBe(false);
  });

  it.each([
    ['more than the window', { i: 0, data: new Uint8Array(LLM_WINDOW_BYTES + 1) }],
    ['a chunk that is not the next', { i: 1, data: new Uint8Array(1) }],
    ['an empty chunk', { i: 0, data: new Uint8Array() }],
  ])('CM40 an extension that sends %s is not heard', (_, chunk) => {
    const { desk, sent, told, frame } = newDesk();
    desk.call(asked('r'), new Uint8Array(1), CALLER);
    frame('llm.chunk', { rid: 'r', ...chunk });
    frame('llm.chunk', { rid: 'r', i: 0, data: new Uint8Array(1) });
    expect(sent.at(-1)).toEqual(['llm.cancel', { rid: 'r' }]);
    expect(told).toMatchObject([{ state: { kind: 'Failed', value: { status: 502 } } }]);
  });

  it('CM40 an answer whose parts are missing is not whole; one without a channel has failed', () => {
    const { desk, told, frame } = newDesk();
    desk.call(asked('r'), new Uint8Array(1), CALLER);
    frame('llm.done', { rid: 'r', chunks: 3, sha256: '', requestSha256: '' });
    desk.call(asked('s'), new Uint8Array(1), CALLER);
    desk.down();
    expect(told).toMatchObject([
      { rid: 'r', state: { kind: 'Failed', value: { status: 502 } } },
      { rid: 's', state: { kind: 'Failed', value: { status: 503 } } },
    ]);
  });

  it('CM40 what nobody takes is given up, what nobody waits for is cancelled', () => {
    const { desk, sent, clock, frame } = newDesk();
    desk.call(asked('r'), new Uint8Array(1), CALLER);
    desk.call(asked('s'), new Uint8Array(1), CALLER);
    frame('llm.chunk', { rid: 'r', i: 0, data: new Uint8Array(1) });
    clock.nowMs = 120_000;
    desk.tick();
    expect(sent.filter(([t]) => t === 'llm.cancel')).toEqual([]);
    clock.nowMs = 120_001;
    desk.tick();
    desk.cancel('s');
    desk.cancel('s');
    const cancelled = sent.filter(([t]) => t === 'llm.cancel').map(([, body]) => body);
    expect(cancelled).toEqual([{ rid: 'r' }, { rid: 's' }]);
  });

  it('CM40 so many at a time, and none without an extension', () => {
    const { desk } = newDesk();
    const body = new Uint8Array(1);
    for (let n = 0; n < LLM_CALLS_MAX; n += 1) desk.call(asked(`r${n}`), body, CALLER);
    expect(() => desk.call(asked('one more'), body, CALLER)).toThrow('under way');
    expect(() => newDesk(false).desk.call(asked('r'), body, CALLER)).toThrow('no extension');
    expect(() => newDesk().desk.call(asked('r'), new Uint8Array(), CALLER)).toThrow('bytes');
  });
});
