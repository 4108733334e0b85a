/**
 * Between `llm:compute:sys` and `gpu:compute:sys` of one node: models behind the extension, and requests to them (compute-market.md §12). An
 * answer is lines of JSON, told piece by piece; what the caller has not taken is not sent, down to the model server. Pieces are told, not
 * asked for: a process can answer a request only while nothing else is before it, so an answer that waits for something comes late.
 */
import { bool, list, record, text, u32, union, unit, type Decoded } from '../../../wit/codec.ts';
import { method } from '../../lib/contract.ts';

/** How far an answer is. */
export const modelState = union({
  /** There is more to come. */
  More: unit,
  /** That was all. The hashes are hex: of the request's body, and of the answer's lines. */
  Done: record({ requestSha256: text, sha256: text }),
  /** `status` as of HTTP; `message` may be shown to clients. */
  Failed: record({ status: u32, message: text }),
});
export type ModelState = Decoded<typeof modelState>;

export const modelMethods = {
  Models: method(
    unit,
    record({ paired: bool, backends: list(record({ id: text, models: list(text) })) }),
  ),
  /**
   * Begins a request, its body is the blob; the caller is told its answer by `ModelPiece`. `rid`: made by the caller. `endpoint`: `chat`,
   * `completions`, `embeddings` or `tokenize`. Refused with `Unavailable` while there is no extension or too much to do.
   */
  ModelCall: method(record({ rid: text, backend: text, endpoint: text, deadlineMs: u32 }), unit),
  /** So many bytes were taken: as many more may come. */
  ModelTaken: method(record({ rid: text, bytes: u32 }), unit),
  /** Nobody waits any more. Fine if it has ended. */
  ModelCancel: method(record({ rid: text }), unit),
} as const;

/** Told to whoever called; `More` has its bytes as blob. */
export const modelEventMethods = {
  ModelPiece: method(record({ rid: text, state: modelState }), unit),
} as const;
