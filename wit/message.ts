/** The plain messages of the node's own parts: nothing inherited, nothing attached. */
import type { Request, Response, U64 } from './types.ts';

/** `expectsResponse`: whole seconds; undefined when no response is expected. The body is not copied. */
export function plainRequest(body: Uint8Array, expectsResponse?: U64): Request {
  return { inherit: false, expectsResponse, body, metadata: undefined, capabilities: [] };
}

/** The body is not copied. */
export function plainResponse(body: Uint8Array, metadata?: string): Response {
  return { inherit: false, body, metadata, capabilities: [] };
}
