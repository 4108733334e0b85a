import { expect, test } from 'vitest';
import { decodeFrame, type RpcFrame } from './rpc-frame.ts';

/** With white space in front the frame is not of the usual spelling, and takes the other way. */
const slowly = (text: string): RpcFrame | undefined => decodeFrame(` ${text}`);

test('a result is the text it came in, however its frame is spelled', () => {
  const result = '{"b": [1.0, 18446744073709551615],"a":"}\\"]"}';
  for (const text of [
    `{"jsonrpc":"2.0","id":7,"result":${result}}`,
    `{"id":7,"jsonrpc":"2.0","result":${result}}`,
    `{"jsonrpc":"2.0","result":${result},"id":7}`,
    ` { "jsonrpc" : "2.0" , "id" : 7 , "result" : ${result} } `,
    `{"jsonrpc":"2.0","id":7,"result":${result},"extra":null}`,
    `{"jsonrpc":"2.0","id":7,"error":null,"result":${result}}`,
  ])
    expect(decodeFrame(text), text).toEqual({ kind: 'result', id: 7, result });
});

test.each([
  [
    'an error beside it',
    '{"jsonrpc":"2.0","id":1,"result":1,"error":{"code":-1,"message":"m"}}',
    'error',
  ],
  ['another id after it', '{"jsonrpc":"2.0","id":1,"result":1,"id":2}', 'result'],
  ['two results', '{"jsonrpc":"2.0","id":1,"result":1,"result":2}', 'result'],
  [
    'two frames',
    '{"jsonrpc":"2.0","id":1,"result":1}{"jsonrpc":"2.0","id":2,"result":2}',
    undefined,
  ],
  ['no end', '{"jsonrpc":"2.0","id":1,"result":[1]', undefined],
  ['no result', '{"jsonrpc":"2.0","id":1,"result":}', undefined],
  ['an id that is too long', '{"jsonrpc":"2.0","id":9007199254740993,"result":1}', undefined],
])('F35 what is around a result counts: %s', (_, text, kind) => {
  const frame = decodeFrame(text);
  expect(frame?.kind).toBe(kind);
  expect(frame).toEqual(slowly(text));
});

test('F35 a frame with any bytes changed is what it would be if every member were looked for', () => {
  const seed = Date.now() % 1_000_000;
  let state = seed;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const alphabet = '{}[],:"\\ 0123e.-xnulidresultt';
  const frames = [
    '{"jsonrpc":"2.0","id":1,"result":"0x12"}',
    '{"jsonrpc":"2.0","id":12,"result":[{"a":"b"},null]}',
    '{"jsonrpc":"2.0","id":3,"result":{"id":4,"result":5}}',
  ];
  let results = 0;
  for (let round = 0; round < 20_000; round++) {
    const letters = frames[random(frames.length)]!.split('');
    for (let edits = random(4); edits > 0; edits--) {
      const letter = alphabet[random(alphabet.length)]!;
      letters.splice(random(letters.length), random(3), letter);
    }
    const text = letters.join('');
    const frame = decodeFrame(text);
    const other = slowly(text);
    const trimmed = (each: RpcFrame | undefined): unknown =>
      each?.kind === 'result' ? { ...each, result: each.result.trim() } : each;
    expect(trimmed(frame), `${text} (seed ${seed})`).toEqual(trimmed(other));
    if (frame?.kind === 'result') results += 1;
  }
  expect(results).toBeGreaterThan(2_000);
});
