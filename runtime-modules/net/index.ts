/**
 * `net:distro:sys` (networking.md §11): messages between nodes, and what the processes of this one ask about the network. Bodies are
 * MessagePack. Not public: a process needs its messaging capability to ask, and the kernel's network capability to be on the network.
 */
import { sign, verify } from 'node:crypto';
import type { Answer, KernelPort, ModuleRequest, RuntimeModule } from '../../kernel/module.ts';
import {
  FD_MANAGER,
  formatAddress,
  KERNEL,
  moduleId,
  packageOf,
  processId,
} from '../../wit/address.ts';
import { fdManagerRequest } from '../../wit/fd-manager-api.ts';
import { plainRequest } from '../../wit/message.ts';
import {
  decodeNetAction,
  decodeNetResponse,
  encodeNetResponse,
  type NetAction,
  type NetResponse,
} from '../../wit/net-api.ts';
import type { Address, KernelMessage, Result } from '../../wit/types.ts';
import { decodeBody } from '../shared/refuse.ts';
import { diagnosticsText } from './diagnostics.ts';
import { ACK, helloLine, Hellos } from './hello.ts';
import { BODY_BYTES_MAX, SMALL_BODY_BYTES_MAX } from './limits.ts';
import { NodeNet, type NodeNetNeeds, type NodeNetOptions } from './node-net.ts';
import type { NetAddress, TransportKind } from './transport.ts';

export type { NodeNetOptions as NetOptions } from './node-net.ts';

const NET = moduleId('net');
const INDEXER = processId('hns-indexer:hns-indexer:sys');
/** Whose processes speak for the owner. */
const OWNERS = 'terminal:sys';
const ROOT = '{"root":true}';
/** Messages of a signature request are signed in one go. */
const SIGNED_BYTES_MAX = 64 * 1024 * 1024;

export interface NetNeeds extends Omit<NodeNetNeeds, 'limitHit' | 'port'> {
  readonly port: KernelPort;
  /** What the indexer reads from, for diagnostics. */
  readonly contract?: string | undefined;
}

/** Takes the kernel's messages for other nodes. */
export interface NetTransport {
  send(message: KernelMessage): void | Promise<void>;
}

export interface NetModule extends RuntimeModule<NetWork> {
  readonly transport: NetTransport;
  readonly net: NodeNet;
  /** Asks for a share of the file descriptors; once it is registered. */
  start(): void;
  /** Opens a port. @throws Error of the host when it cannot be had */
  listen(kind: TransportKind, at: NetAddress): Promise<number>;
}

export type NetWork =
  | {
      readonly kind: 'local';
      readonly action: NetAction;
      readonly source: Address;
      readonly blob: Uint8Array;
    }
  | { readonly kind: 'fds'; readonly limit: number }
  | { readonly kind: 'meet'; readonly router: string; readonly requester: string }
  | { readonly kind: 'hello'; readonly from: string; readonly body: Uint8Array };

export const net =
  (options: NodeNetOptions) =>
  (needs: NetNeeds): NetModule =>
    new Net(options, needs);

class Net implements NetModule {
  readonly name = 'net';
  readonly public = false;
  readonly net: NodeNet;
  readonly transport: NetTransport;
  readonly #needs: NetNeeds;
  readonly #hellos = new Hellos();

