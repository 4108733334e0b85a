/** A wallet of the command line: signs with a key at hand, sends through the node's providers. */
import { Wallet } from 'ethers';
import type { NodeReads } from './chain-reads.ts';
import type { PlannedTransaction } from '../runtime-modules/identity/registration/transactions.ts';
import type { JsonValue } from '../wit/json.ts';
import { InputError } from './secrets-input.ts';

/** Longest wait for a block with a transaction in it, in milliseconds. */
const RECEIPT_MS_MAX = 180_000;
const RECEIPT_POLL_MS = 1_000;
/** What is paid per gas on top, in wei, where the chain does not say. */
const PRIORITY_FEE_WEI = 1_000_000n;

export class CommandWallet {
  readonly #wallet: Wallet;
  readonly #chainId: number;
  readonly #reads: NodeReads;

  constructor(key: string, chainId: number, reads: NodeReads) {
    this.#wallet = new Wallet(key);
    this.#chainId = chainId;
    this.#reads = reads;
  }

  get address(): string {
    return this.#wallet.address;
  }

  /** 65 bytes as hex. */
  sign(digest: Uint8Array): string {
    return this.#wallet.signingKey.sign(digest).serialized;
  }

  /** Resolves when it is in a block. @throws InputError with what the chain says against it */
  async send({ to, data }: PlannedTransaction): Promise<void> {
    const from = this.address;
    const [gas, nonce, block, priority] = await Promise.all([
      this.#number('eth_estimateGas', [{ from, to, data }]),
      this.#number('eth_getTransactionCount', [from, 'pending']),
      this.#ask('eth_getBlockByNumber', ['latest', false]),
      this.#number('eth_maxPriorityFeePerGas', []).catch(() => PRIORITY_FEE_WEI),
    ]);
    const base = BigInt((block as { baseFeePerGas?: string } | null)?.baseFeePerGas ?? '0x0');
    const signed = await this.#wallet.signTransaction({
      type: 2,
      chainId: this.#chainId,
      nonce: Number(nonce),
      to,
      data,
      // What is estimated may be short of what the block before it changes.
      gasLimit: (gas * 6n) / 5n,
      maxPriorityFeePerGas: priority,
      maxFeePerGas: base * 2n + priority,
    });
    const hash = await this.#ask('eth_sendRawTransaction', [signed]);
    await this.#mined(String(hash));
  }

  async #mined(hash: string): Promise<void> {
    const endMs = performance.now() + RECEIPT_MS_MAX;
    while (performance.now() < endMs) {
      const receipt = await this.#ask('eth_getTransactionReceipt', [hash]);
      if (receipt !== null) {
        if (Number((receipt as { status?: string }).status) === 1) return;
        throw new InputError(`transaction ${hash} failed on chain`);
      }
      await new Promise((resolve) => setTimeout(resolve, RECEIPT_POLL_MS));
    }
    throw new InputError(`transaction ${hash} is not in a block after three minutes`);
  }

  async #number(method: string, params: JsonValue): Promise<bigint> {
    return BigInt(String(await this.#ask(method, params)));
  }

  async #ask(method: string, params: JsonValue): Promise<unknown> {
    const answer = await this.#reads.ask(method, params);
    if (!answer.ok) throw new InputError(`${method}: ${answer.error}`);
    return JSON.parse(answer.value) as unknown;
  }
}
