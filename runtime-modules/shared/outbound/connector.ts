/**
 * Opens connections on behalf of processes: names are resolved here, what the policy does not permit is not dialled, and what is dialled
 * is an address that was looked at, so a name that changes its mind in between gains nothing. Through a proxy where the environment
 * names one; TLS on top where wanted (docs/http-client.md).
 */
import { request } from 'node:http';
import { connect as dialTcp, isIP, type Socket } from 'node:net';
import { connect as startTls, type TLSSocket } from 'node:tls';
import type { Clock } from '../clock.ts';
import type { AddressPolicy } from './address-policy.ts';
import type { HostPort } from './host-pattern.ts';
import { ADDRESS_ATTEMPT_MS, CONNECT_MS_MAX, PROXIED_LOOKUP_MS_MAX } from './limits.ts';
import type { Proxies, Proxy } from './proxy.ts';
import type { Resolve } from './resolve.ts';
import type { Trust } from './trust.ts';

/** Where to, and how it is spoken there. */
export interface Hop {
  readonly target: HostPort;
  /** TLS to the target. */
  readonly secure: boolean;
  /** Plain HTTP may be sent to a proxy with the whole URL; everything else is tunnelled through it. */
  readonly forwardable: boolean;
}

/** Why there is no connection, for whoever asked: an expected failure. */
export class ConnectError extends Error {
  override readonly name = 'ConnectError';
  /** The policy does not permit it, rather than that it could not be done. */
  readonly forbidden: boolean;

  constructor(message: string, options: ErrorOptions & { readonly forbidden?: boolean } = {}) {
    super(message, options);
    this.forbidden = options.forbidden ?? false;
  }
}

export interface ConnectorNeeds {
  readonly policy: AddressPolicy;
  readonly proxies: Proxies;
  readonly resolve: Resolve;
  readonly trust: Trust;
  readonly clock: Clock;
}

export class Connector {
  readonly #needs: ConnectorNeeds;

  constructor(needs: ConnectorNeeds) {
    this.#needs = needs;
  }

  /** The proxy that a request of this hop is to be addressed to with its whole URL; undefined: it goes to the target as usual. */
  forwarder(hop: Hop): Proxy | undefined {
    return hop.forwardable && !hop.secure
      ? this.#needs.proxies.for(hop.target, hop.secure)
      : undefined;
  }

  /** A connected socket that speaks for the target; its owner closes it. Rejects with ConnectError. */
  async connect(hop: Hop, signal: AbortSignal): Promise<Socket> {
    const { clock } = this.#needs;
    const limit = new AbortController();
    const timer = clock.schedule(() => limit.abort(), CONNECT_MS_MAX);
    const opened: Socket[] = [];
    const either = AbortSignal.any([signal, limit.signal]);
    const opening = this.#open(hop, opened, either);
    try {
      // Not every step can be cut short, a look into the hosts file for one; nobody waits for such a step.
      return await Promise.race([opening, aborted(either)]);
    } catch (cause) {
      const close = (): void => {
        for (const socket of opened) socket.destroy();
      };
      close();
      opening.then(close, close);
      if (limit.signal.aborted)
        throw new ConnectError(
          `no connection to ${hop.target.host} within ${CONNECT_MS_MAX / 1000} s`,
        );
      throw cause instanceof ConnectError
        ? cause
        : new ConnectError(explain(cause, hop.target), { cause });
    } finally {
      clock.cancel(timer);
    }
  }

  /** `opened` receives what has to be closed when a later step fails. */
  async #open(hop: Hop, opened: Socket[], signal: AbortSignal): Promise<Socket> {
    const { proxies } = this.#needs;
    const { target, secure } = hop;
    const proxy = proxies.for(target, secure);
    let socket: Socket;
    if (proxy === undefined) {
      socket = await dial(target, await this.#addresses(target, signal), signal);
      opened.push(socket);
    } else {
      await this.#judgeProxied(target, signal);
      socket = await this.#toProxy(proxy, opened, signal);
      if (this.forwarder(hop) === undefined) await tunnel(socket, { proxy, target, signal });
    }
    if (!secure) return socket;
    const encrypted = await this.#encrypt(socket, target, signal);
    opened.push(encrypted);
    return encrypted;
  }

