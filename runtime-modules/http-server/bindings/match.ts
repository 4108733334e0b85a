/**
 * Paths and the patterns that bindings are (runtime-modules.md §6.4). A pattern is cut at `/` and `.`; a segment `:name` takes one or
 * more characters but `/`, a segment `*name` one or more of any; the rest is literal. What takes characters takes as many as it can.
 * A match costs time in proportion to the path and to the pattern's parts, whatever either looks like.
 */

/** One part that takes characters. */
export interface Part {
  readonly kind: 'parameter' | 'wildcard';
  /** Empty: what it takes is not reported. */
  readonly name: string;
}

/** A parsed pattern. `literals` has one text more than there are parts: before, between and after them. */
export interface Pattern {
  /** Equal for patterns that match the same paths: the pattern without names. */
  readonly shape: string;
  readonly parts: readonly Part[];
  readonly literals: readonly string[];
  /** Literal segments, parameters and wildcards, for the order of matches. */
  readonly rank: readonly [literals: number, parameters: number, wildcards: number];
}

const SEGMENT = /^[^/.]+|[/.][^/.]*/g;

/** The pattern of a bound path, or undefined when it is a literal one. The first slash does not count. */
export function parsePattern(path: string): Pattern | undefined {
  const parts: Part[] = [];
  const literals = [''];
  let shape = '';
  let fixed = 0;
  let wildcards = 0;
  for (const [cut] of withoutSlash(path).matchAll(SEGMENT)) {
    const separator = cut[0] === '/' || cut[0] === '.' ? cut[0] : '';
    const segment = cut.slice(separator.length);
    const kind = segment[0] === ':' ? 'parameter' : segment[0] === '*' ? 'wildcard' : undefined;
    const literal = kind === undefined ? cut : separator;
    literals[literals.length - 1] += literal;
    shape += literal;
    if (kind === undefined) {
      fixed++;
      continue;
    }
    parts.push({ kind, name: segment.slice(1) });
    literals.push('');
    shape += segment[0];
    if (kind === 'wildcard') wildcards++;
  }
  if (parts.length === 0) return undefined;
  return { shape, parts, literals, rank: [fixed, parts.length - wildcards, wildcards] };
}

/** What the parts take of a path, in order; undefined when it does not match. */
export function matchPattern(pattern: Pattern, path: string): readonly string[] | undefined {
  const { parts, literals } = pattern;
  const first = literals[0]!;
  const last = literals[parts.length]!;
  const start = path[0] === '/' ? 1 : 0;
  const from = start + first.length;
  const to = path.length - last.length;
  if (to - from < parts.length || !path.startsWith(first, start) || !path.endsWith(last)) {
    return undefined;
  }
  const text = path.slice(from, to);
  if (parts.length > 1) return matchMany(parts, literals, text);
  return parts[0]!.kind === 'parameter' && text.includes('/') ? undefined : [text];
}

/**
 * Several parts with literals between them. Worked out from the end: `ends[part][at]` is the furthest place where that part may end
 * when it begins at `at`, so that all after it fits; -1: none.
 */
function matchMany(
  parts: readonly Part[],
  literals: readonly string[],
  text: string,
): readonly string[] | undefined {
  const ends: Int32Array[] = Array.from({ length: parts.length });
  let after: Int32Array | undefined;
  for (let part = parts.length - 1; part >= 0; part--) {
    const literal = part === parts.length - 1 ? '' : literals[part + 1]!;
    after = furthestEnds(text, parts[part]!.kind, literal, after);
    ends[part] = after;
  }
  const captured: string[] = [];
  let at = 0;
  for (const [part, end] of ends.entries()) {
    const stop = end[at]!;
    if (stop < 0) return undefined;
    captured.push(text.slice(at, stop));
    at = stop + literals[part + 1]!.length;
  }
  return captured;
}

function furthestEnds(
  text: string,
  kind: Part['kind'],
  literal: string,
  after: Int32Array | undefined,
): Int32Array {
  const ends = new Int32Array(text.length + 1).fill(-1);
  let furthest = -1;
  for (let at = text.length; at >= 0; at--) {
    if (at < text.length) {
      // A parameter cannot pass a slash: it ends there at the latest.
      if (kind === 'parameter' && text[at] === '/') furthest = -1;
      else ends[at] = furthest;
    }
    const fits =
      after === undefined
        ? at === text.length
        : text.startsWith(literal, at) && (after[at + literal.length] ?? -1) >= 0;
    if (fits && furthest < 0) furthest = at;
  }
  return ends;
}

