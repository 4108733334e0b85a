/** Inputs of attempts, from the node: asked for again after a lost channel, and programs that were asked for lately not at all. */
import type { BulkFrame } from '../../wit/hn-ext/bulk.ts';
import type { Link } from '../link/link.ts';
import { Modules } from './modules.ts';
import type { Offer } from './offer.ts';
import { TransferFailed, TransfersIn, type Wanted } from './transfers-in.ts';

const TRIES_MAX = 20;

export class Inputs {
  readonly #link: Link;
  readonly #transfers: TransfersIn;
  readonly #modules = new Modules();
  #up = Promise.withResolvers<void>();

  constructor(link: Link) {
    this.#link = link;
    this.#transfers = new TransfersIn((bulk) => link.sendBulk(bulk));
  }

  up(): void {
    this.#up.resolve();
  }

  down(): void {
    this.#transfers.lost();
    this.#up = Promise.withResolvers();
  }

  /** Whether it is of something that is wanted. */
  received(frame: BulkFrame): boolean {
    return this.#transfers.received(frame);
  }

  failed(transfer: number, code: string, message: string): void {
    this.#transfers.failed(transfer, code, message);
  }

  /** Gets an input or the module. @throws TransferFailed */
  get(offer: Offer, wanted: Wanted, signal: AbortSignal): Promise<void> {
    const fetch = (): Promise<void> => this.#fetch(offer, wanted, signal);
    return wanted.sha256 === offer.spec.module?.sha256 ? this.#modules.get(wanted, fetch) : fetch();
  }

  async #fetch({ jobId, lease }: Offer, wanted: Wanted, signal: AbortSignal): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        const { sha256, size } = wanted;
        return await this.#transfers.get(
          wanted,
          (transfer) => this.#link.send('input.get', { jobId, lease, sha256, size, transfer }),
          signal,
        );
      } catch (error) {
        const lost = error instanceof TransferFailed && error.code === 'LOST';
        if (!lost || tries >= TRIES_MAX) throw error;
        const ended = Promise.withResolvers<void>();
        signal.addEventListener('abort', () => ended.resolve(), { once: true });
        await Promise.race([this.#up.promise, ended.promise]);
      }
    }
  }
}
