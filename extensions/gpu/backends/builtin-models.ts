/** Models that need no server: both say the same to the same question everywhere, so that the whole path can be tried and checked. */
import { embedding } from '../runners/builtins/embed.ts';
import { type Backend, BackendError, type ModelCall, tokenizeAsked } from './backend.ts';

const ECHO = 'builtin:echo';
const EMBED = 'builtin:embed-hash-384';
/** Seconds since 1970 that answers claim to be made at: an answer's hash can be compared. */
const CREATED = 0;
/** Components of a vector are scaled to this. */
const ONE = 32_767;
/** Answers to one request. */
const CHOICES_MAX = 1_024;

/** `builtin:echo` replies with the last user message, a word a token; `builtin:embed-hash-384` makes vectors of words. */
export const builtinModels: Backend = {
  id: 'builtin',
  base: '',
  models: async () => [ECHO, EMBED],
  async call(call) {
    if (call.endpoint === 'tokenize') {
      const { model, prompt } = tokenizeAsked(call.body);
      if (model !== ECHO && model !== EMBED) throw noSuchModel(model);
      return call.take(JSON.stringify({ count: wordsOf(prompt) }));
    }
    const body = parsed(call.body);
    const { model } = body;
    if (model !== (call.endpoint === 'embeddings' ? EMBED : ECHO)) throw noSuchModel(model);
    return call.endpoint === 'embeddings' ? embed(call, body) : echo(call, body);
  },
};

type Body = Readonly<Record<string, unknown>>;

/** One choice of an answer. */
interface Said {
  readonly index: number;
  readonly words: readonly string[];
  readonly finish: 'stop' | 'length';
}

async function echo(call: ModelCall, body: Body): Promise<void> {
  const chat = call.endpoint === 'chat';
  const asked = chat ? [lastUserMessage(body['messages'])] : promptsIn(body['prompt']);
  const limit = numberIn(body['max_completion_tokens'] ?? body['max_tokens']) ?? Infinity;
  const times = numberIn(body['n']) ?? 1;
  if (asked.length * times > CHOICES_MAX) throw new BackendError(400, 'too many answers at once');
  const said = asked
    .flatMap((text) => Array.from({ length: times }, () => pieces(text)))
    .map((words, index): Said => {
      const finish = words.length > limit ? 'length' : 'stop';
      return { index, words: words.slice(0, limit), finish };
    });
  const input = wordsOf(chat ? allMessages(body['messages']) : asked.join(' '));
  const output = said.reduce((sum, { words }) => sum + words.length, 0);
  const usage = {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
  };
  const made = { id: `${chat ? 'chatcmpl' : 'cmpl'}-echo`, created: CREATED, model: ECHO };
  if (body['stream'] === true) return streamed(call, { chat, said, usage, made });
  const choices = said.map(({ index, words, finish: finish_reason }) => {
    const content = words.join('');
    const text = chat ? { message: { role: 'assistant', content } } : { text: content };
    return { index, ...text, logprobs: null, finish_reason };
  });
  const object = chat ? 'chat.completion' : 'text_completion';
  return call.take(JSON.stringify({ ...made, object, choices, usage }));
}

/** Word by word. */
async function streamed(
  call: ModelCall,
  {
    chat,
    said,
    usage,
    made,
  }: {
    readonly chat: boolean;
    readonly said: readonly Said[];
    readonly usage: object;
    readonly made: object;
  },
): Promise<void> {
  const wantsUsage = (parsed(call.body)['stream_options'] as Body | undefined)?.['include_usage'];
  const event = (choices: readonly object[], last: object | null = null): Promise<void> => {
    call.signal.throwIfAborted();
    const object = chat ? 'chat.completion.chunk' : 'text_completion';
    const shown = wantsUsage === true ? { usage: last } : {};
    return call.take(JSON.stringify({ ...made, object, choices, ...shown }));
  };
  const choice = (index: number, text: string, finish_reason: string | null): object => {
    const delta = text === '' ? {} : { content: text };
    return { index, ...(chat ? { delta } : { text }), logprobs: null, finish_reason };
  };
  const role = { delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null };
  for (const { index, words, finish } of said) {
    if (chat) await event([{ index, ...role }]);
    for (const word of words) await event([choice(index, word, null)]);
    await event([choice(index, '', finish)]);
  }
  if (wantsUsage === true) await event([], usage);
}

async function embed(call: ModelCall, body: Body): Promise<void> {
  const { input, encoding_format: format = 'float', dimensions } = body;
  const size = numberIn(dimensions);
  const texts = promptsIn(input);
  const data = texts.map((text, index) => {
    const vector = vectorOf(text, size);
    const shown =
      format === 'base64' ? Buffer.from(vector.buffer).toString('base64') : Array.from(vector);
    return { object: 'embedding', index, embedding: shown };
  });
  const tokens = texts.reduce((sum, text) => sum + wordsOf(text), 0);
  const usage = { prompt_tokens: tokens, total_tokens: tokens };
  return call.take(JSON.stringify({ object: 'list', data, model: EMBED, usage }));
}

/** The builtin job's vector, or the beginning of it, of length 1. */
function vectorOf(text: string, dimensions: number | undefined): Float32Array<ArrayBuffer> {
  const bytes = embedding(text);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const whole = Float32Array.from(
    { length: bytes.length / 2 },
    (_, at) => view.getInt16(2 * at, true) / ONE,
  );
  if (dimensions === undefined) return whole;
  const cut = whole.subarray(0, dimensions);
  const length = Math.hypot(...cut);
  return Float32Array.from(cut, (one) => (length === 0 ? 0 : one / length));
}

/** Words with the space that stood before each, so that they are the text again. */
function pieces(text: string): readonly string[] {
  return text.match(/\s*\S+/gu) ?? [];
}

const wordsOf = (text: string): number => pieces(text).length;

/** A text, texts, tokens or lists of tokens; tokens are words of digits. */
function promptsIn(prompt: unknown): readonly string[] {
  const textOf = (one: unknown): string =>
    typeof one === 'string' ? one : Array.isArray(one) ? one.join(' ') : '';
  if (!Array.isArray(prompt) || typeof prompt[0] === 'number') return [textOf(prompt)];
  return prompt.map(textOf);
}

function lastUserMessage(messages: unknown): string {
  const list = Array.isArray(messages) ? (messages as readonly Body[]) : [];
  return contentOf(list.findLast((message) => message['role'] === 'user')?.['content']);
}

function allMessages(messages: unknown): string {
  return Array.isArray(messages)
    ? (messages as readonly Body[]).map((message) => contentOf(message['content'])).join(' ')
    : '';
}

function contentOf(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return (content as readonly Body[])
    .map((part) => (typeof part['text'] === 'string' ? part['text'] : ''))
    .join('');
}

const numberIn = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : undefined;

function parsed(text: string): Body {
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Body;
  } catch {
    // Said below.
  }
  throw new BackendError(400, 'the body is no JSON object');
}

function noSuchModel(model: unknown): BackendError {
  return new BackendError(404, `there is no model ${JSON.stringify(model)} here`);
}
