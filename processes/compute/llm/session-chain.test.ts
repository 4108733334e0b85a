import { describe, expect, it } from 'vitest';
import { address } from '../../../wit/address.ts';
import type { Requester } from '../../lib/client.ts';
import { NoResponse } from '../../lib/errors.ts';
import { sessionOnChain } from './session-chain.ts';

const FACILITATOR = address('alice.os@facilitator:compute:sys');
const JOB = `0x${'5e'.repeat(32)}`;
const NODE = `0x${'0a'.repeat(32)}`;
const ESCROW = `0x${'e5'.repeat(20)}`;
const CLIENT = `0x${'c1'.repeat(20)}`;
const SIGNER = `0x${'51'.repeat(20)}`;
const money = { state: 'assigned', attempt: 2, price: '100', nodeId: NODE, deadline: 9 };
const terms = {
  ...{
    client: CLIENT,
    token: CLIENT,
    amount: '100',
    specHash: JOB,
    nodeId: NODE,
    platform: CLIENT,
  },
  ...{ voucherSigner: SIGNER, fundBy: '1', deadline: '9', challengeWindow: 0, mode: 2, salt: JOB },
};

/** A facilitator that says this. */
function facilitator(says: { money?: object; terms?: object | null }): Requester {
  return {
    resolve: () => FACILITATOR,
    async request(_target, body) {
      const text = typeof body === 'string' ? body : new TextDecoder().decode(body);
      const kind = text === '"Settings"' ? 'Settings' : Object.keys(JSON.parse(text))[0]!;
      const answers: Record<string, unknown> = {
        Settings: { chainId: 31_337, escrow: ESCROW, more: 'than is read' },
        Money: { ...money, ...says.money },
        TermsOf: says.terms === null ? null : { terms: { ...terms, ...says.terms } },
      };
      const bytes = new TextEncoder().encode(JSON.stringify({ [kind]: answers[kind] }));
      // Proof of the type: what a client looks at.
      return { body: bytes, metadata: undefined, blob: undefined, capabilities: [] } as never;
    },
  };
}

describe('CM43 sessions on the chain', () => {
  it('CM43 what is kept of a session is what the escrow says', async () => {
    const found = {
      jobId: JOB,
      chainId: 31_337,
      escrow: ESCROW,
      attempt: 2,
      price: 100n,
      deadline: 9,
    };
    expect(await sessionOnChain(facilitator({}), NODE, JOB)).toEqual({ ...found, signer: SIGNER });
    const nobody = facilitator({ terms: { voucherSigner: `0x${'00'.repeat(20)}` } });
    expect((await sessionOnChain(nobody, NODE, JOB)).signer).toBe(CLIENT);
  });

  it.each([
    ['is not assigned', { money: { state: 'funded' } }, 'funded'],
    ['is assigned to another node', { money: { nodeId: JOB } }, 'another node'],
    ['is assigned to nobody', { money: { nodeId: null } }, 'another node'],
    ['is not paid by vouchers', { terms: { mode: 1 } }, 'vouchers'],
    ['has terms that nobody knows', { terms: null }, 'terms'],
  ])('CM43 a job that %s opens none', async (_, says, why) => {
    await expect(sessionOnChain(facilitator(says), NODE, JOB)).rejects.toMatchObject({
      kind: 'NoSession',
      message: expect.stringContaining(why),
    });
  });

  it('CM43 without a facilitator none is opened', async () => {
    const silent: Requester = {
      resolve: () => FACILITATOR,
      request: () => Promise.reject(new NoResponse('timeout', FACILITATOR)),
    };
    await expect(sessionOnChain(silent, NODE, JOB)).rejects.toMatchObject({ kind: 'NoSession' });
  });
});