  /** Those that may be dialled, at least one. */
  async #addresses(target: HostPort, signal: AbortSignal): Promise<readonly string[]> {
    const { policy, resolve } = this.#needs;
    const all = isIP(target.host) === 0 ? await resolve(target.host, signal) : [target.host];
    signal.throwIfAborted();
    if (all.length === 0) throw new ConnectError(`${target.host} has no address`);
    const permitted = policy.permitted(target, all);
    if (permitted.length > 0) return permitted;
    throw new ConnectError(policy.refusal(target), { forbidden: true });
  }

  /** The proxy dials, so the name is judged by where it seems to lead from here; one that leads nowhere is the proxy's to know. */
  async #judgeProxied(target: HostPort, signal: AbortSignal): Promise<void> {
    const { policy, resolve, clock } = this.#needs;
    const limit = new AbortController();
    const timer = clock.schedule(() => limit.abort(), PROXIED_LOOKUP_MS_MAX);
    const all =
      isIP(target.host) === 0
        ? await resolve(target.host, AbortSignal.any([signal, limit.signal])).catch(() => [])
        : [target.host];
    clock.cancel(timer);
    signal.throwIfAborted();
    if (policy.permitted(target, all).length < all.length)
      throw new ConnectError(policy.refusal(target), { forbidden: true });
  }

  /** The operator's own choice: the policy is not asked. */
  async #toProxy(proxy: Proxy, opened: Socket[], signal: AbortSignal): Promise<Socket> {
    const { host } = proxy.target;
    try {
      const addresses = isIP(host) === 0 ? await this.#needs.resolve(host, signal) : [host];
      const socket = await dial(proxy.target, addresses, signal);
      opened.push(socket);
      if (!proxy.secure) return socket;
      const encrypted = await this.#encrypt(socket, proxy.target, signal);
      opened.push(encrypted);
      return encrypted;
    } catch (cause) {
      signal.throwIfAborted();
      throw new ConnectError(`the proxy: ${explain(cause, proxy.target)}`, { cause });
    }
  }

  async #encrypt(socket: Socket, { host }: HostPort, signal: AbortSignal): Promise<TLSSocket> {
    const secureContext = await this.#needs.trust();
    const encrypted = startTls({
      socket,
      host,
      ...(isIP(host) === 0 ? { servername: host } : {}),
      secureContext,
      rejectUnauthorized: true,
      ALPNProtocols: ['http/1.1'],
    });
    await happened(encrypted, 'secureConnect', signal);
    return encrypted;
  }
}

/** Rejects when that happens, never resolves. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const abort = (): void => reject(new ConnectError('aborted'));
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
  });
}

/** @param addresses permitted ones; tried in order, the next one beside the last after a moment */
async function dial(
  { host, port }: HostPort,
  addresses: readonly string[],
  signal: AbortSignal,
): Promise<Socket> {
  const [first = host] = addresses;
  const all = addresses.map((address) => ({ address, family: isIP(address) }));
  const socket = dialTcp({
    // A name, so that node:net asks `lookup`, which has the answer; an address where there is only one.
    host: addresses.length === 1 || isIP(host) !== 0 ? first : host,
    port,
    lookup: (_name, _options, answer) => answer(null, all),
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: ADDRESS_ATTEMPT_MS,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
  });
  await happened(socket, 'connect', signal);
  return socket;
}

interface Tunnelled {
  readonly proxy: Proxy;
  readonly target: HostPort;
  readonly signal: AbortSignal;
}

/** Afterwards the socket's other end is the target. */
function tunnel(socket: Socket, { proxy, target, signal }: Tunnelled): Promise<void> {
  const { host, port } = target;
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const asking = request({
    createConnection: () => socket,
    method: 'CONNECT',
    path: authority,
    setHost: false,
    headers: {
      Host: authority,
      ...(proxy.authorization === undefined ? {} : { 'Proxy-Authorization': proxy.authorization }),
    },
  });
  const refused = (status: number | undefined): void =>
    reject(
      new ConnectError(`the proxy answered ${status ?? 'nothing'} to a connection to ${authority}`),
    );
  asking.once('connect', (response, _socket, head) => {
    if (response.statusCode !== 200) return refused(response.statusCode);
    if (head.length > 0) socket.unshift(head);
    resolve();
  });
  asking.once('response', (response) => refused(response.statusCode));
  asking.once('error', (cause) =>
    reject(new ConnectError(`the proxy: ${explain(cause, proxy.target)}`, { cause })),
  );
  const abort = (): void => void asking.destroy(new Error('aborted'));
  signal.addEventListener('abort', abort, { once: true });
  asking.end();
  return promise.finally(() => signal.removeEventListener('abort', abort));
}

/** Waits for an event of a socket; destroys it when it fails before, or is no longer wanted. */
function happened(
  socket: Socket,
  event: 'connect' | 'secureConnect',
  signal: AbortSignal,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const abort = (): void => void socket.destroy(new Error('aborted'));
  const closed = (): void => reject(new ConnectError('the connection was closed'));
  socket.once(event, resolve);
  // It stays: between two owners nobody else listens, and an error nobody hears ends the node.
  socket.on('error', reject);
  socket.once('close', closed);
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  return promise.finally(() => {
    signal.removeEventListener('abort', abort);
    socket.off('close', closed);
  });
}

/** A failure of node:net, node:tls or node:dns in words, without addresses of our side. */
export function explain(cause: unknown, { host, port }: HostPort): string {
  const { code, message } =
    cause instanceof Error
      ? (cause as NodeJS.ErrnoException)
      : (new Error(String(cause)) as NodeJS.ErrnoException);
  const inner = cause instanceof AggregateError ? cause.errors[0] : undefined;
  if (inner !== undefined && inner !== cause) return explain(inner, { host, port });
  switch (code) {
    case 'ECONNREFUSED':
      return `${host} refuses connections to port ${port}`;
    case 'ENOTFOUND':
    case 'ENODATA':
      return `there is no host ${host}`;
    case 'ETIMEOUT':
    case 'EAI_AGAIN':
    case 'ESERVFAIL':
      return `the name ${host} could not be resolved (${code})`;
    case 'ECONNRESET':
    case 'EPIPE':
      return `the connection to ${host} broke off`;
    case 'ETIMEDOUT':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return `${host} cannot be reached (${code})`;
    default:
      return code === undefined ? message : `${message} (${code})`;
  }
}
