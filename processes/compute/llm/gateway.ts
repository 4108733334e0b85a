/**
 * OpenAI's interface at `/llm:compute:sys/v1` (compute-market.md §12.2): who asks, whether that is allowed, and what it may cost at most, all
 * decided before a backend hears of it.
 */
import type { HttpReply, HttpRequest } from '../../lib/http-server.ts';
import { reply } from '../../lib/http-server.ts';
import { tokenCost } from '../shared/token-price.ts';
import type { Accounts } from './accounts.ts';
import { type ApiKey, bearerOf, keyRefusal } from './api-keys.ts';
import { Bill } from './bill.ts';
import type { Catalog } from './catalog.ts';
import { type Dispatch, UpstreamError } from './dispatch.ts';
import type { Keys } from './keys.ts';
import type { Metrics } from './metrics.ts';
import {
  type ApiError,
  apiError,
  BODY_BYTES_MAX,
  type Endpoint,
  parseRequest,
  tokensAtMost,
  upstreamBody,
  wordsIn,
} from './openai.ts';
import type { Allowance, Rate } from './rate.ts';
import { refused, serve } from './serving.ts';
import type { Sessions } from './sessions.ts';

export interface GatewayNeeds {
  readonly node: string;
  readonly keys: Keys;
  readonly accounts: Accounts;
  readonly sessions: Sessions;
  readonly catalog: Catalog;
  readonly dispatch: Dispatch;
  readonly metrics: Metrics;
  /** Requests and tokens by key, wrong keys by address. */
  readonly requests: Rate;
  readonly tokens: Rate;
  readonly wrong: Rate;
  readonly nowMs: () => number;
  readonly newId: () => string;
  readonly print: (text: string) => void;
}

/** Wrong keys a minute of one address. */
const WRONG_PER_MINUTE = 20;
const BUILTIN = 'builtin';
const ID_PREFIX = { chat: 'chatcmpl', completions: 'cmpl', embeddings: 'embd' } as const;

type Headers = Record<string, string>;

export class Gateway {
  readonly #needs: GatewayNeeds;

  constructor(needs: GatewayNeeds) {
    this.#needs = needs;
  }

  /** `POST /v1/chat/completions` and its like. */
  async answer(endpoint: Endpoint, http: HttpRequest): Promise<HttpReply> {
    const { catalog, accounts, dispatch, metrics, node, nowMs } = this.#needs;
    const headers = this.#headers();
    const refuse = (error: ApiError): HttpReply => {
      metrics.refused(endpoint);
      return refused(error, headers);
    };
    const key = this.#keyOf(http, headers);
    if (!('hash' in key)) return refuse(key);
    const { signal } = http;
    const bytes = http.bytes();
    if (bytes.length > BODY_BYTES_MAX)
      return refuse(
        apiError(413, 'invalid_request_error', `a body has at most ${BODY_BYTES_MAX} bytes`),
      );
    const request = parseRequest(endpoint, new TextDecoder().decode(bytes));
    if ('status' in request) return refuse(request);
    const denied = this.#denied(key, { model: request.model, endpoint });
    if (denied !== undefined) return refuse(denied);
    const { settings } = catalog;
    const perChoice = request.maxTokens ?? settings.maxTokens;
    const output = endpoint === 'embeddings' ? 0 : perChoice * request.choices;
    const input = tokensAtMost(request);
    const limited = this.#limited(key, input + output, headers);
    if (limited !== undefined) return refuse(limited);
    const price = settings.priceOf(request.model);
    const most = tokenCost({ input, output }, price);
    const rid = headers['x-request-id']!;
    const hold = accounts.hold(key, most, rid);
    if (!('settle' in hold)) return refuse(hold);
    await hold.kept;
    this.#voucherWanted(key, headers);
    const bill = new Bill({
      ...{ rid, node, key, request, most, price, nowMs },
      hold: {
        ...hold,
        settle: (receipt) => {
          const used = receipt.input + receipt.output;
          this.#needs.tokens.settle(key.hash, key.tpm, used - input - output, nowMs());
          metrics.answered(endpoint, receipt);
          return hold.settle(receipt);
        },
      },
      maxTokens: output,
      count: (backend, text) => this.#count(backend, request.model, text),
      print: this.#needs.print,
    });
    const id = `${ID_PREFIX[endpoint]}-${rid.slice(rid.indexOf('_') + 1)}`;
    const head = { id, created: Math.floor(nowMs() / 1_000), model: request.model };
    const body = upstreamBody(request, perChoice);
    const asked = { model: request.model, endpoint, body, prompt: request.prompt };
    return serve({ request, head, bill, asked, signal, headers }, dispatch);
  }

