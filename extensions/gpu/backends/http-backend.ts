/**
 * A model server on this machine that speaks OpenAI's interface (compute-market.md §12.3): llama.cpp, Ollama, vLLM, LM Studio and others.
 * Only the operator says where; a client can name a model, never an address.
 */
import { type Backend, BackendError, type ModelCall, tokenizeAsked } from './backend.ts';

/** How long a server that may be there has to say which models it has, and one that the operator named, in milliseconds. */
export const PROBE_MS = 500;
const ANSWER_MS = 5_000;
/** Bytes of a list of models, and of an answer that is not streamed. */
const LIST_BYTES_MAX = 1024 * 1024;
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
/** Characters of one event of a streamed answer. */
const EVENT_CHARS_MAX = 1024 * 1024;
/** Characters of a server's own words about an error that are passed on. */
const WORDS_CHARS_MAX = 500;
/** Models of one server, and characters of a model's name. */
const MODELS_MAX = 256;
const NAME_CHARS_MAX = 200;
const PATHS = {
  chat: 'chat/completions',
  completions: 'completions',
  embeddings: 'embeddings',
} as const;

/**
 * @param id    what operators call it
 * @param base  such as `http://127.0.0.1:11434/v1`
 * @param listMs  how long it has to say which models it has
 * @throws RangeError for an address that is not of this machine
 */
export function httpBackend(id: string, base: string, listMs = ANSWER_MS): Backend {
  const root = new URL(base.endsWith('/') ? base : `${base}/`);
  if (!isLoopback(root)) throw new RangeError(`${base} is not on this machine`);
  return {
    id,
    base: root.href,
    async models(signal) {
      const within = AbortSignal.any([signal, AbortSignal.timeout(listMs)]);
      const answer = await ask(new URL('models', root), { signal: within });
      const { data } = (jsonIn(await textOf(answer, LIST_BYTES_MAX)) ?? {}) as { data?: unknown };
      if (!Array.isArray(data)) throw new BackendError(502, `${id} lists no models`);
      return data
        .map((model: { readonly id?: unknown } | null) => model?.id)
        .filter((name): name is string => typeof name === 'string' && name.length <= NAME_CHARS_MAX)
        .slice(0, MODELS_MAX);
    },
    call: (call) =>
      call.endpoint === 'tokenize'
        ? tokenize(new URL('/tokenize', root), call)
        : callServer(new URL(PATHS[call.endpoint], root), call),
  };
}

async function callServer(url: URL, call: ModelCall): Promise<void> {
  const answer = await ask(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: call.body,
    signal: call.signal,
  });
  if (answer.headers.get('content-type')?.startsWith('text/event-stream') !== true) {
    await call.take(await textOf(answer, ANSWER_BYTES_MAX));
    return;
  }
  for await (const data of events(answer, call.signal)) {
    if (data === '[DONE]') return;
    await call.take(data);
  }
  throw new BackendError(502, 'the model server ended its answer early');
}

/** llama.cpp reads `content` and answers `{"tokens":[...]}`, vLLM `prompt` and `{"count"}`; others have no such path. */
async function tokenize(url: URL, call: ModelCall): Promise<void> {
  const { model, prompt } = tokenizeAsked(call.body);
  const answer = await ask(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, prompt, content: prompt }),
    signal: call.signal,
  });
  const read = jsonIn(await textOf(answer, ANSWER_BYTES_MAX));
  const { count, tokens } = (read ?? {}) as { readonly [name: string]: unknown };
  const counted = Number.isSafeInteger(count) ? count : Array.isArray(tokens) && tokens.length;
  if (typeof counted !== 'number') throw new BackendError(502, 'the model server counts no tokens');
  return call.take(JSON.stringify({ count: counted }));
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function ask(url: URL, init: RequestInit): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(url, { ...init, redirect: 'error' });
  } catch (error) {
    init.signal?.throwIfAborted();
    throw new BackendError(
      503,
      `the model server at ${url.host} does not answer: ${causeOf(error)}`,
    );
  }
  if (answer.ok) return answer;
  const words = (await textOf(answer, LIST_BYTES_MAX).catch(() => '')).slice(0, WORDS_CHARS_MAX);
  const status = answer.status < 500 ? answer.status : answer.status === 503 ? 503 : 502;
  throw new BackendError(status, wordsIn(words) ?? `the model server answered ${answer.status}`);
}

/** `data` of every event, joined where it has several lines. */
async function* events(answer: Response, signal: AbortSignal): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let held = '';
  let data: string[] = [];
  for await (const bytes of bodyOf(answer, signal)) {
    signal.throwIfAborted();
    held += decoder.decode(bytes, { stream: true });
    let end: number;
    while ((end = held.search(/\r\n|\n|\r(?!$)/)) >= 0) {
      const line = held.slice(0, end);
      held = held.slice(end + (held.startsWith('\r\n', end) ? 2 : 1));
      if (line === '') {
        if (data.length > 0) yield data.join('\n');
        data = [];
      } else if (line.startsWith('data:')) data.push(line.slice(line[5] === ' ' ? 6 : 5));
    }
    if (held.length > EVENT_CHARS_MAX)
      throw new BackendError(502, 'an event of the model server has no end');
  }
  if (data.length > 0) yield data.join('\n');
}

/** @throws BackendError when the server breaks off, the signal's reason when that came */
async function* bodyOf(answer: Response, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    for await (const bytes of answer.body ?? []) yield bytes;
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof BackendError) throw error;
    throw new BackendError(502, `the model server broke off: ${causeOf(error)}`);
  }
}

async function textOf(answer: Response, most: number): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of bodyOf(answer)) {
    size += part.length;
    if (size > most)
      throw new BackendError(502, `the model server answered more than ${most} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** What `{"error":{"message"}}`, `{"error":"..."}` or `{"message":"..."}` says. */
function wordsIn(text: string): string | undefined {
  const { error, message } = (jsonIn(text) ?? {}) as { readonly [name: string]: unknown };
  const said =
    typeof error === 'object' && error !== null
      ? (error as { message?: unknown }).message
      : (error ?? message);
  return typeof said === 'string' ? said : undefined;
}

function causeOf(error: unknown): string {
  const { cause } = error as { readonly cause?: { readonly code?: string } };
  return cause?.code ?? (error as Error).message;
}

/** Whether an address is of this machine, whatever names say. */
function isLoopback({ protocol, hostname }: URL): boolean {
  return (
    protocol === 'http:' &&
    (/^127(\.\d{1,3}){3}$/.test(hostname) || hostname === '[::1]' || hostname === 'localhost')
  );
}
