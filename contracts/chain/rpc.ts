/** JSON-RPC over HTTP to the embedded chain: for setting it up and steering it. Guests and modules go through `eth`. */
import { ChainError } from './chain-error.ts';

/** Milliseconds that a request may take; saving a large state is the longest. */
export const RPC_TIMEOUT_MS = 60_000;
/** Milliseconds for which a transaction is sent again whose number others of its account have taken, and the longest wait in between. */
const TAKEN_MS_MAX = 30_000;
const TAKEN_WAIT_MS_MAX = 50;
/** The chain numbers what it signs, and refuses one of two that came at once; it has kept nothing of that one. */
const TAKEN = /nonce too low|replacement transaction underpriced/i;
/** One price for all, in wei: a dearer one would take the place of another that has its number, whose sender would wait for nothing. */
const PRICE = { maxFeePerGas: '0xe8d4a51000', maxPriorityFeePerGas: '0x3b9aca00' };

export interface Rpc {
  /** @throws ChainError `rpc` with the chain's text, or `ended` when it does not answer */
  request(method: string, ...params: readonly unknown[]): Promise<unknown>;
  /** All at once; answers in order. Throws like `request` if any fails. */
  batch(calls: readonly (readonly [method: string, ...params: unknown[]])[]): Promise<unknown[]>;
  /**
   * Sends from an account that the chain has the key of, and waits for the block; anybody may send from it at the same time. Throws if it
   * reverts.
   */
  send(transaction: Transaction): Promise<void>;
}

export interface Transaction {
  readonly from: string;
  readonly to: string;
  readonly data: string;
}

interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

export function rpcAt(url: string): Rpc {
  const post = async (body: unknown): Promise<unknown> => {
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(RPC_TIMEOUT_MS),
      });
      return await response.json();
    } catch (error) {
      throw new ChainError('ended', `the chain at ${url} does not answer`, { cause: error });
    }
  };
  const batch: Rpc['batch'] = async (calls) => {
    if (calls.length === 0) return [];
    const answers = (await post(
      calls.map(([method, ...params], id) => ({ jsonrpc: '2.0', id, method, params })),
    )) as readonly Answer[];
    const byId = new Map(answers.map((answer) => [answer.id, answer]));
    return calls.map(([method], id) => {
      const answer = byId.get(id);
      if (answer === undefined || answer.error !== undefined)
        throw new ChainError('rpc', `${method}: ${answer?.error?.message ?? 'no answer'}`);
      return answer.result;
    });
  };
  const request: Rpc['request'] = async (method, ...params) =>
    (await batch([[method, ...params]]))[0];
  const sendNow = async (transaction: Transaction): Promise<unknown> => {
    const untilMs = Date.now() + TAKEN_MS_MAX;
    for (;;) {
      try {
        return await request('eth_sendTransactionSync', { ...PRICE, ...transaction });
      } catch (error) {
        if (!TAKEN.test((error as Error).message) || Date.now() > untilMs) throw error;
      }
      // By chance, or those who came together would come together again.
      const waitMs = Math.random() * TAKEN_WAIT_MS_MAX;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  };
  return {
    batch,
    request,
    async send(transaction) {
      // Answers with the receipt: what reverts is refused before, when the chain estimates its gas.
      const receipt = (await sendNow(transaction)) as { status?: string } | null;
      if (receipt?.status !== '0x1')
        throw new ChainError('rpc', `a transaction to ${transaction.to} failed`);
    },
  };
}