  constructor(options: NodeNetOptions, needs: NetNeeds) {
    this.#needs = needs;
    this.net = new NodeNet(options, { ...needs, limitHit: () => this.#tellFds('FdsLimitHit') });
    this.transport = { send: (message) => this.net.send(message) };
  }

  async listen(kind: TransportKind, at: NetAddress): Promise<number> {
    const transport = this.#needs.transports.find((each) => each.kind === kind);
    if (transport === undefined) throw new Error(`there is no transport ${kind}`);
    return this.net.listen(transport, at);
  }

  start(): void {
    this.#tellFds('RequestFdsLimit');
  }

  decode(request: ModuleRequest): Result<NetWork, Answer | undefined> {
    return request.local ? this.#decodeLocal(request) : this.#decodeRemote(request);
  }

  /** Nothing here takes long; updates of one indexer stay in order, since `handle` does all of them at once. */
  orderKey(): undefined {
    return undefined;
  }

  handle(work: NetWork): Promise<Answer | undefined> {
    return Promise.resolve(this.#perform(work));
  }

  onResponse(message: KernelMessage): void {
    const { message: content } = message;
    if (content.kind !== 'response' || content.response.body.length > SMALL_BODY_BYTES_MAX) return;
    const response = decodeNetResponse(content.response.body);
    if (response?.kind === 'Rejected')
      this.net.passthroughs.rejected(response.value, message.source.node);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.net.close();
  }

  #decodeLocal(request: ModuleRequest): Result<NetWork, undefined> {
    const { source, body, blob } = request;
    if (source.process === FD_MANAGER) {
      const limit = decodeBody(fdManagerRequest, body, SMALL_BODY_BYTES_MAX);
      return limit.ok && limit.value.kind === 'FdsLimit'
        ? { ok: true, value: { kind: 'fds', limit: Number(limit.value.value) } }
        : { ok: false, error: undefined };
    }
    const action = body.length > BODY_BYTES_MAX ? undefined : decodeNetAction(body);
    const refuse = (why: string): Result<never, undefined> => {
      this.#needs.port.print(1, `net: ignored a request of ${source.process}: ${why}`);
      return { ok: false, error: undefined };
    };
    // The owner greets this node itself, which hears it as if it were another's.
    if (action === undefined && packageOf(source.process) === OWNERS)
      return { ok: true, value: { kind: 'hello', from: source.node, body } };
    if (action === undefined) return refuse('it is none');
    if (action.kind === 'ConnectionRequest') return refuse('only our routers may send it');
    const updates = action.kind === 'HnsUpdate' || action.kind === 'HnsBatchUpdate';
    if (updates && !this.#mayUpdate(request)) return refuse('it may not say who others are');
    const bytes = blob?.bytes ?? new Uint8Array();
    if (bytes.length > SIGNED_BYTES_MAX) return refuse('its blob is too long');
    return { ok: true, value: { kind: 'local', action, source, blob: bytes } };
  }

  /** F26: whoever can replace a key can be anybody. */
  #mayUpdate({ source, caller }: ModuleRequest): boolean {
    if (source.process === KERNEL || source.process === INDEXER) return true;
    return caller.holds({ issuer: this.#needs.port.our, params: ROOT });
  }

  #decodeRemote({ source, body }: ModuleRequest): Result<NetWork, undefined> {
    const ignored: Result<never, undefined> = { ok: false, error: undefined };
    const action = body.length > SMALL_BODY_BYTES_MAX ? undefined : decodeNetAction(body);
    if (action?.kind === 'HnsUpdate' || action?.kind === 'HnsBatchUpdate') {
      this.net.refusals.note('update from another node');
      return ignored;
    }
    if (action?.kind === 'ConnectionRequest') {
      if (source.process === NET)
        return { ok: true, value: { kind: 'meet', router: source.node, requester: action.value } };
      this.net.refusals.note('connection request that is not for us');
      return ignored;
    }
    if (!this.#hellos.admit(source.node, this.#needs.clock.nowMs())) {
      this.net.refusals.note('too many hellos');
      return ignored;
    }
    return { ok: true, value: { kind: 'hello', from: source.node, body } };
  }

  #perform(work: NetWork): Answer | undefined {
    switch (work.kind) {
      case 'fds':
        // What the owner asked for is the most; the manager may give less.
        this.net.links.limit(Math.min(this.net.peersMax, work.limit));
        return undefined;
      case 'meet':
        this.net.meet(work.router, work.requester);
        return undefined;
      case 'hello':
        this.#needs.port.print(0, helloLine(work.from, work.body));
        return { body: ACK, send: 'always' };
      case 'local':
        return this.#local(work);
    }
  }

  #local({ action, source, blob }: Extract<NetWork, { kind: 'local' }>): Answer | undefined {
    const { net } = this;
    switch (action.kind) {
      case 'HnsUpdate':
        net.update(action.value);
        return undefined;
      case 'HnsBatchUpdate':
        for (const update of action.value) net.update(update);
        return undefined;
      case 'GetPeers': {
        const peers = net.links.all().flatMap(({ name }) => net.pki.identity(name) ?? []);
        return answer({ kind: 'Peers', value: peers });
      }
      case 'GetPeer': {
        const ours = action.value === net.us.name;
        return answer({ kind: 'Peer', value: ours ? net.us : net.pki.identity(action.value) });
      }
      case 'GetDiagnostics':
        return answer({ kind: 'Diagnostics', value: this.#diagnostics() });
      case 'Sign': {
        const signature = sign(null, signedBytes(source, blob), net.signer.networkingKey);
        const { body } = answer({ kind: 'Signed' });
        return { body, blob: { mime: undefined, bytes: signature }, send: 'always' };
      }
      case 'Verify': {
        const { from, signature } = action.value;
        return answer({ kind: 'Verified', value: this.#verifies(from, signature, blob) });
      }
      case 'ConnectionRequest':
        return undefined;
    }
  }

  /** With the key of that node; ours for ourselves. An unknown node's signature verifies for nobody. */
  #verifies(from: Address, signature: Uint8Array, blob: Uint8Array): boolean {
    const { pki, us, signer } = this.net;
    const key = from.node === us.name ? signer.networkingKey : pki.key(from.node);
    if (key === undefined || signature.length !== 64) return false;
    return verify(null, signedBytes(from, blob), key, signature);
  }

  #diagnostics(): string {
    const { us, links, pki, passthroughs, refusals, listening } = this.net;
    const { contract, clock } = this.#needs;
    const nowMs = clock.nowMs();
    return diagnosticsText({ us, links, pki, passthroughs, refusals, listening, contract, nowMs });
  }

  #tellFds(kind: 'RequestFdsLimit' | 'FdsLimitHit'): void {
    const { port } = this.#needs;
    port.send({
      target: { node: port.our.node, process: FD_MANAGER },
      rsvp: undefined,
      message: {
        kind: 'request',
        request: plainRequest(fdManagerRequest.encode({ kind, value: undefined })),
      },
      blob: undefined,
    });
  }
}

function signedBytes(address: Address, blob: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(formatAddress(address)), blob]);
}

/** Sent whether or not one was expected (§11). */
function answer(response: NetResponse): Answer {
  return { body: encodeNetResponse(response), send: 'always' };
}
