/**
 * Why the escrow and the registry refuse, by name, and which calls of a batch they refused: by hand as in `calls.ts`, for guests.
 * `compute-errors.test.ts` compares with ethers.
 */
import { bytesAt, smallAt } from './calls.ts';
import type { RawLog } from './events.ts';

/** The first four bytes of what a call reverts with. */
export const COMPUTE_ERRORS = {
  AlreadyRegistered: '3a81d6fc',
  AmountTooHigh: 'fd7850ad',
  BadAmount: '749b5939',
  BadExecutor: '06c6dbbf',
  BadSetting: 'a1fd3ee3',
  BadSignature: '5cd5d233',
  BadState: 'e7ec536e',
  BadTerms: '8dc59921',
  BadVerdict: '43e43260',
  CapacityExceeded: '9ff41fe0',
  CooldownActive: 'aa9a98df',
  EnforcedPause: 'd93c0665',
  Expired: '203d82d8',
  InsufficientStake: 'f1bc94d2',
  NodeBusy: 'd832909f',
  NodeNotActive: '8741cbb8',
  NotEquivocation: '0b69ebb3',
  NotExpired: 'd0404f85',
  NotNameOwner: '42f058b4',
  NotOperator: '7c214f04',
  NothingToClaim: '969bf728',
  NothingToWithdraw: 'd0d04f60',
  ReentrantCall: '37ed32e8',
  SafeERC20FailedOperation: '5274afe7',
  SlashDone: '9357fe36',
  TokenNotAllowed: 'a29c4986',
  TooSoon: '6fed7d85',
  TransferMismatch: 'fdff204a',
  Unauthorized: '82b42900',
  UnderFunded: '7a53fae0',
  WindowClosed: '2f23cfcd',
  WindowOpen: 'a4229fab',
  WrongAttempt: '7815b504',
  WrongNode: 'b032e537',
} as const;
/** `Panic` and `Error` of Solidity are `Reverted`; nothing at all, as when gas runs out, is `NoReason`. */
export type ComputeError = keyof typeof COMPUTE_ERRORS | 'Reverted' | 'NoReason';

/** First topic of `BatchCallFailed(uint256 index, bytes answer)`. */
export const BATCH_CALL_FAILED =
  '0x651ab1b3e05f5d8f80c2f34a9935c0c099a81b9dbe4b65c107820181f267c1b8';

// Proof of the type: the entries of the table above.
const bySelector = new Map(
  Object.entries(COMPUTE_ERRORS).map(([name, selector]) => [selector as string, name]),
) as ReadonlyMap<string, ComputeError>;

/** The name of the error that these bytes are, `0x` hex. */
export function errorNameOf(data: string): ComputeError {
  if (data.length < 10) return 'NoReason';
  return bySelector.get(data.slice(2, 10).toLowerCase()) ?? 'Reverted';
}

/** Which call of a batch failed, and why; undefined for a log of another kind. */
export function decodeBatchFailure({
  topics,
  data,
}: RawLog): { readonly index: number; readonly error: ComputeError } | undefined {
  if (topics[0] !== BATCH_CALL_FAILED) return undefined;
  const index = smallAt(data, 0);
  const answer = bytesAt(data, 1, data.length);
  if (index === undefined || answer === undefined) return undefined;
  return { index, error: errorNameOf(`0x${answer}`) };
}
