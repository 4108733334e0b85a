/** Requests and answers in the form of OpenAI's interface (compute-market.md §12.2): what is looked at, and what is made here. */

/** Length of a request's body, in bytes. */
export const BODY_BYTES_MAX = 8 * 1024 * 1024;

export type Endpoint = 'chat' | 'completions' | 'embeddings';

/** What of a request is looked at; everything in it is passed on. */
export interface ModelRequest {
  readonly endpoint: Endpoint;
  readonly model: string;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  /** What the client allows; undefined: what the model does. */
  readonly maxTokens: number | undefined;
  /** All text that goes in, to be counted. */
  readonly prompt: string;
  /** Answers that are made: `n`, for each prompt. */
  readonly choices: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** What is wrong with a request, as clients read it. */
export interface ApiError {
  readonly status: number;
  readonly type: string;
  readonly code: string | null;
  readonly param: string | null;
  readonly message: string;
}

export const apiError = (
  status: number,
  type: string,
  message: string,
  {
    code = null,
    param = null,
  }: { readonly code?: string | null; readonly param?: string | null } = {},
): ApiError => ({ status, type, code, param, message });

/** `{"error":{"message","type","param","code"}}`. */
export const errorJson = ({ message, type, param, code }: ApiError): string =>
  JSON.stringify({ error: { message, type, param, code } });

const invalid = (message: string, param: string | null = null): ApiError =>
  apiError(400, 'invalid_request_error', message, { param });

/** Reads a request's body. */
export function parseRequest(endpoint: Endpoint, text: string): ModelRequest | ApiError {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return invalid('the body is not JSON');
  }
  if (!isRecord(body)) return invalid('the body is not a JSON object');
  const { model, stream = false, n = 1 } = body;
  if (typeof model !== 'string' || model === '') return invalid('model is missing', 'model');
  if (typeof stream !== 'boolean' && stream !== null)
    return invalid('stream is no boolean', 'stream');
  const prompt = promptOf(endpoint, body);
  if (typeof prompt !== 'string') return prompt;
  const limit = body['max_completion_tokens'] ?? body['max_tokens'];
  if (limit !== undefined && limit !== null && !isCount(limit)) {
    return invalid('max_tokens must be a whole number above 0', 'max_tokens');
  }
  if (n !== null && (!isCount(n) || n > CHOICES_MAX)) {
    return invalid(`n must be from 1 to ${CHOICES_MAX}`, 'n');
  }
  const options = body['stream_options'];
  return {
    endpoint,
    model,
    stream: stream === true,
    includeUsage: isRecord(options) && options['include_usage'] === true,
    maxTokens: isCount(limit) ? limit : undefined,
    prompt,
    choices: (isCount(n) ? n : 1) * (endpoint === 'completions' ? promptsIn(body['prompt']) : 1),
    body,
  };
}

/** Choices of one request; each is paid for. */
const CHOICES_MAX = 16;

/**
 * The request as the backend gets it: usage is always asked for, so that it can be billed.
 * @param maxTokens  of each choice, where the client sets no limit
 */
export function upstreamBody(request: ModelRequest, maxTokens?: number): string {
  const { body, stream, endpoint } = request;
  const limited = request.maxTokens !== undefined || endpoint === 'embeddings';
  const limit = limited || maxTokens === undefined ? {} : { max_tokens: maxTokens };
  if (!stream) return JSON.stringify({ ...body, ...limit });
  const options = isRecord(body['stream_options']) ? body['stream_options'] : {};
  const stream_options = { ...options, include_usage: true };
  return JSON.stringify({ ...body, ...limit, stream_options });
}

/** 32 bits of a prompt's beginning: who begins alike is served by the same backend, which has that beginning in its cache. FNV-1a. */
export function prefixHash(prompt: string): number {
  let hash = 0x811c_9dc5;
  for (let at = 0; at < Math.min(prompt.length, PREFIX_CHARS); at += 1)
    hash = Math.imul(hash ^ prompt.charCodeAt(at), 0x0100_0193) >>> 0;
  return hash;
}
const PREFIX_CHARS = 1_024;

