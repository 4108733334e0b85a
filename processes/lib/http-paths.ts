/**
 * Paths and patterns of `http-server:distro:sys` (runtime-modules.md §6.3, §6.4): a pattern is split at `/` and `.`; a part that starts
 * with `:` is a parameter, one that starts with `*` takes the rest; everything else is itself.
 */

/** The names in a pattern: `'/lists/:list/items/:item.json'` has `list` and `item`. */
export type ParameterNames<P extends string> = string extends P ? string : NameOf<Parts<P>>;

/** What a handler of that pattern is given, decoded. */
export type ParametersOf<P extends string> = { readonly [K in ParameterNames<P>]: string };

type Parts<P extends string> = P extends `${infer A}/${infer B}` ? Parts<A> | Parts<B> : Dotted<P>;
type Dotted<P extends string> = P extends `${infer A}.${infer B}` ? A | Dotted<B> : P;
type NameOf<S extends string> = S extends `:${infer N}` | `*${infer N}`
  ? N extends ''
    ? never
    : N
  : never;

/** The one process whose paths have no prefix. */
const HOMEPAGE = 'homepage:homepage:sys';

/** What stands before the paths of a process: `/p:k:q`, or nothing for the homepage. */
export function prefixOf(process: string): string {
  return process === HOMEPAGE ? '' : `/${process}`;
}

/** The path that the module binds for a process that binds `path` (M120). */
export function boundPath(process: string, path: string): string {
  return prefixOf(process) + normalPath(path);
}

/** With a leading slash, without one trailing slash; the root is empty. */
export function normalPath(path: string): string {
  const whole = path.startsWith('/') ? path : `/${path}`;
  return whole.endsWith('/') ? whole.slice(0, -1) : whole;
}

/** The path of a URL. */
export function pathIn(url: string): string {
  const slash = url.indexOf('/', url.indexOf('://') + 3);
  return slash < 0 ? '' : url.slice(slash);
}

/** What the reserved characters of a file name are in the path that a browser asks for, which is matched as it comes (M127). */
export function encodePath(path: string): string {
  return path.split('/').map(encodeName).join('/');
}

/**
 * As WHATWG URL writes it, and what no URL needs but a pattern would take for its own: a colon or star where a part starts.
 */
function encodeName(name: string): string {
  return encodeURI(name.toWellFormed())
    .replaceAll('%5B', '[')
    .replaceAll('%5D', ']')
    .replaceAll('%7C', '|')
    .replaceAll('#', '%23')
    .replaceAll('?', '%3F')
    .replaceAll(
      /(^|\.)([:*])/g,
      (_all, before: string, sign: string) => `${before}${sign === ':' ? '%3A' : '%2A'}`,
    );
}

/** The path as its other usual form, every reserved character escaped: what `encodeURIComponent` makes of a name. */
export function encodePathFully(path: string): string {
  return path
    .split('/')
    .map((name) => encodeURIComponent(name.toWellFormed()).replaceAll(/(^|\.)\*/g, '$1%2A'))
    .join('/');
}

/** Whether a pattern has parameters or wildcards. */
export function isPattern(path: string): boolean {
  return partsOf(path).some((part) => part.kind !== 'literal');
}

type Part =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'parameter' | 'wildcard'; readonly name: string };

/** A pattern, ready to be matched. */
export class PathPattern {
  readonly #parts: readonly Part[];

  /** @param pattern without one trailing slash */
  constructor(pattern: string) {
    this.#parts = partsOf(pattern);
  }

  /** The values of its parameters as they stand in the path, or undefined when it does not match. */
  match(path: string): Readonly<Record<string, string>> | undefined {
    const values: Record<string, string> = {};
    return this.#from(0, path, 0, values) ? values : undefined;
  }

  /** Less than zero when this one wins over the other: more literals, then more parameters, then more wildcards (M122). */
  compare(other: PathPattern): number {
    for (const kind of ['literal', 'parameter', 'wildcard'] as const) {
      const difference = other.#count(kind) - this.#count(kind);
      if (difference !== 0) return difference;
    }
    return 0;
  }

  #count(kind: Part['kind']): number {
    // Separators are literals of the matcher, not of the pattern.
    return this.#parts.filter(
      (part) => part.kind === kind && !(part.kind === 'literal' && /^[/.]?$/.test(part.text)),
    ).length;
  }

  /** Greedy, with the end of what a parameter took moved back until the rest matches. */
  #from(index: number, path: string, at: number, values: Record<string, string>): boolean {
    const part = this.#parts[index];
    if (part === undefined) return at === path.length;
    if (part.kind === 'literal') {
      return path.startsWith(part.text, at)
        ? this.#from(index + 1, path, at + part.text.length, values)
        : false;
    }
    const slash = part.kind === 'wildcard' ? -1 : path.indexOf('/', at);
    for (let end = slash < 0 ? path.length : slash; end > at; end--) {
      if (!this.#from(index + 1, path, end, values)) continue;
      if (part.name !== '') values[part.name] = path.slice(at, end);
      return true;
    }
    return false;
  }
}

function partsOf(pattern: string): Part[] {
  const parts: Part[] = [];
  for (const text of pattern.split(/(?=[/.])|(?<=[/.])/)) {
    if (text.startsWith(':')) parts.push({ kind: 'parameter', name: text.slice(1) });
    else if (text.startsWith('*')) parts.push({ kind: 'wildcard', name: text.slice(1) });
    else parts.push({ kind: 'literal', text });
  }
  return parts;
}
