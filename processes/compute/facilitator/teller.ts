/** Tells the market what changed, until it answers. Only the newest state of a job counts, so what was missed while it was away is not lost. */
import { client, type Client } from '../../lib/client.ts';
import { contract } from '../../lib/contract.ts';
import type { Process } from '../../lib/process.ts';
import { sleep } from '../../lib/timers.ts';
import { type JobMoney, moneyEventMethods, type Provider } from '../shared/facilitator-contract.ts';
import { Bell } from '../shared/bell.ts';
import type { Book } from './book.ts';

const MARKET = 'market:compute:sys';
/** Jobs that are told of at once. */
const AT_ONCE = 16;
const TIMEOUT_S = 10;
/** Before those that were not answered are told again, in milliseconds; doubled up to the second. */
const AGAIN_MS_MIN = 500;
const AGAIN_MS_MAX = 30_000;

const told = contract(moneyEventMethods);

export class Teller {
  readonly #process: Process<unknown>;
  readonly #book: Book;
  readonly #bell: Bell;
  #waitMs = AGAIN_MS_MIN;
  readonly #market: Client<typeof moneyEventMethods>;

  constructor(process: Process<unknown>, book: Book) {
    this.#process = process;
    this.#book = book;
    this.#bell = new Bell(
      () => this.#work(),
      (error) => process.print(`facilitator: telling the market has stopped: ${String(error)}`),
    );
    this.#market = client(process, told, MARKET, { timeoutS: TIMEOUT_S, background: true });
  }

  ring(): void {
    this.#bell.ring();
  }

  /** Once, and to nobody if the market is not there. */
  providers(changed: readonly Provider[]): void {
    const body = told.requests.encode({ kind: 'ProvidersChanged', value: changed });
    this.#process.send(MARKET, body);
  }

  async #work(): Promise<void> {
    const untold = await this.#book.untold(AT_ONCE);
    if (untold.length === 0) return;
    const heard = (await Promise.all(untold.map((money) => this.#tell(money)))).flat();
    if (heard.length > 0) await this.#book.markTold(heard);
    this.#bell.ring();
    if (heard.length === untold.length) {
      this.#waitMs = AGAIN_MS_MIN;
      return;
    }
    await sleep(this.#process, this.#waitMs);
    this.#waitMs = Math.min(this.#waitMs * 2, AGAIN_MS_MAX);
  }

  /** @returns what the market has heard */
  async #tell(money: JobMoney): Promise<readonly JobMoney[]> {
    try {
      await this.#market.MoneyChanged(money);
    } catch (error) {
      this.#process.print(
        `facilitator: ${money.jobId}: the market did not take it: ${String(error)}`,
        2,
      );
      return [];
    }
    return [money];
  }
}
