/**
 * The network as the module uses it: peers, connections both ways, relaying and routers of ours, put together (networking.md §7, §8). Knows
 * no body of net's own API.
 */
import type { KeyObject } from 'node:crypto';
import type { HnsUpdate } from '../../wit/eth-api.ts';
import { encodeNetAction, type NetIdentity } from '../../wit/net-api.ts';
import { plainRequest } from '../../wit/message.ts';
import { encodeSendRefusal } from '../../wit/send-refusal.ts';
import type { KernelMessage, NodeId, SendErrorKind } from '../../wit/types.ts';
import { moduleId } from '../../wit/address.ts';
import type { KernelPort } from '../../kernel/module.ts';
import type { Clock } from '../shared/clock.ts';
import { isPublicIp, parseIp } from '../shared/outbound/ip-address.ts';
import { Acceptor } from './accept.ts';
import { Dialler } from './dial.ts';
import { ALL_FEATURES, REFERENCE, type Signer } from './handshake.ts';
import {
  MEETINGS_MAX,
  PASSTHROUGHS_MAX_DEFAULT,
  PEERS_MAX_DEFAULT,
  ROUTER_RETRY_MS,
} from './limits.ts';
import { Links } from './links.ts';
import type { KeyPair } from './noise.ts';
import { Passthroughs } from './passthrough.ts';
import { Pki } from './pki.ts';
import { Refusals } from './refusals.ts';
import type { Listener, NetAddress, Transport } from './transport.ts';

const NET = moduleId('net');
/** How long a summons may take to be answered; nobody waits for the answer (§8). */
const SUMMONS_S = 5;
const NO_UPDATE = 'update with a name that cannot be';

export interface NodeNetOptions {
  /** Who we are and how we are reached. */
  readonly us: NetIdentity;
  readonly networkingKey: KeyObject;
  /** Whether loopback, private and link-local addresses are dialled: in a development network only (F29). */
  readonly development?: boolean | undefined;
  /** 'reference': offer nothing beyond the reference's protocol (F23). */
  readonly wire?: 'reference' | 'hl/1' | undefined;
  readonly peersMax?: number | undefined;
  readonly passthroughsMax?: number | undefined;
  /** Of handshakes; tests give their own. */
  readonly keyPair?: (() => KeyPair) | undefined;
}

export interface NodeNetNeeds {
  readonly clock: Clock;
  readonly transports: readonly Transport[];
  /** From 0 up to 1. */
  readonly random: () => number;
  readonly port: Pick<KernelPort, 'print' | 'send'>;
  /** A message of another node, its source proved. A promise while its receiver has no room. */
  readonly deliver: (message: KernelMessage) => void | Promise<void>;
  /** A message of ours that did not go. */
  readonly failed: (message: KernelMessage, kind: SendErrorKind, refusal?: string) => void;
  readonly limitHit: () => void;
}

export class NodeNet {
  readonly us: NetIdentity;
  readonly pki = new Pki();
  readonly links: Links;
  readonly passthroughs: Passthroughs;
  readonly refusals = new Refusals();
  readonly signer: Signer;
  readonly peersMax: number;
  readonly #needs: NodeNetNeeds;
  readonly #dialler: Dialler;
  readonly #acceptor: Acceptor;
  readonly #listeners: { readonly listener: Listener; readonly text: string }[] = [];
  /** Routers that are being dialled. */
  readonly #calling = new Set<NodeId>();
  /** Who waits for us at a router, while we are on our way. */
  readonly #meetings = new Set<NodeId>();
  #routerTimer: object | undefined;
  #closed = false;

