import { Interface } from 'ethers';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { computeEscrowAbi } from './abi/compute-escrow.ts';
import { nodeRegistryAbi } from './abi/node-registry.ts';
import { verifierSetAbi } from './abi/verifier-set.ts';
import * as calls from './compute-calls.ts';

const escrow = new Interface(computeEscrowAbi);
const registry = new Interface(nodeRegistryAbi);
const verifierSet = new Interface(verifierSetAbi);

const word = (byte: string): string => `0x${byte.repeat(32)}`;
const who = (byte: string): string => `0x${byte.repeat(20)}`;
const JOB = word('a1');
const signature = `0x${'5e'.repeat(65)}`;
const terms = {
  client: who('c1'),
  token: who('70'),
  amount: 100_000_000n,
  specHash: word('51'),
  nodeId: word('4e'),
  platform: who('91'),
  voucherSigner: who('00'),
  fundBy: 1_735_693_200n,
  deadline: 1_735_700_400n,
  challengeWindow: 600,
  mode: 1,
  salt: word('5a'),
};
const acceptance = {
  jobId: JOB,
  nodeId: word('4e'),
  attempt: 3,
  payTo: who('9a'),
  price: 5n,
  expiresAt: 6n,
};
const receipt = {
  jobId: JOB,
  nodeId: word('4e'),
  attempt: 3,
  specHash: word('51'),
  inputsRoot: word('01'),
  outputsRoot: word('02'),
  logsRoot: word('03'),
  stdoutHash: word('04'),
  runtimeHash: word('05'),
  usageHash: word('06'),
  exitCode: -9,
  status: 3,
  startedAt: 7n,
  finishedAt: 8n,
  claimed: 9n,
};
const verdict = {
  jobId: JOB,
  attempt: 3,
  receiptHash: word('7e'),
  outcome: 1,
  scoreBps: 9_000,
  checks: 62,
  payout: 4n,
  issuedAt: 10n,
};
const resolution = {
  jobId: JOB,
  receiptHash: word('7e'),
  upheld: true,
  payout: 0n,
  slash: 1n,
  evidenceHash: word('ef'),
  issuedAt: 11n,
};
const voucher = { jobId: JOB, attempt: 3, cumulative: 273n, tokensIn: 12n, tokensOut: 87n };
const signatures = [
  { signer: who('0b'), signature },
  { signer: who('0c'), signature: '0x1234' },
];
const record = {
  nodeId: word('4e'),
  executor: who('e1'),
  payTo: who('9a'),
  metaHash: word('3e'),
  executorSignature: signature,
};

test('CM3 selectors are those of our ABI', () => {
  for (const [name, selector] of Object.entries(calls.ESCROW_SELECTORS))
    expect(escrow.getFunction(name)?.selector, name).toBe(`0x${selector}`);
  for (const [name, selector] of Object.entries(calls.REGISTRY_SELECTORS))
    expect(registry.getFunction(name)?.selector, name).toBe(`0x${selector}`);
  for (const [name, selector] of Object.entries(calls.VERIFIER_SELECTORS))
    expect(verifierSet.getFunction(name)?.selector, name).toBe(`0x${selector}`);
});

