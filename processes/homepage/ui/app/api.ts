/** Requests to the node, and what their failures mean to whoever looks at the page. */
import { Store } from './store.ts';

/** How long an answer may take, ms. */
export const ANSWER_TIMEOUT_MS = 10_000;

/** `offline`: nobody answered. `signed-out`: the login page did. `refused`: the node said why not. */
export type FailureKind = 'offline' | 'signed-out' | 'refused';

export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly kind: FailureKind;
  constructor(kind: FailureKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** How the last request ended, for the banner. */
export type Connection = 'unknown' | 'ok' | 'offline' | 'signed-out';
export const connection = new Store<Connection>('unknown');

/** @throws ApiError */
export function get(path: string): Promise<unknown> {
  return ask(path, {});
}

/** @throws ApiError */
export function post(path: string, body: unknown): Promise<unknown> {
  const headers = { 'Content-Type': 'application/json' };
  return ask(path, { method: 'POST', headers, body: JSON.stringify(body) });
}

async function ask(path: string, init: RequestInit): Promise<unknown> {
  try {
    const value = await read(await reach(path, init));
    connection.value = 'ok';
    return value;
  } catch (error) {
    if (error instanceof ApiError && error.kind !== 'refused') connection.value = error.kind;
    throw error;
  }
}

async function reach(path: string, init: RequestInit): Promise<Response> {
  try {
    const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
    return await fetch(path, { ...init, signal, cache: 'no-store' });
  } catch (cause) {
    throw new ApiError('offline', 'The node does not answer', { cause });
  }
}

/** Statuses of the HTTP server when the homepage process cannot answer. */
const NOBODY_THERE: readonly number[] = [404, 408, 502, 503, 504];

async function read(response: Response): Promise<unknown> {
  if (!/\bjson\b/.test(response.headers.get('content-type') ?? '')) {
    // What is not ours to see is answered with the login page, as a success.
    if (response.ok) throw new ApiError('signed-out', 'You are signed out');
    if (NOBODY_THERE.includes(response.status)) {
      throw new ApiError('offline', `The homepage does not answer (${response.status})`);
    }
    throw new ApiError('refused', `The node answered with ${response.status}`);
  }
  let value: unknown;
  try {
    value = await response.json();
  } catch (cause) {
    throw new ApiError('offline', 'The answer of the node ended early', { cause });
  }
  if (response.ok) return value;
  const said = (value as { error?: unknown } | null)?.error;
  throw new ApiError(
    'refused',
    typeof said === 'string' ? said : `The node answered with ${response.status}`,
  );
}

/** A sentence for whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
