/**
 * Whose fault a JSON-RPC error is (eth.md §8, "Do not reproduce"). An error of the request itself goes straight to the caller; only what
 * says something about the provider makes us ask another one.
 */
import type { RpcErrorObject } from '../../wit/eth-api.ts';

/**
 * 'request': any provider would say the same. 'range': this provider answers smaller spans of blocks. 'rate': it has had enough of us.
 * 'unsupported': it does not know the method. 'provider': its trouble, this time.
 */
export type RpcFault = 'request' | 'range' | 'rate' | 'unsupported' | 'provider';

const REQUEST_CODES = new Set([3, -32_602, -32_003, -32_015, -32_010]);
const RATE_CODES = new Set([429, -32_005, -32_029, -32_097]);
const UNSUPPORTED_CODES = new Set([-32_601, -32_004]);

const REVERTED = /revert|invalid opcode|out of gas|stack (under|over)flow|invalid jump/i;
const REJECTED =
  /nonce too (low|high)|already known|known transaction|insufficient funds|underpriced|intrinsic gas|exceeds (block )?gas|gas (limit|required)|fee cap|invalid (sender|signature|argument|address|params)|transaction type/i;
const RATE = /rate.?limit|too many requests|limit exceeded|over.?capacity|quota|throttl/i;
const RANGE =
  /block range|range (is )?too|too (large|wide|many) .*(range|blocks|results|logs)|more than \d+ (results|logs|blocks)|response size|exceeds? (the )?(max|limit).*(range|results|blocks)|query timeout/i;
const UNSUPPORTED =
  /method .*(not (found|supported|available|allowed)|does not exist|disabled)|unsupported method/i;

export function faultOf(method: string, { code, message }: RpcErrorObject): RpcFault {
  if (method === 'eth_getLogs' && RANGE.test(message)) return 'range';
  if (REQUEST_CODES.has(Number(code))) return 'request';
  if (UNSUPPORTED_CODES.has(Number(code)) || UNSUPPORTED.test(message)) return 'unsupported';
  if (REVERTED.test(message) || REJECTED.test(message)) return 'request';
  if (RATE_CODES.has(Number(code)) || RATE.test(message)) {
    // Some say "limit exceeded" of the span they were asked for.
    return method === 'eth_getLogs' && code === -32_005 && /result|block/i.test(message)
      ? 'range'
      : 'rate';
  }
  return 'provider';
}
