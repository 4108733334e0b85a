/**
 * Connections others make to us (networking.md §4.4, §7): the first unit says whether it begins a handshake or asks us to relay. Who has not
 * said who it is within HANDSHAKE_MS_MAX is gone, and so is who comes too often at once.
 */
import type { Clock } from '../shared/clock.ts';
import type { KeyOf, Signer } from './handshake.ts';
import { HANDSHAKE_MS_MAX, HANDSHAKES_MAX, HANDSHAKES_PER_ADDRESS_MAX } from './limits.ts';
import type { Opened } from './dial.ts';
import { DH_BYTES } from './noise.ts';
import { respond } from './session.ts';
import type { Connection } from './transport.ts';

export interface AcceptorNeeds {
  readonly us: Signer;
  readonly keyOf: KeyOf;
  readonly clock: Clock;
  readonly opened: Opened;
  /** Takes a connection over whose first unit is no handshake. */
  readonly route: (connection: Connection, unit: Uint8Array) => void;
  readonly note: (reason: string) => void;
}

export class Acceptor {
  readonly #needs: AcceptorNeeds;
  readonly #byAddress = new Map<string, number>();
  readonly #attempts = new Set<AbortController>();
  #closed = false;

  constructor(needs: AcceptorNeeds) {
    this.#needs = needs;
  }

  /** Connections that have not said who they are. */
  get pending(): number {
    return this.#attempts.size;
  }

  readonly accept = (connection: Connection): void => {
    const ip = connection.remoteIp;
    const fromThere = this.#byAddress.get(ip) ?? 0;
    const crowded =
      this.#attempts.size >= HANDSHAKES_MAX || fromThere >= HANDSHAKES_PER_ADDRESS_MAX;
    if (crowded || this.#closed) {
      this.#needs.note('too many handshakes at once');
      return connection.destroy();
    }
    this.#byAddress.set(ip, fromThere + 1);
    const controller = new AbortController();
    this.#attempts.add(controller);
    const timer = this.#needs.clock.schedule(() => controller.abort(), HANDSHAKE_MS_MAX);
    const finished = (reason: string | undefined): void => {
      this.#needs.clock.cancel(timer);
      if (!this.#attempts.delete(controller)) return;
      const left = (this.#byAddress.get(ip) ?? 1) - 1;
      if (left === 0) this.#byAddress.delete(ip);
      else this.#byAddress.set(ip, left);
      if (reason !== undefined) this.#needs.note(reason);
    };
    this.#first(connection, controller.signal, finished);
  };

  close(): void {
    this.#closed = true;
    for (const attempt of this.#attempts) attempt.abort();
  }

  #first(
    connection: Connection,
    signal: AbortSignal,
    finished: (reason: string | undefined) => void,
  ): void {
    const { us, keyOf, opened, route } = this.#needs;
    const onAbort = (): void => {
      connection.destroy();
      finished('handshake took too long');
    };
    signal.addEventListener('abort', onAbort, { once: true });
    connection.attach({
      onFrame: (unit) => {
        signal.removeEventListener('abort', onAbort);
        if (unit.length !== DH_BYTES) {
          finished(undefined);
          return route(connection, unit);
        }
        const open: Parameters<typeof respond>[3]['open'] = (session, role) =>
          opened(connection, session, role);
        void respond(connection, us, keyOf, { first: unit, signal, open }).then((result) =>
          finished(result.ok ? undefined : result.error),
        );
      },
      onLength: () => undefined,
      onDrain: () => undefined,
      onEnd: (reason) => {
        signal.removeEventListener('abort', onAbort);
        finished(reason);
      },
    });
  }
}
