/** A client of a node's market as people are: it signs in with a wallet, asks over HTTP, and pays by EIP-3009 (x402). */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { SigningKey, Wallet } from 'ethers';
import type { Persona } from '../../contracts/chain/personas.ts';
import { saltOf } from '../../contracts/compute.ts';
import { digestTypedData } from '../../processes/compute/testing.ts';

/** For what a market comes to in the end, in milliseconds, and between two looks. */
const PATIENCE_MS = 120_000;
const LOOK_MS = 200;
/** Seconds that a payment may be sent in. */
const PAYABLE_S = 3_000;

export interface Answer {
  readonly status: number;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a test reads what it expects
  readonly body: any;
}

export interface Paid {
  readonly jobId: string;
  readonly amount: bigint;
}

export class MarketClient {
  readonly #wallet: Persona;
  /** Of the node's web server; it may come back at another place. */
  readonly #url: () => string;
  #token: string | undefined;

  constructor(wallet: Persona, url: () => string) {
    this.#wallet = wallet;
    this.#url = url;
  }

  async ask(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const response = await this.fetch(method, path, {
      headers: { 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    try {
      return { status: response.status, body: JSON.parse(text) };
    } catch {
      return { status: response.status, body: text };
    }
  }

  fetch(
    method: string,
    path: string,
    { headers = {}, body }: { headers?: Readonly<Record<string, string>>; body?: BodyInit } = {},
  ): Promise<Response> {
    const token = this.#token;
    return fetch(`${this.#url()}/market:compute:sys${path}`, {
      method,
      headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...headers },
      ...(body === undefined ? {} : { body }),
    });
  }

  /** Waits for the market: its node may be starting. */
  async login(): Promise<void> {
    const { address, privateKey } = this.#wallet;
    this.#token = undefined;
    const message = await eventually(async () => {
      const answer = await this.ask('POST', '/api/auth/login', { address });
      assert.equal(answer.status, 200);
      return answer.body.message as string;
    });
    const signature = new Wallet(privateKey).signMessageSync(message);
    const signed = await this.ask('POST', '/api/auth/login', { message, signature });
    this.#token = (signed.body as { token: string }).token;
  }

  async upload(content: Uint8Array): Promise<{ size: number; sha256: string }> {
    const sha256 = createHash('sha256').update(content).digest('hex');
    const size = content.length;
    const body = Buffer.from(content);
    const put = await this.fetch('PUT', `/api/uploads/${sha256}?size=${size}`, { body });
    assert.ok(put.ok, await put.text());
    return { size, sha256 };
  }

  /** What a spec costs, once that node is the cheapest. */
  async quote(spec: object, node: string): Promise<bigint> {
    return eventually(async () => {
      const { body } = await this.ask('POST', '/api/quote', { spec });
      assert.equal(body.node, node);
      return BigInt(body.price);
    });
  }

  /** Submits, is told what it costs, and pays; the market has the payment then. */
  async pay(spec: object, intentId: string): Promise<Paid> {
    const intent = { 'idempotency-key': intentId };
    const unpaid = await this.ask('POST', '/api/facilitator/submit-job', { spec }, intent);
    assert.equal(unpaid.status, 402, JSON.stringify(unpaid.body));
    const [requirement] = unpaid.body.accepts;
    const authorization = {
      from: this.#wallet.address,
      to: requirement.payTo,
      value: String(requirement.maxAmountRequired),
      validAfter: '0',
      validBefore: String(Math.floor(Date.now() / 1_000) + PAYABLE_S),
      nonce: saltOf(intentId),
    };
    const digest = digestTypedData('TransferWithAuthorization', authorization);
    const signature = new SigningKey(this.#wallet.privateKey).sign(digest).serialized;
    const { network } = requirement;
    const payment = {
      ...{ x402Version: 1, scheme: 'exact', network },
      payload: { signature, authorization },
    };
    const header = { 'x-payment': Buffer.from(JSON.stringify(payment)).toString('base64') };
    const headers = { ...intent, ...header };
    const paid = await this.ask('POST', '/api/facilitator/submit-job', { spec }, headers);
    assert.equal(paid.status, 202, JSON.stringify(paid.body));
    return { jobId: unpaid.body.jobId, amount: BigInt(requirement.maxAmountRequired) };
  }

  /** The market's record of a job. */
  async job(jobId: string): Promise<Answer['body']> {
    return (await this.ask('GET', `/api/jobs/${jobId}`)).body;
  }

  /** State of the job, and of its money. */
  async stateOf(jobId: string): Promise<string> {
    const { state, payment } = await this.job(jobId);
    return `${state} ${payment?.state}`;
  }

  /** Waits until it is in that state; says what became of it if it never is. */
  async becomes(jobId: string, state: RegExp): Promise<void> {
    const until = Date.now() + PATIENCE_MS;
    for (;;) {
      const now = await this.stateOf(jobId);
      if (state.test(now)) return;
      const over = /^(completed released|refunded refunded|cancelled refunded)$/.test(now);
      if (over || Date.now() > until) {
        const { error, verdict } = await this.job(jobId);
        throw new Error(`${jobId} is ${now}: ${JSON.stringify({ error, verdict })}`);
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  /** A file that a job left. */
  async output(jobId: string, path: string): Promise<Buffer> {
    const answer = await this.fetch('GET', `/api/jobs/${jobId}/result?path=${path}`);
    assert.equal(answer.status, 200);
    return Buffer.from(await answer.arrayBuffer());
  }
}

/** What an attempt comes to that does not throw. @throws what the last one threw, when all have had their time */
async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }
}
