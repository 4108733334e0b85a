/** What the outbox asks of chains, through `eth:distro:sys`. Whatever a chain answers may be a lie, and is of the type that is said here. */
import type { KernelPort } from '../../../kernel/module.ts';
import { moduleId, sameAddress } from '../../../wit/address.ts';
import { ethAction, type EthError, ethResponse } from '../../../wit/eth-api.ts';
import { formatJson, isJsonObject, type JsonValue } from '../../../wit/json.ts';
import { plainRequest } from '../../../wit/message.ts';
import type { KernelMessage, Result, U64 } from '../../../wit/types.ts';
import type { Clock } from '../../shared/clock.ts';
import { CHAIN_ASK_S } from '../limits.ts';
import type { GasPrice } from './fees.ts';

/** 'refused': the chain's own words. 'silent': nobody could be asked, or what they said is no answer. */
export interface AskFailure {
  readonly kind: 'refused' | 'silent';
  readonly text: string;
}

type Asked<T> = Result<T, AskFailure>;

export interface Receipt {
  readonly block: bigint;
  readonly ok: boolean;
}

/** Milliseconds beyond the time that eth has for an answer. */
const MARGIN_MS = 1_000;

export interface ChainNeeds {
  readonly port: Pick<KernelPort, 'our' | 'send'>;
  readonly clock: Clock;
}

export class Chains {
  readonly #needs: ChainNeeds;
  readonly #waiting = new Map<U64, (body: Uint8Array | undefined) => void>();
  #closed = false;

  constructor(needs: ChainNeeds) {
    this.#needs = needs;
  }

  /** How many transactions of the account there were, those that wait included for `pending`. */
  async count(chainId: U64, account: string, at: 'latest' | 'pending'): Promise<Asked<bigint>> {
    return read(await this.#ask(chainId, 'eth_getTransactionCount', [account, at]), quantity);
  }

  async head(chainId: U64): Promise<Asked<bigint>> {
    return read(await this.#ask(chainId, 'eth_blockNumber', []), quantity);
  }

  async estimate(
    chainId: U64,
    call: {
      readonly from: string;
      readonly to: string;
      readonly value: bigint;
      readonly data: string;
    },
  ): Promise<Asked<bigint>> {
    const asked = { ...call, value: `0x${call.value.toString(16)}` };
    return read(await this.#ask(chainId, 'eth_estimateGas', [asked]), quantity);
  }

  async gasPrice(chainId: U64): Promise<Asked<GasPrice>> {
    const [price, block] = await Promise.all([
      this.#ask(chainId, 'eth_gasPrice', []),
      this.#ask(chainId, 'eth_getBlockByNumber', ['latest', false]),
    ]);
    const whole = read(price, quantity);
    if (!whole.ok) return whole;
    const base = read(block, (value) =>
      isJsonObject(value) ? quantity(value['baseFeePerGas']) : undefined,
    );
    if (!base.ok) return base;
    const tip = whole.value > base.value ? whole.value - base.value : 1n;
    return { ok: true, value: { base: base.value, tip } };
  }

  /** Undefined: not mined, as far as this chain knows. */
  async receipt(chainId: U64, hash: string): Promise<Asked<Receipt | undefined>> {
    const answer = await this.#ask(chainId, 'eth_getTransactionReceipt', [hash]);
    if (answer.ok && answer.value === null) return { ok: true, value: undefined };
    return read(answer, (value) => {
      if (!isJsonObject(value)) return undefined;
      const block = quantity(value['blockNumber']);
      const status = quantity(value['status']);
      return block === undefined || status === undefined ? undefined : { block, ok: status === 1n };
    });
  }

  /** Whether the chain has heard of it. */
  async knows(chainId: U64, hash: string): Promise<Asked<boolean>> {
    const answer = await this.#ask(chainId, 'eth_getTransactionByHash', [hash]);
    return answer.ok ? { ok: true, value: answer.value !== null } : answer;
  }

  broadcast(chainId: U64, raw: string): Promise<Asked<JsonValue>> {
    return this.#ask(chainId, 'eth_sendRawTransaction', [raw]);
  }

  answered({ id, source, message }: KernelMessage): void {
    if (message.kind !== 'response' || !sameAddress(source, this.#eth())) return;
    this.#settle(id, message.response.body);
  }

  failed(id: U64): void {
    this.#settle(id, undefined);
  }

  /** Whoever waits is told that nobody answers. */
  close(): void {
    this.#closed = true;
    for (const id of [...this.#waiting.keys()]) this.#settle(id, undefined);
  }

  async #ask(chainId: U64, method: string, params: JsonValue): Promise<Asked<JsonValue>> {
    if (this.#closed) return silent('the node shuts down');
    const { clock, port } = this.#needs;
    const value = { chain_id: chainId, method, params: formatJson(params) };
    const request = plainRequest(ethAction.encode({ kind: 'Request', value }), CHAIN_ASK_S);
    const answer = Promise.withResolvers<Uint8Array | undefined>();
    const id = port.send({
      target: this.#eth(),
      rsvp: undefined,
      message: { kind: 'request', request },
      blob: undefined,
    });
    this.#waiting.set(id, answer.resolve);
    const timer = clock.schedule(() => this.failed(id), CHAIN_ASK_S * 1_000 + MARGIN_MS);
    const body = await answer.promise;
    clock.cancel(timer);
    if (body === undefined) return silent(`chain ${chainId} does not answer`);
    const response = ethResponse.decode(body);
    if (!response.ok || response.value.kind === 'Ok') return silent(`${method}: no answer of eth`);
    if (response.value.kind === 'Response') return { ok: true, value: response.value.value };
    return { ok: false, error: failureOf(chainId, response.value.value) };
  }

  #eth(): { readonly node: string; readonly process: ReturnType<typeof moduleId> } {
    return { node: this.#needs.port.our.node, process: moduleId('eth') };
  }

  #settle(id: U64, body: Uint8Array | undefined): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    waiting?.(body);
  }
}

function failureOf(chainId: U64, error: EthError): AskFailure {
  if (error.kind === 'RpcError') return { kind: 'refused', text: error.value.message };
  if (error.kind === 'NoRpcForChain')
    return { kind: 'silent', text: `no provider of chain ${chainId} answers` };
  return { kind: 'silent', text: `chain ${chainId}: ${error.kind}` };
}

function silent(text: string): { readonly ok: false; readonly error: AskFailure } {
  return { ok: false, error: { kind: 'silent', text } };
}

function read<T>(
  answer: Asked<JsonValue>,
  parse: (value: JsonValue | undefined) => T | undefined,
): Asked<T> {
  if (!answer.ok) return answer;
  const value = parse(answer.value);
  return value === undefined ? silent('the chain answers what is no answer') : { ok: true, value };
}

function quantity(value: JsonValue | undefined): bigint | undefined {
  return typeof value === 'string' && /^0x[0-9a-fA-F]{1,64}$/.test(value)
    ? BigInt(value)
    : undefined;
}
