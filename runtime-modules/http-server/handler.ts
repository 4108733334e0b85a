/**
 * What becomes of a request, in the order of runtime-modules.md §6.1 and §6.5: an upgrade, the login page, then the path's binding:
 * access, local only, static content, RPC, the process.
 */
import { type IncomingMessage } from 'node:http';
import { BlockList, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { NodeId } from '../../wit/types.ts';
import { frameAncestors } from './bindings/host-label.ts';
import { type Bindings, type HttpBinding, HOMEPAGE } from './bindings/bindings.ts';
import { hasBody, NO_BYTES, takeBody, type BodyLimits } from './requests/body.ts';
import { forward, type ForwardParts } from './requests/forward.ts';
import { REQUESTS_PER_CONNECTION_MAX, RPC_BYTES_MAX } from './limits.ts';
import { answeredLogin } from './login/login-paths.ts';
import { firstSegment, type Found } from './bindings/match.ts';
import { type Access, type BoundPath, FOREIGN_TEXT, SANDBOX } from './login/access.ts';
import type { AccessTo, Channels, Login, Opening, PeerSockets } from './parts.ts';
import { Peer } from './requests/peer.ts';
import { peerAddress } from './requests/peer-upgrade.ts';
import { type RawHeaders, Reply } from './requests/reply.ts';
import { rpc, RPC_PATH } from './requests/rpc.ts';
import {
  claimedProto,
  forwardedFor,
  isForeign,
  isLocal,
  one,
  type Visit,
  visitOf,
} from './requests/visit.ts';
import type { FileStreams } from '../shared/file-streams.ts';
import type { Streams } from './requests/streams.ts';
import type { WaitingTable } from './requests/waiting.ts';

export interface HandlerOptions {
  readonly our: NodeId;
  /** Only requests that name a loopback host are answered at all (F21). */
  readonly development: boolean;
  /** RPC and local-only paths are answered, on this machine. */
  readonly exposeLocal: boolean;
  /** Extensions may open channels, on this machine (F40). */
  readonly extensions: boolean;
  readonly answerS: number;
  readonly trustedProxies: BlockList;
  /** How long a client may take nothing of its answer. */
  readonly stalledMs: number;
}

export interface HandlerParts {
  readonly bindings: Bindings;
  readonly waiting: WaitingTable;
  readonly streams: Streams;
  readonly files: (() => FileStreams | undefined) | undefined;
  readonly bodies: BodyLimits;
  readonly print: (verbosity: number, text: string) => void;
  readonly accessTo: AccessTo | undefined;
  readonly login: Login | undefined;
  readonly channels: Channels | undefined;
  readonly peers: PeerSockets | undefined;
}

const DEVELOPMENT_ONLY =
  'This is a development node. It answers only under localhost or 127.0.0.1, so that no page of another site can reach it by a name of its own.';
/** For the moment between the node's start and the apps' (M128). */
const NOT_YET =
  'There is nothing at this address yet. The node has just started; this page asks again by itself.';
const ASK_AGAIN = ['Refresh', '1'];
const NO_LOGIN = 'this page needs a login, and this node has none';
const OPEN: Access = { kind: 'open', sandbox: false };
/** What Node would not take for a header would end the node. */
const LOCATION = /^[!-~]+$/;
/** By Node's code for what is wrong. */
const PARSE_STATUS: ReadonlyMap<string, string> = new Map([
  ['HPE_HEADER_OVERFLOW', '431 Request Header Fields Too Large'],
  ['HPE_CHUNK_EXTENSIONS_OVERFLOW', '413 Payload Too Large'],
  ['ERR_HTTP_REQUEST_TIMEOUT', '408 Request Timeout'],
]);
/** A document of another package, taken out of the origin it is shown in. */
const SANDBOXED = ['Content-Security-Policy', SANDBOX];
/** HEAD and what else a process takes is its own business; without it, these are what a path with static content has. */
const STATIC_METHODS = ['Allow', 'GET, HEAD, OPTIONS'];

export class Handler {
  readonly #options: HandlerOptions;
  readonly #parts: HandlerParts;
  readonly #peers = new WeakMap<object, Peer>();
  readonly #connected = new Set<Peer>();
  readonly #openings = new WeakMap<IncomingMessage, Opening>();
  /** Upgrades that another node asks for, with where it is. */
  readonly #nodes = new WeakMap<IncomingMessage, string>();
  readonly #forwarding: ForwardParts;
  /** Processes may still be about to bind their paths. */
  starting = true;
  #draining = false;

  constructor(options: HandlerOptions, parts: HandlerParts) {
    this.#options = options;
    this.#parts = parts;
    const { our, answerS } = options;
    const { waiting, streams, files, print } = parts;
    this.#forwarding = { our, answerS, waiting, streams, files, print };
  }

  /** Open ones. */
  get connections(): number {
    return this.#connected.size;
  }

  /** To be called every few seconds. */
  watch(): void {
    for (const peer of this.#connected) peer.watch(this.#options.stalledMs);
  }

  /** From now on every connection ends with the answer it waits for. */
  drain(): void {
    this.#draining = true;
    for (const { held } of this.#connected) for (const reply of held) reply.last = true;
  }

  connection(socket: Socket): void {
    const peer = new Peer(socket, this.#options.trustedProxies);
    this.#peers.set(socket, peer);
    this.#connected.add(peer);
    // A client that goes is no error of ours.
    socket.on('error', () => undefined);
    socket.once('close', () => {
      this.#connected.delete(peer);
      peer.gone();
    });
  }

  request(request: IncomingMessage, reply: Reply): void {
    const visit = this.#begin(request, reply);
    if (visit === undefined) return;
    const { login, bodies } = this.#parts;
    if (login !== undefined && visit.path.startsWith('/log')) {
      const fallThrough = (body?: Uint8Array): void => this.#general(visit, request, reply, body);
      if (answeredLogin({ login, bodies, visit, request, reply, fallThrough })) return;
    }
    this.#general(visit, request, reply);
  }

  /**
   * What came is no request, or not all of one. It is answered only when no other is waiting: a client, or a proxy before several of
   * them, would take the answer for that of an earlier request.
   */
  malformed(error: NodeJS.ErrnoException, socket: Duplex): void {
    const peer = this.#peers.get(socket);
    if (!socket.writable || peer === undefined || othersWait(peer)) {
      socket.destroy();
      return;
    }
    if (peer.ended || isAnswered(peer)) {
      // What was answered still goes out, and nothing else.
      peer.ended = true;
      socket.end(() => socket.destroy());
      return;
    }
    peer.ended = true;
    peer.gone();
    const status = PARSE_STATUS.get(error.code ?? '') ?? '400 Bad Request';
    this.#parts.bodies.counters.answered(Number(status.slice(0, 3)), 0);
    socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () =>
      socket.destroy(),
    );
  }

  /** Whether a request for an upgrade is granted; if not, it is answered as an ordinary request (M175). */
  grants(request: IncomingMessage): boolean {
    const opening = this.#openingFor(request);
    if (opening !== undefined) this.#openings.set(request, opening);
    const ip = opening === undefined ? this.#nodeAt(request) : undefined;
    if (ip !== undefined) this.#nodes.set(request, ip);
    return opening !== undefined || ip !== undefined;
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const opening = this.#openings.get(request);
    const { channels, peers } = this.#parts;
    const ip = this.#nodes.get(request);
    if (ip !== undefined && peers?.open === true) {
      this.#connected.delete(this.#peerOf(request));
      return peers.accept(request, socket, head, ip);
    }
    if (opening !== undefined && channels?.accept(request, socket, head, opening) === true) {
      this.#parts.bodies.counters.webSocketsOpened++;
      // The channels' from now on.
      this.#connected.delete(this.#peerOf(request));
      return;
    }
    const reply = new Reply(request);
    reply.last = true;
    // A server's connections are sockets.
    reply.assignSocket(socket as Socket);
    reply.once('finish', () => {
      reply.detachSocket(socket as Socket);
      socket.end();
    });
    this.request(request, reply);
  }

  /** What every request must be; undefined: it is answered. */
  #begin(request: IncomingMessage, reply: Reply): Visit | undefined {
    const peer = this.#peerOf(request);
    reply.peer = peer;
    reply.counters = this.#parts.bodies.counters;
    if (peer.ended) return undefined;
    peer.latest = hasBody(request) ? reply : undefined;
    if (this.#draining) reply.last = true;
    const visit = visitOf(request, peer);
    if (typeof visit === 'string') {
      reply.answerLast(400, visit);
    } else if (this.#options.development && !visit.host.development) {
      reply.answerText(403, DEVELOPMENT_ONLY);
    } else if (peer.held.size >= REQUESTS_PER_CONNECTION_MAX) {
      reply.answerLast(503, 'too many requests at once on one connection');
    } else {
      return visit;
    }
    return undefined;
  }

  #peerOf(request: IncomingMessage): Peer {
    const { socket } = request;
    return this.#peers.get(socket) ?? new Peer(socket, this.#options.trustedProxies);
  }

  #general(visit: Visit, request: IncomingMessage, reply: Reply, body?: Uint8Array): void {
    if (visit.path === RPC_PATH) return this.#rpc(visit, request, reply);
    const found = this.#find(visit.path);
    if (found === undefined || !found.binding.live) {
      this.#parts.print(2, `http-server: no route found for ${visit.path}`);
      if (this.starting) return reply.answerEmpty(404, NOT_YET, ASK_AGAIN);
      return reply.answerEmpty(404);
    }
    const { binding } = found;
    if (!this.#opens(visit, binding, reply)) return;
    if (binding.localOnly && !(this.#options.exposeLocal && isLocal(visit))) {
      return reply.answerEmpty(403);
    }
    if (binding.content !== undefined) {
      if (visit.method === 'GET') return binding.content.serve(visit.headers, reply);
      // A preflight is about what the process would answer.
      if (
        visit.method === 'OPTIONS' &&
        visit.headers['access-control-request-method'] === undefined
      ) {
        return reply.answer(204, STATIC_METHODS);
      }
    }
    this.#forward(visit, found, { request, reply, body });
  }

  #forward(
    visit: Visit,
    found: Found<HttpBinding>,
    {
      request,
      reply,
      body,
    }: { request: IncomingMessage; reply: Reply; body: Uint8Array | undefined },
  ): void {
    this.#parts.print(2, `http-server: request for ${visit.path}`);
    reply.hold();
    if (body !== undefined || !hasBody(request)) {
      forward(this.#forwarding, request, { visit, found, reply, body: body ?? NO_BYTES });
      return;
    }
    takeBody(request, reply, this.#parts.bodies, (bytes) =>
      forward(this.#forwarding, request, { visit, found, reply, body: bytes }),
    );
  }

  #rpc(visit: Visit, request: IncomingMessage, reply: Reply): void {
    if (!this.#options.exposeLocal || !isLocal(visit)) return reply.answerEmpty(403);
    reply.hold();
    const limits = { ...this.#parts.bodies, bytesMax: RPC_BYTES_MAX };
    takeBody(request, reply, limits, (bytes) => rpc(this.#forwarding, visit, reply, bytes));
  }

  /** The path's own binding, else that of its first segment: what its process bound at its root. The site's root is nobody's. */
  #find(path: string): Found<HttpBinding> | undefined {
    const { http } = this.#parts.bindings;
    const found = http.find(path);
    if (found !== undefined || path === '') return found;
    const base = `/${firstSegment(path)}`;
    return base === path || base === '/' ? undefined : http.find(base);
  }

  /** Whether the visitor may see it; otherwise it is answered. */
  #opens(visit: Visit, binding: BoundPath, reply: Reply): boolean {
    const access = this.#access(visit, binding);
    switch (access?.kind) {
      case 'open':
        if (access.sandbox) reply.beside = SANDBOXED;
        else if (binding.secureSubdomain !== undefined) reply.beside = this.#framedBy(visit);
        return true;
      case 'redirect':
        if (LOCATION.test(access.location)) reply.answer(307, ['Location', access.location]);
        else reply.answerText(400, 'the address has characters that a redirect cannot have');
        return false;
      case 'foreign':
        reply.answerText(403, FOREIGN_TEXT);
        return false;
      default:
        this.#showLogin(visit, reply);
        return false;
    }
  }

  /** No page of another package may lay itself over one that has a subdomain of its own. */
  #framedBy({ host }: Visit): RawHeaders {
    const { labels } = this.#parts.bindings;
    return ['Content-Security-Policy', frameAncestors(host.authority, labels.has)];
  }

  /** In place of what was asked for: without a type, so that it is sniffed as HTML (§6.5), and never kept. */
  #showLogin({ host }: Visit, reply: Reply): void {
    const { login } = this.#parts;
    if (login === undefined) return reply.answerText(403, NO_LOGIN);
    const headers = [...login.pageHeaders(host.authority).flat(), 'Vary', 'Cookie'];
    reply.answer(200, headers, login.page(host.authority));
  }

  /** Undefined: nobody can decide. */
  #access(
    { host, headers, method, peer, path, slash, query }: Visit,
    binding: BoundPath,
  ): Access | undefined {
    const { accessTo, bindings } = this.#parts;
    // Nothing is closed, and no origin is a package's own: most requests of a node are of this kind.
    if (!binding.authenticated && bindings.labels.size === 0) return OPEN;
    return accessTo?.(
      {
        host: host.authority,
        method,
        origin: headers.origin,
        secFetchSite: one(headers['sec-fetch-site']),
        secFetchMode: one(headers['sec-fetch-mode']),
        cookie: headers.cookie,
        proto: peer.encrypted ? 'https' : claimedProto(headers),
        // Where it leads, relative addresses in a page must still mean the same.
        path: slash ? `${path}/` : path,
        query,
      },
      binding,
      bindings.labels.has,
    );
  }

  /** Who the channel is for, when the upgrade may be granted (§6.8 last paragraph, §6.11; F21). */
  #openingFor(request: IncomingMessage): Opening | undefined {
    const { bindings, channels } = this.#parts;
    const { upgrade } = request.headers;
    if (channels === undefined || this.#draining || request.method !== 'GET') return undefined;
    if (upgrade?.toLowerCase() !== 'websocket') return undefined;
    const peer = this.#peerOf(request);
    const visit = visitOf(request, peer);
    if (typeof visit === 'string' || isForeign(visit)) return undefined;
    if (this.#options.development && !visit.host.development) return undefined;
    const binding = bindings.ws.find(visit.path)?.binding;
    if (binding?.live !== true) return undefined;
    if (this.#access(visit, binding)?.kind !== 'open') return undefined;
    if (binding.extension && !this.#mayExtend(visit)) return undefined;
    this.#parts.print(2, `http-server: ws request for ${visit.path}`);
    return {
      process: binding.process,
      path: binding.process === HOMEPAGE ? '/' : withoutProcess(visit.path),
      extension: binding.extension,
      sourceSocketAddr: peer.text,
      forwardedFor: forwardedFor(visit),
    };
  }

  /** Where another node is that wants to connect; undefined: it is none, or there is nobody to take it. */
  #nodeAt(request: IncomingMessage): string | undefined {
    if (this.#parts.peers?.open !== true || this.#draining) return undefined;
    const visit = visitOf(request, this.#peerOf(request));
    if (typeof visit === 'string') return undefined;
    return peerAddress(request, visit, this.#options.development);
  }

  /** A native program of this machine; those have no origin (F40). */
  #mayExtend(visit: Visit): boolean {
    return this.#options.extensions && isLocal(visit) && visit.headers.origin === undefined;
  }
}

/** Whether requests that arrived whole wait for their answers. */
function othersWait({ held }: Peer): boolean {
  const [first] = held;
  return held.size > 1 || first?.req.complete === true;
}

/** Whether the request whose body is being read has its answer already, as static content and the login page give it at once. */
function isAnswered({ latest, held }: Peer): boolean {
  return latest !== undefined && !latest.req.complete && !held.has(latest);
}

function withoutProcess(path: string): string {
  const end = path.indexOf('/', 1);
  return end < 0 ? '/' : path.slice(end);
}
