/** What answers model requests behind the extension (compute-market.md §12.3): servers on this machine, and two that are built in. */

export const ENDPOINTS = ['chat', 'completions', 'embeddings', 'tokenize'] as const;
export type Endpoint = (typeof ENDPOINTS)[number];

/** One request, in the form of OpenAI's interface. */
export interface ModelCall {
  /** `tokenize`: `{"model","prompt"}`, answered by `{"count"}`. */
  readonly endpoint: Endpoint;
  /** The whole body, JSON. */
  readonly body: string;
  /** Aborted: nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /**
   * Takes a piece of the answer: of a streamed one the JSON of one event, otherwise all of it. The backend reads on when it is taken.
   */
  take(json: string): Promise<void>;
}

export interface Backend {
  /** Such as `ollama`; what operators call it. */
  readonly id: string;
  /** Where it is, as `DeviceInfo` shows it; empty for what is built in. */
  readonly base: string;
  /** Its models now. @throws BackendError */
  models(signal: AbortSignal): Promise<readonly string[]>;
  /** Answers; resolves when the last piece was taken. @throws BackendError */
  call(call: ModelCall): Promise<void>;
}

/** What a backend refused or failed at, in words that may be shown to the client. */
export class BackendError extends Error {
  override readonly name = 'BackendError';
  /** As an HTTP status: the backend's own where it gave one below 500, else 502, 503 or 504. */
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** What `tokenize` asks for. @throws BackendError */
export function tokenizeAsked(body: string): { readonly model: string; readonly prompt: string } {
  try {
    const { model, prompt } = JSON.parse(body) as { readonly [name: string]: unknown };
    if (typeof model === 'string' && typeof prompt === 'string') return { model, prompt };
  } catch {
    // Said below.
  }
  throw new BackendError(400, 'tokenize takes {"model","prompt"}');
}
