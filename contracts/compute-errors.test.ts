import { Interface } from 'ethers';
import { expect, test } from 'vitest';
import { computeEscrowAbi } from './abi/compute-escrow.ts';
import { nodeRegistryAbi } from './abi/node-registry.ts';
import {
  BATCH_CALL_FAILED,
  COMPUTE_ERRORS,
  decodeBatchFailure,
  errorNameOf,
} from './compute-errors.ts';

const escrow = new Interface(computeEscrowAbi);
const registry = new Interface(nodeRegistryAbi);

test('CM3 names of errors are those of our ABIs, and all that the contracts themselves have are known', () => {
  const known = new Map<string, string>();
  for (const { name, selector } of [escrow, registry].flatMap((each) =>
    each.fragments.flatMap((f) => (f.type === 'error' ? [each.getError(f.format())!] : [])),
  ))
    known.set(name, selector.slice(2));
  for (const [name, selector] of Object.entries(COMPUTE_ERRORS))
    expect(known.get(name), name).toBe(selector);
  const missing = [...known.keys()].filter((name) => !(name in COMPUTE_ERRORS));
  // Of its owner's settings only.
  expect(missing.filter((name) => !name.startsWith('Ownable'))).toEqual([]);
});

test('CM3 what failed in a batch is read as the escrow writes it', () => {
  const event = escrow.getEvent('BatchCallFailed')!;
  expect(event.topicHash).toBe(BATCH_CALL_FAILED);
  const reason = escrow.encodeErrorResult('BadState', [3]);
  expect(decodeBatchFailure(escrow.encodeEventLog(event, [7, reason]))).toEqual({
    index: 7,
    error: 'BadState',
  });
  expect(decodeBatchFailure(escrow.encodeEventLog(event, [0, '0x']))).toEqual({
    index: 0,
    error: 'NoReason',
  });
  expect(errorNameOf('0x08c379a0')).toBe('Reverted');
  expect(decodeBatchFailure({ topics: ['0x12'], data: '0x' })).toBeUndefined();
  expect(decodeBatchFailure({ topics: [BATCH_CALL_FAILED], data: '0x12' })).toBeUndefined();
});
