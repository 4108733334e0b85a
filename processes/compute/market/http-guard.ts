/**
 * What every route has in common: who asks, how often, and how errors look: `{"error":{"code","message","details"?}}`. A path that is open to
 * wallets and the owner alike is bound without login; the owner's browser first gets a token of its own (`POST /operator/token`).
 */
import { HttpError, type HttpReply, type HttpRequest, reply } from '../../lib/http-server.ts';
import { NoResponse, Refusal, RemoteError } from '../../lib/index.ts';
import type { Principal } from './auth.ts';
import { RateLimit, UNKNOWN_PER_MINUTE, WALLET_PER_MINUTE } from './limits.ts';
import type { Market } from './parts.ts';

/** Who may ask: anybody, a wallet or the owner, the owner alone, the executor of a node. */
export type Access = 'public' | 'wallet' | 'operator' | 'executor';

export interface Asked<P extends string = string> {
  readonly market: Market;
  readonly request: HttpRequest<P>;
  /** Undefined for who is nobody, where anybody may ask. */
  readonly principal: Principal | undefined;
}

/** Of routes that are for somebody. */
export interface AskedBy<P extends string = string> extends Asked<P> {
  readonly principal: Principal;
}

export interface ErrorShape {
  readonly code: string;
  readonly message: string;
  readonly details?: unknown;
}

/** Refused with a status and details of one's own. */
export class ApiError extends HttpError {
  readonly details: unknown;
  constructor(status: number, code: string, message: string, details?: unknown) {
    super(status, message, code);
    this.details = details;
  }
}

const STATUS: Readonly<Record<string, number>> = {
  NotFound: 404,
  Conflict: 409,
  InputsMissing: 409,
  IntentTaken: 409,
  PriceAboveCap: 409,
  NoProvider: 409,
  TooFewOperators: 409,
  BadHash: 409,
  Gone: 410,
  TooLarge: 413,
  QueueFull: 429,
  Forbidden: 403,
  PaymentUnavailable: 403,
  NotConfigured: 403,
  Unavailable: 503,
};

let unknown: RateLimit | undefined;
let wallets: RateLimit | undefined;

/** A process begins: nobody has asked yet. @param now  read at each request */
export function resetLimits(now: () => number): void {
  unknown = new RateLimit(UNKNOWN_PER_MINUTE, now);
  wallets = new RateLimit(WALLET_PER_MINUTE, now);
}

type Handler<A> = (asked: A) => HttpReply | Promise<HttpReply>;

/** A handler behind its access. */
export function guarded<P extends string>(
  market: () => Market,
  access: 'public',
  handler: Handler<Asked<P>>,
): (request: HttpRequest<P>) => Promise<HttpReply>;
export function guarded<P extends string>(
  market: () => Market,
  access: 'wallet' | 'operator',
  handler: Handler<AskedBy<P>>,
): (request: HttpRequest<P>) => Promise<HttpReply>;
export function guarded<P extends string>(
  market: () => Market,
  access: Exclude<Access, 'executor'>,
  handler: Handler<AskedBy<P>>,
): (request: HttpRequest<P>) => Promise<HttpReply> {
  return (request) =>
    answered(market, async () => {
      const principal = admit(market(), request, access);
      // Proof of the type: only public routes take nobody, and their handlers say so.
      return handler({ market: market(), request, principal } as AskedBy<P>);
    });
}

/** A handler for the executor of a node, which signs its requests. */
export function guardedForExecutors<P extends string>(
  market: () => Market,
  handler: (asked: Asked<P> & { readonly nodeId: string }) => HttpReply | Promise<HttpReply>,
): (request: HttpRequest<P>) => Promise<HttpReply> {
  return (request) =>
    answered(market, async () => {
      limit(unknown, addressOf(request));
      const nodeId = await market().auth.executor({
        method: request.method,
        path: request.path,
        body: request.bytes(),
        node: request.headers.get('x-hn-node'),
        ts: request.headers.get('x-hn-ts'),
        signature: request.headers.get('x-hn-sig'),
      });
      return handler({ market: market(), request, principal: undefined, nodeId });
    });
}

/** @throws HttpError 401, 403, 429 */
function admit(market: Market, request: HttpRequest, access: Access): Principal | undefined {
  const token = /^Bearer (\S+)$/i.exec(request.headers.get('authorization') ?? '')?.[1];
  const known = token === undefined ? undefined : market.auth.principalOf(token);
  if (token !== undefined && known === undefined) {
    limit(unknown, addressOf(request));
    throw new ApiError(401, 'UNAUTHORIZED', 'the token is not good any more: log in again');
  }
  const principal = known?.principal;
  if (principal === undefined) limit(unknown, addressOf(request));
  else if (principal.kind === 'wallet') limit(wallets, principal.owner);
  if (access === 'public') return principal;
  if (principal === undefined) {
    throw new ApiError(
      401,
      'UNAUTHORIZED',
      'log in: POST /api/auth/login, or as the owner POST /operator/token',
    );
  }
  if (access === 'operator' && principal.kind !== 'operator') {
    throw new ApiError(403, 'FORBIDDEN', 'this is for the owner of the node');
  }
  return principal;
}

function limit(limits: RateLimit | undefined, key: string): void {
  const seconds = limits?.take(key) ?? 0;
  if (seconds > 0) {
    throw new ApiError(429, 'RATE_LIMITED', `too many requests; try again in ${seconds} s`, {
      retryAfterS: seconds,
    });
  }
}

/** Of whoever is connected; a proxy's, if there is one. */
function addressOf(request: HttpRequest): string {
  const address = request.sourceAddress ?? '';
  return address.slice(0, address.lastIndexOf(':'));
}

async function answered(market: () => Market, work: () => Promise<HttpReply>): Promise<HttpReply> {
  try {
    return await work();
  } catch (error) {
    const told = errorReply(error);
    if (told !== undefined) return told;
    market().process.print(
      `market: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
    return failure(500, { code: 'INTERNAL', message: 'the market failed to answer this' });
  }
}

function errorReply(error: unknown): HttpReply | undefined {
  if (error instanceof ApiError) {
    const { status, kind: code, message, details } = error;
    const retryAfter = (details as { retryAfterS?: number } | undefined)?.retryAfterS;
    return failure(
      status,
      { code, message, ...(details === undefined ? {} : { details }) },
      retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) },
    );
  }
  if (error instanceof HttpError) {
    return failure(error.status, { code: snake(error.kind), message: error.message });
  }
  if (error instanceof NoResponse) {
    return failure(503, {
      code: 'UNAVAILABLE',
      message: 'what answers this does not respond; try again',
    });
  }
  if (error instanceof Refusal || (error instanceof RemoteError && error.kind !== 'Internal')) {
    return failure(STATUS[error.kind] ?? 400, { code: snake(error.kind), message: error.message });
  }
  return undefined;
}

export function failure(
  status: number,
  error: ErrorShape,
  headers: Readonly<Record<string, string>> = {},
): HttpReply {
  return reply.json({ error }, { status, headers });
}

/** `QueueFull` is `QUEUE_FULL` over HTTP; codes of specs are so already. */
function snake(kind: string): string {
  return /^[A-Z0-9_]+$/.test(kind)
    ? kind
    : kind.replaceAll(/(?<=[a-z0-9])([A-Z])/g, '_$1').toUpperCase();
}
