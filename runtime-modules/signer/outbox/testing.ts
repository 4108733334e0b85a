/** A signer whose questions to chains a real eth module answers, from a chain that is there. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../../kernel/clock.ts';
import { moduleId } from '../../../wit/address.ts';
import { plainResponse } from '../../../wit/message.ts';
import type { KernelMessage } from '../../../wit/types.ts';
import { eth, type EthWork } from '../../eth/index.ts';
import { Bench, OUR_NODE, TestPort } from '../../shared/testing.ts';
import { OWNER, ROOT, SignerBench } from '../testing.ts';

/** What is said to be the chain of these tests. */
export const CHAIN = 31_337;
export const TO = '0x00000000000000000000000000000000000000aa';

export class EthBench extends Bench<EthWork> implements AsyncDisposable {
  readonly #home: string;

  private constructor(home: string, ...rest: ConstructorParameters<typeof Bench<EthWork>>) {
    super(...rest);
    this.#home = home;
  }

  /** @param url  of the chain's WebSocket; undefined: there is no provider */
  static async make(url: string | undefined): Promise<EthBench> {
    const home = await mkdtemp(join(tmpdir(), 'eth-'));
    const port = new TestPort('eth');
    const provider = { kind: 'RpcUrl', value: { url: url ?? '', auth: undefined } } as const;
    const defaults = url === undefined ? [] : [{ chain_id: CHAIN, trusted: true, provider }];
    const module = await eth({ home, defaults })({ port, clock: systemClock });
    return new EthBench(home, module, port);
  }

  /** Answers the signer, as the kernel would carry it. */
  serve(bench: SignerBench): void {
    let ids = 0;
    bench.port.send = (message) => {
      ids += 1;
      void this.#carry(bench, ids, message);
      return ids;
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.module[Symbol.asyncDispose]();
    await rm(this.#home, { recursive: true, force: true });
  }

  async #carry(
    bench: SignerBench,
    id: number,
    { message }: Parameters<TestPort['send']>[0],
  ): Promise<void> {
    if (message.kind !== 'request') return;
    const { body, expectsResponse } = message.request;
    const timeoutS = Number(expectsResponse);
    const asked = this.request({ from: 'signer:distro:sys', body, timeoutS, id });
    const answer = await this.answer(asked);
    if (answer === undefined) return;
    const response: KernelMessage = {
      id,
      source: { node: OUR_NODE, process: moduleId('eth') },
      target: bench.port.our,
      rsvp: undefined,
      message: { kind: 'response', response: plainResponse(answer.body), context: undefined },
      blob: undefined,
    };
    bench.module.onResponse?.(response);
  }
}

/** As the owner: one wei, or what is said, to `TO`. */
export function sending(
  id: string,
  transaction: Readonly<Record<string, unknown>> = {},
  more: Readonly<Record<string, unknown>> = {},
): { readonly Send: object } {
  const whole = { to: TO, value: '1', data: '0x', gasLimit: null, maxFeePerGas: null };
  return {
    Send: { id, key: 'client', chainId: CHAIN, transaction: { ...whole, ...transaction }, ...more },
  };
}

export interface SentBody {
  readonly Sent: {
    readonly hash: string;
    readonly nonce: number;
    readonly state: 'Pending' | 'Superseded' | { readonly Mined: { block: number; ok: boolean } };
  };
}

/** Asks as the owner, who may send anything. */
export async function sent(bench: SignerBench, body: unknown): Promise<SentBody['Sent']> {
  const answer = await bench.do(body, { from: OWNER, capabilities: [ROOT] });
  if (typeof answer !== 'object' || answer === null || !('Sent' in answer))
    throw new Error(`not sent: ${JSON.stringify(answer)}`);
  return (answer as SentBody).Sent;
}

export const stateOf = (bench: SignerBench, id: string): Promise<SentBody['Sent']> =>
  sent(bench, { SendState: { id } });

/** Lets the signer look at the chain until it holds. */
export async function looking(
  bench: SignerBench,
  holds: () => Promise<boolean>,
  everyMs = 2_000,
): Promise<void> {
  for (let look = 0; look < 400; look += 1) {
    if (await holds()) return;
    await bench.clock.advance(everyMs);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error('it never held');
}

/** Whom the crash test pays under a number. */
export function payee(number: number): string {
  return `0x${'cc'.repeat(16)}${number.toString(16).padStart(8, '0')}`;
}
