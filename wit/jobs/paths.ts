/** Paths of a job's inputs and outputs (compute-market.md §3.2): what is safe on every file system they may land on. */

const COMPONENT_BYTES_MAX = 255;
const PATH_BYTES_MAX = 1_024;
// eslint-disable-next-line no-control-regex -- control characters are what a path must not contain
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;
const utf8 = new TextEncoder();

/** Why a path is refused, or undefined for a good one. */
export function pathProblem(path: string): string | undefined {
  if (path === '') return 'is empty';
  if (!path.isWellFormed()) return 'is not Unicode';
  if (path.normalize('NFC') !== path) return 'is not in Unicode normal form C';
  if (CONTROL.test(path)) return 'contains a control character';
  if (path.includes('\\')) return 'contains a backslash';
  if (path.startsWith('/')) return 'is absolute';
  if (utf8.encode(path).length > PATH_BYTES_MAX) return `is longer than ${PATH_BYTES_MAX} bytes`;
  for (const component of path.split('/')) {
    if (component === '') return 'has an empty component';
    if (component === '.' || component === '..') return `has a component ${component}`;
    if (utf8.encode(component).length > COMPONENT_BYTES_MAX) {
      return `has a component longer than ${COMPONENT_BYTES_MAX} bytes`;
    }
  }
  return undefined;
}

/** The first path that another one equals but for case, or that another one needs as a folder. */
export function clashingPath(paths: readonly string[]): string | undefined {
  const folded = paths.map((path) => path.toLowerCase());
  const seen = new Set(folded);
  if (seen.size < folded.length) {
    const first = new Set<string>();
    return paths.find((path) => first.size === first.add(path.toLowerCase()).size);
  }
  return paths.find((_, index) => {
    const parts = folded[index]!.split('/');
    return parts.some((_part, end) => end > 0 && seen.has(parts.slice(0, end).join('/')));
  });
}

/** Whether a path is matched by one of the patterns: `*` within a component, `**` across them. */
export function matchesPattern(path: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => matchParts(path.split('/'), pattern.split('/')));
}

/** Row by row over the pattern's components, so that no pattern takes more than path times pattern. */
function matchParts(path: readonly string[], pattern: readonly string[]): boolean {
  let reach = new Set([0]);
  for (const part of pattern) {
    const next = new Set<number>();
    for (const at of reach) {
      if (part === '**') for (let end = at; end <= path.length; end += 1) next.add(end);
      else if (at < path.length && matchComponent(path[at]!, part)) next.add(at + 1);
    }
    reach = next;
  }
  return reach.has(path.length);
}

/** `*` stands for any characters of a component. Greedy from the front: the pieces between stars in order. */
function matchComponent(text: string, pattern: string): boolean {
  const pieces = pattern.split('*');
  if (pieces.length === 1) return text === pattern;
  const first = pieces[0]!;
  const last = pieces[pieces.length - 1]!;
  if (!text.startsWith(first) || text.length < first.length + last.length) return false;
  let at = first.length;
  for (const piece of pieces.slice(1, -1)) {
    const found = text.indexOf(piece, at);
    if (found === -1) return false;
    at = found + piece.length;
  }
  return text.endsWith(last) && text.length - last.length >= at;
}
