/** What one request comes to (compute-market.md §12.4): counted while it is delivered, settled once, with a receipt. */
import { tokenCost, type TokenPrice } from '../shared/token-price.ts';
import type { Hold } from './accounts.ts';
import type { BilledTokens } from './answers.ts';
import type { ApiKey } from './api-keys.ts';
import type { Hashes } from './dispatch.ts';
import { meter, type Tokens } from './metering.ts';
import { MESSAGE_TOKENS, type ModelRequest, wordsIn } from './openai.ts';

export interface BillNeeds {
  readonly rid: string;
  readonly node: string;
  readonly key: ApiKey;
  readonly request: ModelRequest;
  readonly hold: Hold;
  /** The most that was kept for it. */
  readonly most: bigint;
  readonly price: TokenPrice;
  /** Of all choices together. */
  readonly maxTokens: number;
  /** Tokens of a text by the model's own count; undefined where nobody counts. */
  readonly count: (backend: string, text: string) => Promise<number | undefined>;
  readonly nowMs: () => number;
  readonly print: (text: string) => void;
}

export interface Settled extends BilledTokens {
  readonly cost: bigint;
}

/** Characters of an answer that are counted again: of a longer one the backend's word is taken. */
const RECOUNT_CHARS_MAX = 1024 * 1024;

export class Bill {
  readonly #needs: BillNeeds;
  #deltas = 0;
  #text = '';
  #usage: Tokens | undefined;
  #settled: Promise<Settled> | undefined;

  constructor(needs: BillNeeds) {
    this.#needs = needs;
  }

  get rid(): string {
    return this.#needs.rid;
  }

  /** This much is with the client. */
  delivered({ deltas, text }: { readonly deltas: number; readonly text: string }): void {
    this.#deltas += deltas;
    if (this.#text.length <= RECOUNT_CHARS_MAX) this.#text += text;
  }

  /** The backend says what it used. */
  said(usage: Tokens | undefined): void {
    this.#usage = usage ?? this.#usage;
  }

  /**
   * @param backend  that answered; undefined: none did, which costs nothing
   * @param cut      the client left, or the backend failed, before the end
   */
  settle(
    backend: string | undefined,
    { cut, hashes }: { readonly cut: boolean; readonly hashes?: Hashes | undefined },
  ): Promise<Settled> {
    this.#settled ??= this.#settle(backend, cut, hashes);
    return this.#settled;
  }

  async #settle(backend: string | undefined, cut: boolean, hashes?: Hashes): Promise<Settled> {
    const { rid, key, request, hold, most, price, node, nowMs } = this.#needs;
    const nothing = backend === undefined || (cut && this.#deltas === 0);
    const tokens = nothing
      ? { input: 0, output: 0, estimated: false }
      : await this.#metered(backend, cut);
    const cost = tokenCost(tokens, price);
    const settled = { ...tokens, cost: cost < most ? cost : most };
    await hold.settle({
      ...settled,
      rid,
      key: key.hash,
      owner: key.owner,
      node,
      model: request.model,
      requestSha256: hashes?.requestSha256,
      responseSha256: hashes?.sha256,
      at: nowMs(),
    });
    return settled;
  }

  async #metered(backend: string, cut: boolean): Promise<BilledTokens> {
    const { request, maxTokens, print, rid } = this.#needs;
    const guess = { input: wordsIn(request.prompt), output: this.#deltas };
    const recount = await this.#recount(backend);
    const usage = this.#usage;
    const metered = meter({ usage, recount, guess, maxTokens, cut });
    if (metered.corrected && usage !== undefined)
      print(
        `${backend} says ${usage.input} and ${usage.output} tokens for ${rid}, ${metered.input} and ${metered.output} were counted`,
      );
    return metered;
  }

  async #recount(backend: string): Promise<Tokens | undefined> {
    const { request, count } = this.#needs;
    if (this.#text.length > RECOUNT_CHARS_MAX) return undefined;
    const [input, output] = await Promise.all([
      count(backend, request.prompt),
      this.#text === '' ? 0 : count(backend, this.#text),
    ]);
    if (input === undefined || output === undefined) return undefined;
    const { messages } = request.body;
    const around = Array.isArray(messages) ? messages.length * MESSAGE_TOKENS : 0;
    return { input: input + (this.#usage === undefined ? 0 : around), output };
  }
}