/** Tokens that a prompt has at most, or nearly: what is kept for them is given back. */
export function tokensAtMost({ prompt, body }: ModelRequest): number {
  const messages = Array.isArray(body['messages']) ? body['messages'].length : 1;
  return Math.ceil(prompt.length / 2) + MESSAGE_TOKENS * (messages + 1);
}

/** What a model's template puts around a message. */
export const MESSAGE_TOKENS = 8;

/** Text that goes in, or what is wrong with it. */
function promptOf(endpoint: Endpoint, body: Readonly<Record<string, unknown>>): string | ApiError {
  if (endpoint === 'chat') {
    const { messages } = body;
    if (!Array.isArray(messages) || messages.length === 0) {
      return invalid('messages must be a list that is not empty', 'messages');
    }
    const texts = messages.map((message: unknown) =>
      isRecord(message) && typeof message['role'] === 'string'
        ? contentText(message['content'])
        : undefined,
    );
    const bad = texts.indexOf(undefined);
    return bad < 0
      ? texts.join('\n')
      : invalid(`message ${bad} has no role or no content`, 'messages');
  }
  const name = endpoint === 'embeddings' ? 'input' : 'prompt';
  const text = inputText(body[name]);
  return text ?? invalid(`${name} must be a text, texts or tokens`, name);
}

/** A message's content: a text, or parts of which some are text; undefined for anything else. */
function contentText(content: unknown): string | undefined {
  // A message that calls tools has none.
  if (content === null || content === undefined) return '';
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return undefined;
  return content
    .map((part: unknown) =>
      isRecord(part) && typeof part['text'] === 'string' ? part['text'] : '',
    )
    .join('\n');
}

/** A text, a list of texts, tokens, or a list of lists of tokens, as text of as many words. */
function inputText(input: unknown): string | undefined {
  if (typeof input === 'string') return input;
  if (!Array.isArray(input) || input.length === 0) return undefined;
  if (input.every((one) => typeof one === 'string')) return input.join('\n');
  const tokens = input.flat() as unknown[];
  return tokens.every((one) => Number.isSafeInteger(one)) ? tokens.join(' ') : undefined;
}

/** How many prompts a request for completions has: a text or tokens are one. */
const promptsIn = (prompt: unknown): number =>
  Array.isArray(prompt) && typeof prompt[0] !== 'number' ? prompt.length : 1;

/** Whole words of a text: what a token is where nobody knows better. */
export function wordsIn(text: string): number {
  return text.split(/\s+/u).filter((word) => word !== '').length;
}

/** Members of a delta or a message that the model wrote: what it says, and what it thinks, as servers call that. */
export const TEXTS = ['content', 'reasoning_content', 'reasoning'] as const;

/** Of an event's JSON in an answer that is streamed. */
export interface ChunkSeen {
  /** Choices in which something was delivered. */
  readonly deltas: number;
  readonly usage: { readonly input: number; readonly output: number } | undefined;
  /** Nothing but usage, which a client that did not ask for it must not see. */
  readonly usageOnly: boolean;
}

/** What an event says that matters for the bill; undefined where it is no JSON object. */
export function chunkSeen(json: unknown): ChunkSeen | undefined {
  if (!isRecord(json)) return undefined;
  const choices = Array.isArray(json['choices']) ? json['choices'] : [];
  const delivered = choices.filter((choice: unknown) => {
    if (!isRecord(choice)) return false;
    const { delta, text } = choice;
    if (typeof text === 'string') return text !== '';
    if (!isRecord(delta)) return false;
    return TEXTS.some((name) => hasText(delta[name])) || delta['tool_calls'] !== undefined;
  });
  const usage = usageOf(json['usage']);
  return {
    deltas: delivered.length,
    usage,
    usageOnly: choices.length === 0 && usage !== undefined,
  };
}

/** `usage` of an answer, as numbers. */
export function usageOf(
  usage: unknown,
): { readonly input: number; readonly output: number } | undefined {
  if (!isRecord(usage)) return undefined;
  const { prompt_tokens: input, completion_tokens: output = 0 } = usage;
  return isWhole(input) && isWhole(output) ? { input, output } : undefined;
}

const hasText = (value: unknown): boolean => typeof value === 'string' && value !== '';
const isWhole = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0;
const isCount = (value: unknown): value is number => isWhole(value) && value > 0;

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
