/** The texts of channel messages are the codec's; the quick reader agrees with it. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { httpServerAction, httpServerRequest } from '../../../wit/http-server-api.ts';
import { closeBody, decodePush, openBody, pushBody } from './channel-bodies.ts';

const TYPES = ['Text', 'Binary', 'Ping', 'Pong', 'Close'] as const;
const utf8 = new TextEncoder();
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const ids = fc.integer({ min: 0, max: 2 ** 32 - 1 });

test('M177 M178 bodies to processes are what the schema writes', () => {
  fc.assert(
    fc.property(ids, fc.constantFrom(...TYPES), (id, type) => {
      const value = { channel_id: id, message_type: { kind: type } } as const;
      const push = httpServerRequest.stringify({ kind: 'WebSocketPush', value });
      expect(text(pushBody(id, type))).toBe(push);
      const close = httpServerRequest.stringify({ kind: 'WebSocketClose', value: id });
      expect(text(closeBody(id))).toBe(close);
    }),
  );
  const open = { path: '/"\\é', channel_id: 7, source_socket_addr: undefined, forwarded_for: 'x' };
  expect(text(openBody(open))).toBe(
    '{"WebSocketOpen":{"path":"/\\"\\\\é","channel_id":7,"source_socket_addr":null,"forwarded_for":"x"}}',
  );
});

test('M179 the quick reader takes what serde and JSON.stringify write', () => {
  fc.assert(
    fc.property(ids, fc.constantFrom(...TYPES), (channelId, type) => {
      const action = { WebSocketPush: { channel_id: channelId, message_type: type } };
      expect(decodePush(utf8.encode(JSON.stringify(action)))).toEqual({ channelId, type });
    }),
  );
});

test('M179 what the quick reader takes the schema reads alike, whatever was changed', () => {
  const noise = fc.array(fc.tuple(fc.nat(75), fc.nat(255)), { maxLength: 3 });
  fc.assert(
    fc.property(ids, fc.constantFrom(...TYPES), noise, fc.nat(75), (id, type, changes, cut) => {
      const body = pushBody(id, type);
      for (const [at, byte] of changes) if (at < body.length) body[at] = byte;
      const given = cut < 40 ? body : body.subarray(0, cut);
      const quick = decodePush(given);
      if (quick === undefined) return;
      const value = { channel_id: quick.channelId, message_type: { kind: quick.type } };
      expect(httpServerAction.decode(given)).toEqual({
        ok: true,
        value: { kind: 'WebSocketPush', value },
      });
    }),
    { numRuns: 2_000 },
  );
  for (const id of ['', '01', '4294967296', '1e1', '-1', ' 1', '1.0', '99999999999']) {
    const body = `{"WebSocketPush":{"channel_id":${id},"message_type":"Text"}}`;
    expect(decodePush(utf8.encode(body))).toBeUndefined();
  }
});
