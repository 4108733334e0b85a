/** Strangers' jobs are taken when this node sees their money, and not on anybody's word. */
import { expect, test } from 'vitest';
import { address } from '../../../wit/address.ts';
import { NoResponse } from '../../lib/errors.ts';
import type { Requester } from '../../lib/client.ts';
import { facilitatorFunding } from './funding.ts';
import { DEFAULT_POLICY, judge } from './policy.ts';

const word = (byte: string): string => `0x${byte.repeat(32)}`;
const place = (byte: string): string => `0x${byte.repeat(20)}`;
const MONEY = { chainId: 31_337, escrow: place('aa'), token: place('bb') };
const OFFER = {
  jobId: word('01'),
  attempt: 0,
  spec: '{}',
  specHash: word('02'),
  price: 100n,
  timeoutS: 60,
  expiresAt: 0,
  money: MONEY,
  start: false,
};
const SETTINGS = { ...MONEY, registry: place('cc') };
const LOCKED = { state: 'funded', amount: '100', token: MONEY.token, deadline: 10_000, rev: 1 };

/** What the facilitator answers; undefined: nothing. */
function funding(settings: object | undefined, locked: object = LOCKED) {
  const target = address('me.os@facilitator:compute:sys');
  const requester: Requester = {
    resolve: () => target,
    request: async (_target, body) => {
      const asked = JSON.parse(new TextDecoder().decode(body as Uint8Array)) as object | string;
      if (settings === undefined) throw new NoResponse('timeout', target);
      const answer = asked === 'Settings' ? { Settings: settings } : { Money: locked };
      const bytes = new TextEncoder().encode(JSON.stringify(answer));
      return {
        source: target,
        body: bytes,
        metadata: undefined,
        capabilities: [],
        blob: undefined,
      };
    },
  };
  return facilitatorFunding(requester, () => 1_000_000);
}

test('an offer is backed by money that is locked for it, in this provider’s escrow, for long enough', async () => {
  expect(await funding(SETTINGS).problem(OFFER)).toBeUndefined();
  expect(
    await funding({ ...SETTINGS, escrow: MONEY.escrow.toUpperCase().replace('X', 'x') }).problem(
      OFFER,
    ),
  ).toBeUndefined();
  for (const [settings, locked, why] of [
    [undefined, LOCKED, 'cannot see the chain'],
    [{ ...SETTINGS, chainId: 1 }, LOCKED, 'is paid on chain 1'],
    [{ ...SETTINGS, escrow: place('dd') }, LOCKED, 'by the escrow'],
    [{ ...SETTINGS, token: place('dd') }, LOCKED, 'in 0xdd'],
    [SETTINGS, { ...LOCKED, state: 'none' }, 'as none, not funded'],
    [SETTINGS, { ...LOCKED, state: 'settled' }, 'as settled'],
    [SETTINGS, { ...LOCKED, token: place('dd') }, 'another token'],
    [SETTINGS, { ...LOCKED, token: null }, 'another token'],
    [SETTINGS, { ...LOCKED, amount: '99' }, 'less than the price'],
    [SETTINGS, { ...LOCKED, deadline: 2_094 }, 'no time'],
    [SETTINGS, { nonsense: true }, 'cannot see the money'],
  ] as const)
    expect(await funding(settings, locked).problem(OFFER)).toContain(why);
});

test('whom a provider works for is what its operator wrote: own jobs, paid ones of others, and nobody who is denied', () => {
  const policy = { ...DEFAULT_POLICY, payTo: place('11') };
  const asker = (node: string, process: string, own = false) => ({
    source: address(`${node}@${process}`),
    own,
    our: 'me.os',
  });
  const market = 'market:compute:sys';
  const own = asker('me.os', market, true);
  const other = asker('you.os', market);
  const app = asker('me.os', 'app:app:you.os');
  const free = { price: 0n, money: undefined };
  const paid = { price: 100n, money: MONEY };
  const codeOf = (...asked: Parameters<typeof judge>): unknown => {
    const verdict = judge(...asked);
    return 'refused' in verdict ? verdict.refused.code : verdict.checkFunds;
  };
  // What is looked for on the chain: true; taken as it is: false.
  for (const [changed, who, offer, expected] of [
    [{}, own, free, false],
    [{}, own, paid, false],
    [{}, other, free, 'policy'],
    [{}, other, paid, true],
    [{}, app, free, 'policy'],
    [{}, app, paid, 'policy'],
    [{}, asker('you.os', 'app:app:you.os'), paid, 'policy'],
    [{ free: { kind: 'Everybody' } }, other, free, false],
    [{ free: { kind: 'Everybody' } }, app, free, 'policy'],
    [{ free: { kind: 'Allowed' }, allow: ['you.os'] }, other, free, false],
    [{ free: { kind: 'Allowed' }, allow: ['they.os'] }, other, free, 'policy'],
    [{ allow: ['app:you.os'] }, app, free, false],
    [{ allow: ['app:you.os'] }, app, paid, true],
    [{ deny: ['you.os'] }, other, paid, 'policy'],
    [{ paid: false }, other, paid, 'policy'],
    [{ payTo: undefined }, other, paid, 'policy'],
    [{ minPrice: 101n }, other, paid, 'price'],
    [{ takesJobs: false }, own, free, 'policy'],
    [{}, own, { price: 1n, money: undefined }, 'price'],
  ] as const)
    expect([changed, who.source, offer, codeOf({ ...policy, ...changed }, who, offer)]).toEqual([
      changed,
      who.source,
      offer,
      expected,
    ]);
});