  constructor(options: NodeNetOptions, needs: NodeNetNeeds) {
    this.us = options.us;
    this.#needs = needs;
    this.peersMax = options.peersMax ?? PEERS_MAX_DEFAULT;
    const { name } = options.us;
    const offered = options.wire === 'reference' ? REFERENCE : ALL_FEATURES;
    this.signer = {
      name,
      networkingKey: options.networkingKey,
      offered,
      keyPair: options.keyPair,
    };
    const { clock } = needs;
    const note = (reason: string): void => this.refusals.note(reason);
    this.#dialler = new Dialler({
      us: this.signer,
      pki: this.pki,
      clock,
      transports: needs.transports,
      permitted: (ip) => mayDial(ip, options.development ?? false),
      random: needs.random,
    });
    this.links = new Links(
      {
        our: name,
        clock,
        pki: this.pki,
        deliver: needs.deliver,
        failed: needs.failed,
        tooLong: (...what) => this.#tooLong(...what),
        dial: (to, adopt) =>
          this.#dialler.connect(to, adopt, { proxyRequest: this.routers.includes(to) }),
        note,
        limitHit: needs.limitHit,
        keeps: (peer) => peer.wantsRouting || this.routers.includes(peer.name),
      },
      this.peersMax,
    );
    this.passthroughs = new Passthroughs(
      {
        our: name,
        clock,
        pki: this.pki,
        dialler: this.#dialler,
        routesFor: (node) => this.links.get(node)?.wantsRouting ?? false,
        summon: (target, source) => this.#summon(target, source),
        note,
      },
      options.passthroughsMax ?? PASSTHROUGHS_MAX_DEFAULT,
    );
    this.#acceptor = new Acceptor({
      us: this.signer,
      keyOf: (node) => this.pki.key(node),
      clock,
      opened: this.links.adopt,
      route: (connection, unit) => void this.passthroughs.accept(connection, unit),
      note,
    });
    if (this.routers.length > 0) this.#routerTimer = clock.schedule(() => this.#callRouters(), 0);
  }

  /** Our routers; none when we are direct. */
  get routers(): readonly NodeId[] {
    return this.us.routing.kind === 'Routers' ? this.us.routing.value : [];
  }

  /** Where we can be dialled, as text. */
  get listening(): readonly string[] {
    return this.#listeners.map(({ text }) => text);
  }

  /** Opens a port of a transport. @throws Error of the host when it cannot be had */
  async listen(transport: Transport, at: NetAddress): Promise<number> {
    const listener = await transport.listen(at, this.#acceptor.accept);
    this.#listeners.push({ listener, text: `${transport.kind} ${at.ip} ${listener.port}` });
    return listener.port;
  }

  /** A message for another node. A promise while that peer has too much waiting. */
  send(message: KernelMessage): void | Promise<void> {
    return this.links.send(message);
  }

  /** Takes what is known of a node. Whoever proved to be it with another key is not it any more (F26). */
  update(update: HnsUpdate): void {
    const outcome = this.pki.update(update);
    if (outcome === 'refused') this.refusals.note(NO_UPDATE);
    const peer = this.links.get(update.name);
    if (outcome === 'changed') peer?.reconnect('its key on chain is another one');
    peer?.forgetFailures();
  }

  /** One of our routers says that a node waits for us there (§8). */
  meet(router: NodeId, requester: NodeId): void {
    if (!this.routers.includes(router) || this.pki.key(requester) === undefined) {
      this.refusals.note('connection request that is not for us');
      return;
    }
    if (this.#meetings.size >= MEETINGS_MAX || this.#meetings.has(requester)) {
      this.refusals.note('connection request while others are met');
      return;
    }
    this.#meetings.add(requester);
    void this.#dialler.meet(router, requester, this.links.adopt).then((met) => {
      this.#meetings.delete(requester);
      if (!met.ok) this.refusals.note(met.error);
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#routerTimer !== undefined) this.#needs.clock.cancel(this.#routerTimer);
    const listeners = this.#listeners.splice(0).map(({ listener }) => listener.close());
    this.#acceptor.close();
    this.#dialler.close();
    this.passthroughs.close();
    this.links.close();
    await Promise.all(listeners);
  }

  /** Keeps a connection to each of our routers, which is how it learns that it routes for us (N26). */
  #callRouters(): void {
    if (this.#closed) return;
    this.#routerTimer = this.#needs.clock.schedule(() => this.#callRouters(), ROUTER_RETRY_MS);
    for (const router of this.routers) {
      if (this.links.get(router)?.isConnected === true) continue;
      if (this.pki.identity(router)?.routing.kind !== 'Direct' || this.#calling.has(router))
        continue;
      this.#calling.add(router);
      void this.#dialler
        .connect(router, this.links.adopt, { proxyRequest: true })
        .then((called) => {
          this.#calling.delete(router);
          if (!called.ok) this.refusals.note(`router: ${called.error}`);
        });
    }
  }

  #summon(target: NodeId, source: NodeId): void {
    const body = encodeNetAction({ kind: 'ConnectionRequest', value: source });
    this.#needs.port.send({
      target: { node: target, process: NET },
      rsvp: undefined,
      message: { kind: 'request', request: plainRequest(body, SUMMONS_S) },
      blob: undefined,
    });
  }

  #tooLong(message: KernelMessage, bytes: number, bytesMax: number): void {
    const mib = (count: number): string => `${(count / 1024 / 1024).toFixed(1)} MiB`;
    const to = message.target.node;
    this.refusals.note('message too long for its receiver');
    this.#needs.port.print(
      0,
      `did not send a message of ${mib(bytes)} to ${to}: its node takes ${mib(bytesMax)} at a time`,
    );
    const value = { bytes: BigInt(bytes), bytes_max: BigInt(bytesMax) };
    this.#needs.failed(message, 'timeout', encodeSendRefusal({ kind: 'TooLarge', value }));
  }
}

function mayDial(ip: string, development: boolean): boolean {
  const address = parseIp(ip);
  return address !== undefined && (development || isPublicIp(address));
}