/** What comes first when several patterns match: negative for `a`. More literals, then more parameters, then more wildcards. */
export function compareRank(a: Pattern, b: Pattern): number {
  return b.rank[0] - a.rank[0] || b.rank[1] - a.rank[1] || b.rank[2] - a.rank[2];
}

/** The first segment of a path, between its first two slashes. */
export function firstSegment(path: string): string {
  const end = path.indexOf('/', 1);
  return end < 0 ? path.slice(1) : path.slice(1, end);
}

function withoutSlash(path: string): string {
  return path.startsWith('/') ? path.slice(1) : path;
}

interface Entry<B> {
  readonly pattern: Pattern;
  binding: B;
}

/** What a path leads to. `captured` goes with `pattern.parts`. */
export interface Found<B> {
  readonly binding: B;
  readonly pattern: Pattern | undefined;
  readonly captured: readonly string[];
}

const NOTHING: readonly string[] = [];

/** Bindings by path; an exact path is one lookup. */
export class RouteTable<B> {
  readonly #literal = new Map<string, Found<B>>();
  readonly #shapes = new Map<string, Entry<B>>();
  /** Patterns by their first segment when that is literal, best rank first; the others are under the empty text. */
  readonly #lines = new Map<string, Entry<B>[]>();

  /** What is bound at exactly this path or shape. */
  at(path: string): B | undefined {
    const pattern = parsePattern(path);
    return pattern === undefined
      ? this.#literal.get(keyOf(path))?.binding
      : this.#shapes.get(pattern.shape)?.binding;
  }

  /** Binds a path, in the place of what was bound there. */
  set(path: string, binding: B): void {
    const pattern = parsePattern(path);
    if (pattern === undefined) {
      this.#literal.set(keyOf(path), { binding, pattern: undefined, captured: NOTHING });
      return;
    }
    const known = this.#shapes.get(pattern.shape);
    const entry: Entry<B> = { pattern, binding };
    this.#shapes.set(pattern.shape, entry);
    const first = literalFirst(pattern);
    const line = this.#lines.get(first) ?? [];
    // Keeps its place among equals: an exact tie goes to the earlier binding.
    if (known !== undefined) line[line.indexOf(known)] = entry;
    else line.splice(placeIn(line, pattern), 0, entry);
    this.#lines.set(first, line);
  }

  delete(path: string): void {
    const pattern = parsePattern(path);
    if (pattern === undefined) {
      this.#literal.delete(keyOf(path));
      return;
    }
    const entry = this.#shapes.get(pattern.shape);
    if (entry === undefined) return;
    this.#shapes.delete(pattern.shape);
    const first = literalFirst(pattern);
    const line = (this.#lines.get(first) ?? []).filter((each) => each !== entry);
    if (line.length === 0) this.#lines.delete(first);
    else this.#lines.set(first, line);
  }

  /** What a request's path leads to: `path` has lost its one trailing slash. An exact path has more literals than any pattern. */
  find(path: string): Found<B> | undefined {
    const exact = this.#literal.get(path === '/' ? '' : path);
    if (exact !== undefined || this.#lines.size === 0) return exact;
    const own = this.#firstOf(firstSegment(path), path);
    const other = this.#firstOf('', path);
    if (own === undefined || other === undefined) return own ?? other;
    return compareRank(own.pattern!, other.pattern!) <= 0 ? own : other;
  }

  #firstOf(segment: string, path: string): Found<B> | undefined {
    const line = this.#lines.get(segment);
    if (line === undefined) return undefined;
    for (const { pattern, binding } of line) {
      const captured = matchPattern(pattern, path);
      if (captured !== undefined) return { binding, pattern, captured };
    }
    return undefined;
  }
}

/** The site root is bound as the empty path. */
function keyOf(path: string): string {
  const text = withoutSlash(path);
  return text === '' ? '' : `/${text}`;
}

function literalFirst(pattern: Pattern): string {
  const before = pattern.literals[0]!;
  const slash = before.indexOf('/');
  return slash < 0 ? '' : before.slice(0, slash);
}

function placeIn<B>(line: readonly Entry<B>[], pattern: Pattern): number {
  const place = line.findIndex((each) => compareRank(pattern, each.pattern) < 0);
  return place < 0 ? line.length : place;
}
