/** Answers as clients read them, made of what backends say in their own ways (compute-market.md §12.2, §12.3). */
import type { Tokens } from './metering.ts';
import { chunkSeen, isRecord, type ModelRequest, TEXTS, usageOf, wordsIn } from './openai.ts';

/** What stands in every piece of an answer. */
export interface Head {
  readonly id: string;
  /** Seconds since 1970. */
  readonly created: number;
  readonly model: string;
}

export interface BilledTokens extends Tokens {
  readonly estimated: boolean;
}

/** One event of a streamed answer. */
export interface ChunkRead {
  /** For the client; undefined: nothing but usage. */
  readonly json: string | undefined;
  readonly deltas: number;
  /** What was said in it. */
  readonly text: string;
  readonly usage: Tokens | undefined;
}

type Body = Readonly<Record<string, unknown>>;

/** Reads one event. Undefined: it is none. A text: what the backend says went wrong. */
export function readChunk(
  line: string,
  head: Head,
  { includeUsage, endpoint }: Pick<ModelRequest, 'includeUsage' | 'endpoint'>,
): ChunkRead | string | undefined {
  const json = parsed(line);
  const seen = chunkSeen(json);
  if (json === undefined || seen === undefined) return undefined;
  if (!Array.isArray(json['choices'])) return errorIn(json);
  const { usage: _usage, ...rest } = json;
  const object = endpoint === 'chat' ? 'chat.completion.chunk' : 'text_completion';
  const shown = { ...rest, ...head, object, ...(includeUsage ? { usage: null } : {}) };
  return {
    json: seen.usageOnly || json['choices'].length === 0 ? undefined : JSON.stringify(shown),
    deltas: seen.deltas,
    text: textIn(json['choices']),
    usage: seen.usage,
  };
}

/** The one event with usage, for a client that asked for it. */
export function usageChunk(
  head: Head,
  endpoint: ModelRequest['endpoint'],
  tokens: BilledTokens,
): string {
  const object = endpoint === 'chat' ? 'chat.completion.chunk' : 'text_completion';
  return JSON.stringify({ ...head, object, choices: [], usage: usageJson(tokens) });
}

/** A whole answer. */
export interface WholeRead {
  readonly usage: Tokens | undefined;
  readonly text: string;
  /** Of what was said, if nobody counts better: words. */
  readonly pieces: number;
  json(tokens: BilledTokens): string;
}

/** Reads a whole answer. Undefined: it is none. A text: what the backend says went wrong. */
export function readWhole(
  line: string,
  head: Head,
  { endpoint, body }: Pick<ModelRequest, 'endpoint' | 'body'>,
): WholeRead | string | undefined {
  const json = parsed(line);
  if (json === undefined) return undefined;
  const list = json[endpoint === 'embeddings' ? 'data' : 'choices'];
  if (!Array.isArray(list)) return errorIn(json);
  const { model } = head;
  const made =
    endpoint === 'embeddings'
      ? { ...json, object: 'list', model, data: encoded(list, body['encoding_format']) }
      : {
          ...json,
          ...head,
          object: endpoint === 'chat' ? 'chat.completion' : 'text_completion',
        };
  const text = endpoint === 'embeddings' ? '' : textIn(list);
  const before = isRecord(json['usage']) ? json['usage'] : {};
  return {
    usage: usageOf(json['usage']),
    text,
    pieces: wordsIn(text),
    json(tokens) {
      const { completion_tokens: output, ...input } = usageJson(tokens);
      const usage = endpoint === 'embeddings' ? input : { ...input, completion_tokens: output };
      return JSON.stringify({ ...made, usage: { ...before, ...usage } });
    },
  };
}

/** Everything that the choices say. */
function textIn(choices: readonly unknown[]): string {
  return choices
    .map((choice) => {
      if (!isRecord(choice)) return '';
      const { text, delta, message } = choice;
      if (typeof text === 'string') return text;
      const said = isRecord(delta) ? delta : isRecord(message) ? message : {};
      const { tool_calls: calls } = said;
      const parts = TEXTS.map((name) => said[name]).filter((part) => typeof part === 'string');
      return parts.join('') + (calls === undefined ? '' : JSON.stringify(calls));
    })
    .join('');
}

/** Vectors in the form that was asked for, where the backend knows but one. */
function encoded(data: readonly unknown[], format: unknown): readonly unknown[] {
  const wanted = format === 'base64' ? 'base64' : 'float';
  return data.map((one) => {
    if (!isRecord(one)) return one;
    const { embedding } = one;
    if (wanted === 'base64' && Array.isArray(embedding))
      return { ...one, embedding: base64Of(Float32Array.from(embedding as number[])) };
    if (wanted === 'float' && typeof embedding === 'string')
      return { ...one, embedding: floatsIn(embedding) };
    return one;
  });
}

/** The engine's own, both here and in Node. */
interface Base64Bytes extends Uint8Array {
  toBase64(): string;
}
// Proof of the type: ES2026, present in the guest engine and in Node; a missing one fails the first test.
const Bytes = Uint8Array as unknown as { fromBase64(text: string): Uint8Array };

/** Little-endian, as every machine that this runs on is. */
function base64Of(vector: Float32Array): string {
  return (new Uint8Array(vector.buffer) as unknown as Base64Bytes).toBase64();
}

function floatsIn(text: string): readonly number[] {
  const bytes = Bytes.fromBase64(text);
  return [...new Float32Array(bytes.slice().buffer, 0, Math.floor(bytes.length / 4))];
}

function usageJson({ input, output, estimated }: BilledTokens): Readonly<Record<string, unknown>> {
  return {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    ...(estimated ? { usage_estimated: true } : {}),
  };
}

function errorIn(json: Body): string | undefined {
  const { error } = json;
  const said = isRecord(error) ? error['message'] : error;
  return typeof said === 'string' ? said : undefined;
}

function parsed(line: string): Body | undefined {
  try {
    const json: unknown = JSON.parse(line);
    return isRecord(json) ? json : undefined;
  } catch {
    return undefined;
  }
}