test('CM3 calls of the escrow equal those of ethers', () => {
  const rs = { r: `0x${'5e'.repeat(32)}`, s: `0x${'5e'.repeat(32)}`, v: 0x5e };
  const inner = [calls.encodeFinalize(JOB), calls.encodeCancel(JOB, signature)];
  const table: Readonly<Record<string, readonly [ours: string, values: readonly unknown[]]>> = {
    fund: [calls.encodeFund(terms), [terms]],
    fundFor: [calls.encodeFundFor(terms, signature), [terms, signature]],
    fundForWithPermit: [
      calls.encodeFundForWithPermit(terms, signature, { deadline: 5n, signature }),
      [terms, signature, 5n, rs.v, rs.r, rs.s],
    ],
    fundWithAuthorization: [
      calls.encodeFundWithAuthorization(terms, { validAfter: 1n, validBefore: 2n, signature }),
      [terms, 1n, 2n, signature],
    ],
    fundWithPermit2: [
      calls.encodeFundWithPermit2(terms, { nonce: 1n, deadline: 2n, signature }),
      [terms, 1n, 2n, signature],
    ],
    fundFromVault: [calls.encodeFundFromVault(terms), [terms]],
    recoverVault: [calls.encodeRecoverVault(terms, who('70')), [terms, who('70')]],
    assign: [calls.encodeAssign(acceptance, signature), [acceptance, signature, '0x']],
    propose: [
      calls.encodePropose(receipt, signature, verdict, signatures),
      [receipt, signature, verdict, signatures],
    ],
    reject: [calls.encodeReject(verdict, []), [verdict, []]],
    convict: [
      calls.encodeConvict(receipt, signature, resolution, signatures),
      [receipt, signature, resolution, signatures],
    ],
    dispute: [calls.encodeDispute(JOB, word('ef')), [JOB, word('ef')]],
    disputeAs: [calls.encodeDisputeAs(JOB, word('ef'), word('4e')), [JOB, word('ef'), word('4e')]],
    resolve: [calls.encodeResolve(resolution, signatures), [resolution, signatures]],
    finalize: [calls.encodeFinalize(JOB), [JOB]],
    claimSession: [calls.encodeClaimSession(voucher, signature), [voucher, signature]],
    requestClose: [calls.encodeRequestClose(JOB), [JOB]],
    closeSession: [calls.encodeCloseSession(JOB), [JOB]],
    cancel: [calls.encodeCancel(JOB), [JOB, '0x']],
    refundExpired: [calls.encodeRefundExpired(JOB), [JOB]],
    withdraw: [calls.encodeWithdraw(who('70'), who('c1')), [who('70'), who('c1')]],
    withdrawFor: [calls.encodeWithdrawFor(who('c1'), who('70')), [who('c1'), who('70')]],
    batch: [calls.encodeBatch(inner, true), [inner, true]],
    getJob: [calls.encodeGetJob(JOB), [JOB]],
    creditOf: [calls.encodeCreditOf(who('c1'), who('70')), [who('c1'), who('70')]],
  };
  expect(Object.keys(table).toSorted()).toEqual(Object.keys(calls.ESCROW_SELECTORS).toSorted());
  for (const [name, [ours, values]] of Object.entries(table))
    expect(ours, name).toBe(escrow.encodeFunctionData(name, values));
});

test('CM3 calls of the registry equal those of ethers', () => {
  const { nodeId, executor, payTo, metaHash, executorSignature } = record;
  const values = [nodeId, executor, payTo, metaHash, executorSignature];
  const other = { ...receipt, exitCode: 1 };
  const table: Readonly<Record<string, readonly [ours: string, values: readonly unknown[]]>> = {
    register: [calls.encodeNodeRecord('register', record), values],
    claim: [calls.encodeNodeRecord('claim', record), values],
    update: [calls.encodeNodeRecord('update', record), values],
    setStatus: [calls.encodeSetStatus(nodeId, true), [nodeId, true]],
    heartbeat: [calls.encodeHeartbeat(nodeId), [nodeId]],
    stake: [calls.encodeStake(nodeId, 5n), [nodeId, 5n]],
    requestUnstake: [calls.encodeRequestUnstake(nodeId, 5n), [nodeId, 5n]],
    withdrawStake: [calls.encodeWithdrawStake(nodeId), [nodeId]],
    slashEquivocation: [
      calls.encodeSlashEquivocation(
        who('e5'),
        { receipt, signature },
        { receipt: other, signature: '0x12' },
      ),
      [who('e5'), receipt, signature, other, '0x12'],
    ],
    executeSlash: [calls.encodeExecuteSlash(7n), [7n]],
    nodes: [calls.encodeNodes(nodeId), [nodeId]],
  };
  expect(Object.keys(table).toSorted()).toEqual(Object.keys(calls.REGISTRY_SELECTORS).toSorted());
  for (const [name, [ours, wanted]] of Object.entries(table))
    expect(ours, name).toBe(registry.encodeFunctionData(name, wanted));
  const token = new Interface(['function approve(address,uint256)']);
  expect(calls.encodeApprove(who('e5'), 7n)).toBe(
    token.encodeFunctionData('approve', [who('e5'), 7n]),
  );
});

