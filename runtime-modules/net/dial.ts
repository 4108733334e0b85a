/**
 * Connections we make (networking.md §7, §8): to a direct node over TCP, then WebSocket; to an indirect one through its routers, the next one
 * beside a silent one; and back through a router to a node that asked for us. Each attempt ends within HANDSHAKE_MS_MAX.
 */
import type { NetIdentity } from '../../wit/net-api.ts';
import type { NodeId, Result } from '../../wit/types.ts';
import type { Clock } from '../shared/clock.ts';
import type { Session, Signer } from './handshake.ts';
import { HANDSHAKE_MS_MAX, ROUTER_STAGGER_MS } from './limits.ts';
import type { Pki } from './pki.ts';
import type { Role } from './peer.ts';
import { encodeRoutingRequest } from './routing.ts';
import { initiate, respond } from './session.ts';
import {
  type Connection,
  type NetAddress,
  portOf,
  type Transport,
  TRANSPORT_KINDS,
  type TransportKind,
} from './transport.ts';

export interface DiallerNeeds {
  readonly us: Signer;
  readonly pki: Pki;
  readonly clock: Clock;
  readonly transports: readonly Transport[];
  /** Whether this node dials that address at all (F29). */
  readonly permitted: (ip: string) => boolean;
  /** From 0 up to 1. */
  readonly random: () => number;
}

/** Takes a connection with a session over, at once. */
export type Opened = (connection: Connection, session: Session, role: Role) => void;
type Outcome = Result<void, string>;
const NOT_PERMITTED = 'address is loopback, private or link-local';
const DONE: Outcome = { ok: true, value: undefined };
const refuse = (error: string): Outcome => ({ ok: false, error });

export class Dialler {
  readonly #needs: DiallerNeeds;
  readonly #attempts = new Set<AbortController>();

  constructor(needs: DiallerNeeds) {
    this.#needs = needs;
  }

