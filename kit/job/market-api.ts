/** The market's HTTP API as `kit job` uses it (compute-market.md §13): one place that asks, and that turns refusals into sentences. */
import { JobError } from './job-error.ts';

const MARKET = '/market:compute:sys';
/** How long an answer may take to begin, in milliseconds. */
const ANSWER_MS_MAX = 60_000;
/** Characters of an answer that is no JSON which are shown. */
const SHOWN_CHARS_MAX = 200;
const LOOPBACK = /^(localhost|.*\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

export interface Asking {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'HEAD';
  readonly headers?: Readonly<Record<string, string>>;
  /** An object goes as JSON. */
  readonly body?: object | Uint8Array<ArrayBuffer>;
  /** Answers with these are returned; others are refusals. */
  readonly statuses?: readonly number[];
  readonly signal?: AbortSignal;
}

export class MarketApi {
  /** Of the node, without a slash at its end. */
  readonly node: string;
  #token: string | undefined;

  /** @throws JobError for what is no address, and for one that a secret may not be sent to */
  constructor(node: string) {
    let url: URL;
    try {
      url = new URL(/^https?:\/\//.test(node) ? node : `http://${node}`);
    } catch (error) {
      throw new JobError(
        'bad-flags',
        `--node ${node} is no address such as http://localhost:8080`,
        {
          cause: error,
        },
      );
    }
    if (url.protocol === 'http:' && !LOOPBACK.test(url.hostname)) {
      throw new JobError(
        'bad-flags',
        `${url.origin} would get a login that everybody on the way can read; use https, or bring the port here: ssh -L 8080:localhost:8080 ${url.hostname}`,
      );
    }
    this.node = url.origin;
  }

  /** `host:port`. */
  get site(): string {
    return new URL(this.node).host;
  }

  /** Who asks from now on. */
  use(token: string): void {
    this.#token = token;
  }

  /**
   * Asks the market, `path` being below its own.
   * @throws JobError with what the market says
   */
  async ask(path: string, asking: Asking = {}): Promise<Response> {
    const { headers, statuses = [], ...rest } = asking;
    const token = this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` };
    const answer = await this.fetch(`${MARKET}${path}`, {
      ...rest,
      headers: { ...token, ...headers },
    });
    if (answer.ok || statuses.includes(answer.status)) return answer;
    throw await refusal(answer);
  }

  /** The same, of an answer in JSON. */
  async json<T>(path: string, asking: Asking = {}): Promise<T> {
    const answer = await this.ask(path, asking);
    const text = await answer.text();
    try {
      // Proof of the type: what the market documents; nothing is trusted but what is checked where it is used.
      return JSON.parse(text) as T;
    } catch (error) {
      throw new JobError('unreachable', `${this.node} is no compute market: ${shown(text)}`, {
        cause: error,
      });
    }
  }

  /** Any path of the node. @throws JobError when nobody answers */
  async fetch(path: string, { body, headers, signal, ...rest }: Asking): Promise<Response> {
    const json = body !== undefined && !(body instanceof Uint8Array);
    // Of the beginning of the answer only: what follows may take as long as it likes.
    const begun = new AbortController();
    const timer = setTimeout(() => begun.abort(), ANSWER_MS_MAX);
    try {
      return await fetch(`${this.node}${path}`, {
        ...rest,
        redirect: 'manual',
        headers: { ...(json ? { 'content-type': 'application/json' } : {}), ...headers },
        ...(body === undefined ? {} : { body: json ? JSON.stringify(body) : body }),
        signal: signal === undefined ? begun.signal : AbortSignal.any([begun.signal, signal]),
      });
    } catch (error) {
      if (signal?.aborted === true) throw error;
      const why = begun.signal.aborted ? 'did not answer in time' : 'does not answer';
      throw new JobError(
        'unreachable',
        `${this.node} ${why}; is the node up? Start one with npm start, or name another: --node URL`,
        { cause: error },
      );
    } finally {
      clearTimeout(timer);
    }
  }
}

async function refusal(answer: Response): Promise<JobError> {
  const text = await answer.text().catch(() => '');
  const { code, message } = errorIn(text);
  if (message === undefined) {
    return answer.status === 404
      ? new JobError('not-found', 'this node has no compute market (404)')
      : new JobError('refused', `the node answers ${answer.status}: ${shown(text)}`);
  }
  const kind =
    answer.status === 401 || answer.status === 403
      ? 'login'
      : answer.status === 404
        ? 'not-found'
        : 'refused';
  return new JobError(kind, `${message} (${code ?? answer.status})`, { reason: code });
}

function errorIn(text: string): { code?: string; message?: string } {
  try {
    const { error } = JSON.parse(text) as { error?: { code?: unknown; message?: unknown } };
    return {
      ...(typeof error?.code === 'string' ? { code: error.code } : {}),
      ...(typeof error?.message === 'string' ? { message: error.message } : {}),
    };
  } catch {
    return {};
  }
}

function shown(text: string): string {
  return text.replaceAll(/\s+/g, ' ').slice(0, SHOWN_CHARS_MAX) || 'nothing';
}
