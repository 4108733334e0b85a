import { expect, test } from 'vitest';
import { address } from '../../../wit/address.ts';
import type { Requester } from '../../lib/client.ts';
import { NoResponse } from '../../lib/errors.ts';
import { payToOf } from './pay-to.ts';

const NODE_ID = `0x${'01'.repeat(32)}`;
const REGISTERED = `0x${'aa'.repeat(20)}`;
const CHOSEN = `0x${'bb'.repeat(20)}`;

/** @param answers  what the facilitator says, one after the other; null: not registered; undefined: nothing */
function asked(answers: (string | null | undefined)[]) {
  const target = address('me.os@facilitator:compute:sys');
  const bodies: unknown[] = [];
  let now = 0;
  const requester: Requester = {
    resolve: () => target,
    request: async (_target, body) => {
      bodies.push(JSON.parse(new TextDecoder().decode(body as Uint8Array)));
      const payTo = answers.shift();
      if (payTo === undefined) throw new NoResponse('timeout', target);
      const text = JSON.stringify({ Provider: payTo === null ? null : { payTo } });
      const parts = { metadata: undefined, capabilities: [], blob: undefined };
      return { source: target, body: new TextEncoder().encode(text), ...parts };
    },
  };
  const payTo = payToOf(requester, NODE_ID, () => now);
  return {
    bodies,
    payTo: (chosen?: string) => payTo({ payTo: chosen }),
    pass: (ms: number) => void (now += ms),
  };
}

test('pay goes where the policy says, and nobody is asked', async () => {
  const { payTo, bodies } = asked([REGISTERED]);
  expect(await payTo(CHOSEN)).toBe(CHOSEN);
  expect(bodies).toEqual([]);
});

test('else where the registry says, which is asked once by all who want to know at a time', async () => {
  const { payTo, bodies, pass } = asked([REGISTERED, CHOSEN]);
  expect(await Promise.all([payTo(), payTo()])).toEqual([REGISTERED, REGISTERED]);
  expect(bodies).toEqual([{ Provider: { nodeId: NODE_ID } }]);
  pass(29_999);
  expect(await payTo()).toBe(REGISTERED);
  pass(1);
  expect(await payTo()).toBe(CHOSEN);
  expect(bodies).toHaveLength(2);
});

test('a node that has just been registered, or whose chain is back, is paid within seconds', async () => {
  const { payTo, pass } = asked([null, undefined, REGISTERED]);
  expect(await payTo()).toBeUndefined();
  pass(3_000);
  expect(await payTo()).toBeUndefined();
  pass(3_000);
  expect(await payTo()).toBe(REGISTERED);
});