  /** Connects to a node as it says it is to be reached. `proxyRequest`: it is to be our router. */
  async connect(
    name: NodeId,
    opened: Opened,
    { proxyRequest }: { readonly proxyRequest: boolean } = { proxyRequest: false },
  ): Promise<Outcome> {
    const { pki, us } = this.#needs;
    const identity = pki.identity(name);
    const key = pki.key(name);
    if (identity === undefined || name === us.name) return refuse('unknown node');
    if (key === undefined) return refuse('node without a usable key');
    if (identity.routing.kind === 'Routers')
      return this.#routed(name, identity.routing.value, opened);
    return this.#overEach(identity, TRANSPORT_KINDS, async (connection, signal) =>
      initiate(
        connection,
        us,
        { name, key },
        {
          proxyRequest,
          signal,
          open: (session) => opened(connection, session, 'initiator'),
        },
      ),
    );
  }

  /** Goes to a router to meet `requester`, who waits there and begins the handshake (§8). */
  async meet(router: NodeId, requester: NodeId, opened: Opened): Promise<Outcome> {
    const { pki, us } = this.#needs;
    const identity = pki.identity(router);
    if (identity === undefined) return refuse('unknown router');
    // Both ends must have come the same way, so no second choice.
    const first = TRANSPORT_KINDS.find((kind) => this.#addressOf(identity, kind) !== undefined);
    return this.#overEach(identity, first === undefined ? [] : [first], (connection, signal) => {
      connection.send([encodeRoutingRequest(us, requester, router)]);
      const keyOf = (name: NodeId): ReturnType<Pki['key']> =>
        name === requester ? pki.key(name) : undefined;
      return respond(connection, us, keyOf, {
        signal,
        open: (session) => opened(connection, session, 'responder'),
      });
    });
  }

  /** A plain connection to a direct node over one transport, for relaying. */
  async reach(name: NodeId, kind: TransportKind): Promise<Result<Connection, string>> {
    const identity = this.#needs.pki.identity(name);
    const to = identity === undefined ? undefined : this.#addressOf(identity, kind);
    const transport = this.#needs.transports.find((each) => each.kind === kind);
    if (to === undefined || transport === undefined) return { ok: false, error: 'no address' };
    // What passes is chosen by whoever asked us to relay: nothing of this machine is to hear it.
    if (!this.#needs.permitted(to.ip)) return { ok: false, error: NOT_PERMITTED };
    return this.#within((signal) => transport.dial(to, signal));
  }

  /** Whether a node says it can be dialled over this transport. */
  offers(name: NodeId, kind: TransportKind): boolean {
    const identity = this.#needs.pki.identity(name);
    return identity !== undefined && this.#addressOf(identity, kind) !== undefined;
  }

  /** Ends all attempts. */
  close(): void {
    for (const attempt of this.#attempts) attempt.abort();
  }

  /** The routers in random order, the next when one has failed or has not answered for a while; the first that succeeds wins (N29). */
  #routed(name: NodeId, routers: readonly NodeId[], opened: Opened): Promise<Outcome> {
    const { clock, pki, us } = this.#needs;
    const left = shuffled(
      routers.filter((router) => router !== us.name && router !== name && pki.key(router)),
      this.#needs.random,
    );
    return new Promise((resolve) => {
      let won = false;
      let running = 0;
      let last = refuse('no usable router');
      let timer: object | undefined;
      const once: Opened = (connection, session, role) => {
        if (won) return connection.destroy();
        won = true;
        opened(connection, session, role);
      };
      const next = (): void => {
        if (timer !== undefined) clock.cancel(timer);
        const router = left.shift();
        if (router === undefined) return running === 0 ? resolve(last) : undefined;
        running++;
        timer = clock.schedule(next, ROUTER_STAGGER_MS);
        void this.#through(router, name, once).then((outcome) => {
          running--;
          if (won) {
            if (timer !== undefined) clock.cancel(timer);
            return resolve(DONE);
          }
          last = outcome;
          return next();
        });
      };
      next();
    });
  }

  #through(router: NodeId, name: NodeId, opened: Opened): Promise<Outcome> {
    const { pki, us } = this.#needs;
    const identity = pki.identity(router);
    const key = pki.key(name);
    if (identity === undefined || key === undefined) return Promise.resolve(refuse('unknown node'));
    return this.#overEach(identity, TRANSPORT_KINDS, (connection, signal) => {
      connection.send([encodeRoutingRequest(us, name, router)]);
      return initiate(
        connection,
        us,
        { name, key },
        {
          proxyRequest: false,
          routed: true,
          signal,
          // Two initiators may have met, and one of them given way.
          open: (session, role) => opened(connection, session, role),
        },
      );
    });
  }

  /** Dials over each transport that is offered until one succeeds. */
  async #overEach(
    identity: NetIdentity,
    kinds: readonly TransportKind[],
    then: (connection: Connection, signal: AbortSignal) => Promise<Result<Session, string>>,
  ): Promise<Outcome> {
    let last = refuse('node offers no way to reach it');
    for (const kind of kinds) {
      const to = this.#addressOf(identity, kind);
      const transport = this.#needs.transports.find((each) => each.kind === kind);
      if (to === undefined || transport === undefined) continue;
      if (!this.#needs.permitted(to.ip)) {
        last = refuse(NOT_PERMITTED);
        continue;
      }
      const result = await this.#within<Session>(async (signal) => {
        const dialled = await transport.dial(to, signal);
        return dialled.ok ? then(dialled.value, signal) : dialled;
      });
      if (result.ok) return DONE;
      last = refuse(`${kind}: ${result.error}`);
    }
    return last;
  }

  async #within<T>(
    attempt: (signal: AbortSignal) => Promise<Result<T, string>>,
  ): Promise<Result<T, string>> {
    const { clock } = this.#needs;
    const controller = new AbortController();
    this.#attempts.add(controller);
    const timer = clock.schedule(() => controller.abort(), HANDSHAKE_MS_MAX);
    try {
      return await attempt(controller.signal);
    } finally {
      clock.cancel(timer);
      this.#attempts.delete(controller);
    }
  }

  #addressOf({ routing }: NetIdentity, kind: TransportKind): NetAddress | undefined {
    if (routing.kind === 'Routers') return undefined;
    const { ip, ports } = routing.value;
    const port = portOf(ports, kind);
    return port === undefined ? undefined : { ip, port };
  }
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, at: random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
