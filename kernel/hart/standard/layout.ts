/**
 * Sizes and offsets, in bytes, of the records of `hyperware:process/standard` in 32-bit linear memory, by the canonical ABI's rules.
 * A test computes each from the WIT with the generic layout (hart/abi/layout.ts) and compares.
 */
export const PROCESS_ID_SIZE = 24;
export const ADDRESS_SIZE = 32;
export const BLOB = { size: 20, mime: 0, bytes: 12 } as const;
export const CAPABILITY = { size: 40, issuer: 0, params: 32 } as const;
export const REQUEST = {
  size: 56,
  inherit: 0,
  expects: 8,
  expectsValue: 16,
  body: 24,
  metadata: 32,
  capabilities: 44,
} as const;
export const RESPONSE = { size: 32, inherit: 0, body: 4, metadata: 12, capabilities: 24 } as const;
/** `context` is in the response's tuple. */
export const MESSAGE = { size: 64, payload: 8, context: 8 + 32 } as const;
export const ON_EXIT = { size: 12, requests: 4 } as const;
/** tuple<address, request, option<lazy-load-blob>> */
export const ON_EXIT_REQUEST = { size: 112, address: 0, request: 32, blob: 88 } as const;
/** tuple<address, request, option<context>, option<lazy-load-blob>> */
export const OUTGOING = { size: 128, address: 0, request: 32, context: 88, blob: 100 } as const;
/** The parameters of send-and-await-response. */
export const AWAITED = { size: 112, address: 0, request: 32, blob: 88 } as const;
/** tuple<address, message> */
export const RECEIVED = { size: 96, address: 0, message: 32 } as const;
export const SEND_ERROR = { size: 128, kind: 0, target: 4, message: 40, blob: 104 } as const;
/** Without `target`, as in kinode:process@0.7.0. */
export const SEND_ERROR_V07 = { size: 96, kind: 0, message: 8, blob: 72 } as const;
/** result<tuple<address, message>, …>: the payload is aligned to 8. */
export const RESULT_PAYLOAD = 8;
/** tuple<process-id, json> */
export const GRANT = { size: 32, params: 24 } as const;
export const SPAWN_RESULT = { size: 28, payload: 4 } as const;
