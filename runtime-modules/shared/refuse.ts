/** Bodies in, refusals out: what every module does first and last. */
import type { Answer } from '../../kernel/module.ts';
import type { Codec } from '../../wit/codec.ts';
import type { Result } from '../../wit/types.ts';

/** A body read by its schema; a refusal says where it does not fit. Longer bodies are not parsed: that would hold the thread. */
export function decodeBody<T>(
  schema: Codec<T>,
  body: Uint8Array,
  bytesMax: number,
): Result<T, string> {
  if (body.length > bytesMax) return { ok: false, error: `body of ${body.length} bytes` };
  const decoded = schema.decode(body);
  if (decoded.ok) return decoded;
  const { path, expected } = decoded.error;
  return {
    ok: false,
    error: path === '' ? `expected ${expected}` : `${path}: expected ${expected}`,
  };
}

/** An error body with the send rule of its module; errors never echo metadata (runtime-modules.md §1.2). */
export function refuse(body: Uint8Array, send: NonNullable<Answer['send']>): Answer {
  return { body, send, echoMetadata: false };
}
