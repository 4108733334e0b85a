/** The market's HTTP API as the page uses it: as the owner, whose session gets a token that opens everything else. */

/** Refused, with what the market calls it; `SIGNED_OUT` when there is no session any more, `OFFLINE` when nobody answers. */
export class ApiProblem extends Error {
  override readonly name = 'ApiProblem';
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A token is renewed so long before its end, in milliseconds. */
const RENEW_MS = 60_000;

export interface Asking {
  readonly method?: string;
  /** An object goes as JSON. */
  readonly body?: object | Blob;
  readonly accept?: readonly number[];
}

export class MarketApi {
  readonly #base: URL;
  #token: Promise<string> | undefined;
  /** Milliseconds since 1970. */
  #until = 0;

  /** @param base  of the market, with a slash at its end */
  constructor(base: URL) {
    this.#base = base;
  }

  /** Of the owner, good for an hour; asked for once. */
  token(): Promise<string> {
    if (Date.now() > this.#until - RENEW_MS) this.#token = undefined;
    this.#token ??= this.#newToken().catch((error: unknown) => {
      this.#token = undefined;
      throw error;
    });
    return this.#token;
  }

  /** @throws ApiProblem */
  async json<T>(path: string, asking: Asking = {}): Promise<T> {
    // Proof of the type: what the market documents, from the same package.
    return (await (await this.ask(path, asking)).json()) as T;
  }

  /** @throws ApiProblem */
  async ask(path: string, asking: Asking = {}): Promise<Response> {
    const first = await this.#send(path, asking);
    // The hour is over, or the node has another secret.
    if (first.status !== 401) return this.#taken(first, asking);
    this.#token = undefined;
    return this.#taken(await this.#send(path, asking), asking);
  }

  async #send(path: string, { method = 'GET', body }: Asking): Promise<Response> {
    const json = body !== undefined && !(body instanceof Blob);
    const token = await this.token();
    const headers = {
      authorization: `Bearer ${token}`,
      ...(json ? { 'content-type': 'application/json' } : {}),
    };
    const sent = body === undefined ? {} : { body: json ? JSON.stringify(body) : body };
    return this.#fetch(path, { method, headers, ...sent });
  }

  async #taken(answer: Response, { accept = [] }: Asking): Promise<Response> {
    if (answer.ok || accept.includes(answer.status)) return answer;
    const said = (await answer.json().catch(() => ({}))) as {
      error?: { code?: string; message?: string };
    };
    const { code = String(answer.status), message = `the node answers ${answer.status}` } =
      said.error ?? {};
    throw new ApiProblem(code, message);
  }

  async #newToken(): Promise<string> {
    const answer = await this.#fetch('operator/token', { method: 'POST' });
    // Without a session the node answers with its login page.
    const said = (await answer.json().catch(() => ({}))) as {
      token?: unknown;
      expiresAt?: number;
    };
    if (typeof said.token === 'string') {
      this.#until = said.expiresAt ?? Date.now() + RENEW_MS;
      return said.token;
    }
    throw new ApiProblem('SIGNED_OUT', 'you are signed out');
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    try {
      return await fetch(new URL(path, this.#base), { cache: 'no-store', ...init });
    } catch (error) {
      throw new ApiProblem('OFFLINE', 'the node does not answer', { cause: error });
    }
  }
}
