/** How many tokens a request is billed for (compute-market.md §12.4). Whoever sells tokens is not the one who is believed. */

export interface Tokens {
  readonly input: number;
  readonly output: number;
}

export interface Evidence {
  /** What the backend says it used. */
  readonly usage: Tokens | undefined;
  /** What a tokenizer of that model counts in what was asked and delivered. */
  readonly recount: Tokens | undefined;
  /** Without either: words of the prompt, and pieces that were delivered. */
  readonly guess: Tokens;
  /** What the client allowed; undefined: what the model does. */
  readonly maxTokens: number | undefined;
  /** The client left, or the backend failed, before the end: only what was delivered counts. */
  readonly cut: boolean;
}

export interface Metered extends Tokens {
  /** Neither backend nor tokenizer counted. */
  readonly estimated: boolean;
  /** The backend's count was too far off to be believed; to be logged. */
  readonly corrected: boolean;
}

/** A backend may be off by this much: two parts in a hundred, and eight tokens. */
const TOLERANCE_PERCENT = 2;
const TOLERANCE_TOKENS = 8;

/** What is billed. */
export function meter({ usage, recount, guess, maxTokens, cut }: Evidence): Metered {
  const claimed = usage ?? recount ?? guess;
  const input = believed(claimed.input, recount?.input);
  // A backend counts what it made, also where the client has not got all of it.
  const delivered = cut
    ? Math.min(claimed.output, recount?.output ?? guess.output)
    : claimed.output;
  const output = believed(delivered, recount?.output);
  return {
    input: input.tokens,
    output: Math.min(output.tokens, maxTokens ?? Infinity),
    estimated: usage === undefined && recount === undefined,
    corrected: input.corrected || output.corrected,
  };
}

function believed(
  claimed: number,
  counted: number | undefined,
): { readonly tokens: number; readonly corrected: boolean } {
  if (counted === undefined) return { tokens: claimed, corrected: false };
  const off = Math.abs(claimed - counted);
  const corrected = off > TOLERANCE_TOKENS && off * 100 > counted * TOLERANCE_PERCENT;
  return { tokens: corrected ? Math.min(claimed, counted) : claimed, corrected };
}