test('CM3 calls of the verifier set equal those of ethers', () => {
  const table: Readonly<Record<string, readonly [ours: string, values: readonly unknown[]]>> = {
    postBond: [calls.encodePostBond(who('0b'), 5n), [who('0b'), 5n]],
    requestBond: [calls.encodeRequestBond(5n), [5n]],
    withdrawBond: [calls.encodeWithdrawBond(), []],
    slashVerdict: [
      calls.encodeSlashVerdict(who('e5'), verdict, signatures),
      [who('e5'), verdict, signatures],
    ],
  };
  expect(Object.keys(table).toSorted()).toEqual(Object.keys(calls.VERIFIER_SELECTORS).toSorted());
  for (const [name, [ours, values]] of Object.entries(table))
    expect(ours, name).toBe(verifierSet.encodeFunctionData(name, values));
});

test('CM3 jobs and nodes are read as ethers writes them', () => {
  const job = {
    client: who('c1'),
    deadline: 1n,
    attempt: 2,
    token: who('70'),
    state: 3,
    mode: 1,
    pinned: true,
    protocolBps: 1_000,
    platformBps: 500,
    challengeWindow: 600,
    amount: 2n ** 128n - 1n,
    price: 4n,
    payout: 5n,
    timer: 6n,
    fundedAt: 7n,
    specHash: word('51'),
    nodeId: word('4e'),
    payTo: who('9a'),
    platform: who('91'),
    voucherSigner: who('00'),
    receiptHash: word('7e'),
    disputer: who('d1'),
    bond: 8n,
  };
  const answer = escrow.encodeFunctionResult('getJob', [job]);
  expect(calls.decodeJob(answer)).toEqual({ ok: true, value: { ...job, state: 'proposed' } });
  const node = {
    operator: who('01'),
    stake: 2n ** 64n - 1n,
    active: 3,
    executor: who('e1'),
    reserved: 4n,
    on: true,
    payTo: who('9a'),
    unbonding: 5n,
    unbondAt: 6n,
    lastBeat: 7n,
    reportedAt: 8n,
    lastSlashAt: 9n,
    metaHash: word('3e'),
    nextOperator: who('00'),
  };
  expect(calls.decodeNode(registry.encodeFunctionResult('nodes', [node]))).toEqual({
    ok: true,
    value: node,
  });
});

test('F35 no answer makes a decoder throw', () => {
  const digits = fc.stringMatching(/^0x[0-9a-fA-Fz]{0,1600}$/);
  const mutated = fc.tuple(fc.nat(1472), fc.stringMatching(/^[0-9a-fz]$/)).map(([at, digit]) => {
    const text = `0x${'0'.repeat(23 * 64)}`;
    return text.slice(0, 2 + at) + digit + text.slice(3 + at);
  });
  fc.assert(
    fc.property(fc.oneof(digits, mutated, fc.string()), (text) => {
      expect(typeof calls.decodeJob(text).ok).toBe('boolean');
      expect(typeof calls.decodeNode(text).ok).toBe('boolean');
    }),
  );
  expect(calls.decodeJob('0x').ok).toBe(false);
  // A state that there is not, and a bool of two.
  const at = (index: number, value: string): string =>
    `0x${'0'.repeat(64 * index)}${value.padStart(64, '0')}${'0'.repeat(64 * (22 - index))}`;
  expect(calls.decodeJob(at(4, '7')).ok).toBe(false);
  expect(calls.decodeJob(at(6, '2')).ok).toBe(false);
  expect(calls.decodeJob(at(4, '6')).ok).toBe(true);
});

test('T15 signatures are put in the order of their signers, whatever their case', () => {
  const mixed = ['0xB0', '0xa0', '0xC0', '0x0f'].map((start) => ({
    signer: start + '11'.repeat(19),
    signature,
  }));
  expect(calls.inOrder(mixed).map(({ signer }) => signer.slice(2, 4))).toEqual([
    '0f',
    'a0',
    'B0',
    'C0',
  ]);
});