  /** `GET /v1/models`, and one of them. */
  models(http: HttpRequest, wanted?: string): HttpReply {
    const { catalog, node } = this.#needs;
    const headers = this.#headers();
    const key = this.#keyOf(http, headers);
    if (!('hash' in key)) return refused(key, headers);
    const shown = (id: string): object => {
      const price = catalog.settings.priceOf(id);
      const prices = { in: String(price.in), out: String(price.out) };
      const hn = { context: null, prices, nodes: [node] };
      return { id, object: 'model', created: 0, owned_by: node, hn };
    };
    if (wanted === undefined)
      return reply.json({ object: 'list', data: catalog.models.map(shown) }, { headers });
    return catalog.backendsOf(wanted).size > 0
      ? reply.json(shown(wanted), { headers })
      : refused(noSuchModel(wanted), headers);
  }

  /** `POST /v1/tokenize`: how many tokens a text has for a model; costs nothing. */
  async tokenize(http: HttpRequest): Promise<HttpReply> {
    const { catalog } = this.#needs;
    const headers = this.#headers();
    const key = this.#keyOf(http, headers);
    if (!('hash' in key)) return refused(key, headers);
    const body = http.bytes();
    const request =
      body.length > BODY_BYTES_MAX
        ? apiError(413, 'invalid_request_error', `a body has at most ${BODY_BYTES_MAX} bytes`)
        : parseRequest('completions', new TextDecoder().decode(body));
    if ('status' in request) return refused(request, headers);
    const { model, prompt } = request;
    const error =
      this.#denied(key, { model, endpoint: 'tokenize' }) ?? this.#limited(key, 0, headers);
    if (error !== undefined) return refused(error, headers);
    for (const backend of catalog.backendsOf(model)) {
      const count = await this.#count(backend, model, prompt);
      if (count !== undefined) return reply.json({ object: 'tokens', model, count }, { headers });
    }
    const none = apiError(501, 'server_error', `nobody here can count the tokens of ${model}`);
    return refused(none, headers);
  }

  /** `GET` and `POST /v1/vouchers`, of the session that pays for the key. */
  sessionOf(http: HttpRequest): { readonly jobId: string } | HttpReply {
    const headers = this.#headers();
    const key = this.#keyOf(http, headers);
    if (!('hash' in key)) return refused(key, headers);
    if (key.session !== undefined) return { jobId: key.session };
    const error = apiError(404, 'invalid_request_error', 'this key is not paid by vouchers');
    return refused(error, headers);
  }

  // --- who, and whether

  #headers(): Headers {
    return { 'x-request-id': `req_${this.#needs.newId()}`, 'x-hn-node': this.#needs.node };
  }

  #keyOf(http: HttpRequest, headers: Headers): ApiKey | ApiError {
    const { keys, wrong, nowMs } = this.#needs;
    const bearer = bearerOf(http.headers.get('authorization'));
    const key = keys.find(bearer);
    const why =
      key === undefined ? 'unknown' : keyRefusal(key, { model: '', endpoint: '' }, nowMs());
    // Scopes are looked at when it is known what is asked for.
    if (key !== undefined && why !== 'revoked' && why !== 'expired') return key;
    const address = http.sourceAddress?.replace(/:\d+$/, '') ?? '';
    const allowance = wrong.take(address, WRONG_PER_MINUTE, 1, nowMs());
    if (allowance.ok) {
      const said = bearer === undefined ? 'no API key was sent' : 'the API key is not valid';
      return apiError(401, 'invalid_request_error', said, { code: 'invalid_api_key' });
    }
    headers['retry-after'] = String(Math.ceil(allowance.retryMs / 1_000));
    return rateLimited('too many wrong keys from this address');
  }

  #denied(
    key: ApiKey,
    asked: { readonly model: string; readonly endpoint: string },
  ): ApiError | undefined {
    const { catalog, nowMs } = this.#needs;
    const why = keyRefusal(key, asked, nowMs());
    if (why === 'revoked' || why === 'expired')
      return apiError(401, 'invalid_request_error', `the API key is ${why}`, {
        code: 'invalid_api_key',
      });
    if (why !== undefined)
      return apiError(403, 'invalid_request_error', `the API key does not open this ${why}`, {
        code: `${why}_not_allowed`,
        param: why === 'model' ? 'model' : null,
      });
    if (catalog.backendsOf(asked.model).size > 0) return undefined;
    return catalog.paired
      ? noSuchModel(asked.model)
      : apiError(503, 'overloaded', 'no extension with models is paired with this node', {
          code: 'overloaded',
        });
  }

  #limited(key: ApiKey, tokens: number, headers: Headers): ApiError | undefined {
    const now = this.#needs.nowMs();
    const requests = this.#needs.requests.take(key.hash, key.rpm, 1, now);
    rateHeaders(headers, 'requests', requests);
    if (!requests.ok) return tooOften(headers, requests, 'requests');
    const allowed = this.#needs.tokens.take(key.hash, key.tpm, tokens, now);
    rateHeaders(headers, 'tokens', allowed);
    return allowed.ok ? undefined : tooOften(headers, allowed, 'tokens');
  }

  /** Tells a session's client how much is to be signed for. */
  #voucherWanted({ session }: ApiKey, headers: Headers): void {
    if (session === undefined) return;
    const { wanted, served } = this.#needs.sessions.view(session);
    if (wanted) headers['x-hn-voucher'] = served;
  }

  // --- tokens

  async #count(backend: string, model: string, text: string): Promise<number | undefined> {
    const { catalog, dispatch } = this.#needs;
    if (backend === BUILTIN) return wordsIn(text);
    if (!catalog.countsTokens(backend)) return undefined;
    try {
      const asked = JSON.stringify({ model, prompt: text });
      const { count } = JSON.parse(await dispatch.ask(backend, 'tokenize', asked)) as {
        readonly count: number;
      };
      return Number.isSafeInteger(count) && count >= 0 ? count : undefined;
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
      // Servers that have no such path say so; others may be able to another time.
      if (error.status < 500 && error.status !== 429) catalog.countsNone(backend);
      return undefined;
    }
  }
}

function rateHeaders(headers: Headers, of: string, allowance: Allowance): void {
  if (allowance.limit === 0) return;
  headers[`x-ratelimit-limit-${of}`] = String(allowance.limit);
  headers[`x-ratelimit-remaining-${of}`] = String(allowance.remaining);
  headers[`x-ratelimit-reset-${of}`] = `${Math.ceil(allowance.resetMs / 1_000)}s`;
}

function tooOften(headers: Headers, { retryMs }: Allowance, what: string): ApiError {
  headers['retry-after'] = String(Math.max(1, Math.ceil(retryMs / 1_000)));
  return rateLimited(`this key has no ${what} left this minute`);
}

const rateLimited = (message: string): ApiError =>
  apiError(429, 'rate_limit_exceeded', message, { code: 'rate_limit_exceeded' });

const noSuchModel = (model: string): ApiError =>
  apiError(404, 'invalid_request_error', `there is no model ${JSON.stringify(model)} here`, {
    code: 'model_not_found',
    param: 'model',
  });
