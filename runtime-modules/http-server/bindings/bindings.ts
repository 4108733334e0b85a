/**
 * Who owns a path (runtime-modules.md §6.2, §6.3): HTTP and WebSocket routes are separate tables. Bindings live in memory; a process's
 * go when it ends for good (H15). An unbound path stays as one that answers 404 (M124).
 */
import { packageOf, processId } from '../../../wit/address.ts';
import type { ProcessId } from '../../../wit/types.ts';
import {
  BINDINGS_PER_PROCESS_MAX,
  PATH_CHARS_MAX,
  PATTERN_PARTS_MAX,
  PATTERNS_PER_PROCESS_MAX,
  STATIC_BYTES_PER_PROCESS_MAX,
} from '../limits.ts';
import { parsePattern, RouteTable } from './match.ts';
import type { BoundPath } from '../login/access.ts';
import type { SecureLabels } from './secure-labels.ts';
import type { StaticContent } from '../static/static.ts';

/** Whose paths are the site's own, and who may bind those of others. */
export const HOMEPAGE = processId('homepage:homepage:sys');

interface Bound extends BoundPath {
  /** As bound, with the prefix; in the message to the process. */
  readonly path: string;
  /** False: unbound, and answers 404. */
  readonly live: boolean;
}

export interface HttpBinding extends Bound {
  /** Its path as JSON. */
  readonly pathJson: string;
  readonly localOnly: boolean;
  /** Answers GET in the process's place. */
  readonly content: StaticContent | undefined;
}

export interface WsBinding extends Bound {
  readonly extension: boolean;
}

/** Bound path of what a process asks for: the process id before it, but for the homepage, and without one trailing slash. */
export function boundPath(process: ProcessId, path: string): string {
  const absolute = path.startsWith('/') ? path : `/${path}`;
  return withoutTrailingSlash(process === HOMEPAGE ? absolute : `/${process}${absolute}`);
}

export function withoutTrailingSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path;
}

/** What one process has. */
interface Holdings {
  readonly http: Set<HttpBinding>;
  readonly ws: Set<WsBinding>;
  patterns: number;
  bytes: number;
}

export class Bindings {
  readonly http = new RouteTable<HttpBinding>();
  readonly ws = new RouteTable<WsBinding>();
  readonly #holdings = new Map<ProcessId, Holdings>();
  readonly labels: SecureLabels;

  constructor(labels: SecureLabels) {
    this.labels = labels;
  }

  /** Bound paths, unbound ones not counted. */
  get size(): number {
    let live = 0;
    for (const { http, ws } of this.#holdings.values()) {
      for (const each of http) if (each.live) live++;
      for (const each of ws) if (each.live) live++;
    }
    return live;
  }

  /** Replaces everything about the path; a text says which limit forbids it. */
  bindHttp(binding: HttpBinding): string | undefined {
    const replaced = this.http.at(binding.path);
    const refusal = this.#refusal(binding, replaced, binding.content?.bytes.length ?? 0);
    if (refusal !== undefined) return refusal;
    if (replaced !== undefined) this.#release(replaced, 'http');
    this.http.set(binding.path, binding);
    this.#hold(binding, 'http');
    return undefined;
  }

  /** The same for WebSockets. */
  bindWs(binding: WsBinding): string | undefined {
    const replaced = this.ws.at(binding.path);
    const refusal = this.#refusal(binding, replaced, 0);
    if (refusal !== undefined) return refusal;
    if (replaced !== undefined) this.#release(replaced, 'ws');
    this.ws.set(binding.path, binding);
    this.#hold(binding, 'ws');
    return undefined;
  }

  /** The process has ended for good. */
  drop(process: ProcessId): void {
    const holdings = this.#holdings.get(process);
    if (holdings === undefined) return;
    for (const binding of [...holdings.http]) {
      this.http.delete(binding.path);
      this.#release(binding, 'http');
    }
    for (const binding of [...holdings.ws]) {
      this.ws.delete(binding.path);
      this.#release(binding, 'ws');
    }
  }

  #refusal(binding: Bound, replaced: Bound | undefined, bytes: number): string | undefined {
    const { path, process } = binding;
    if (path.length > PATH_CHARS_MAX) return `a path of ${path.length} characters`;
    const label = binding.secureSubdomain;
    if (label !== undefined && !this.labels.isFreeFor(label, packageOf(process)))
      return `the subdomain ${label} is another package's`;
    const pattern = parsePattern(path);
    if (pattern !== undefined && pattern.parts.length > PATTERN_PARTS_MAX) {
      return `more than ${PATTERN_PARTS_MAX} parameters in one path`;
    }
    const held = this.#holdings.get(process);
    if (held === undefined) {
      return bytes > STATIC_BYTES_PER_PROCESS_MAX ? TOO_MANY_BYTES : undefined;
    }
    const own = replaced?.process === process ? replaced : undefined;
    const more = own === undefined ? 1 : 0;
    if (held.http.size + held.ws.size + more > BINDINGS_PER_PROCESS_MAX) {
      return `more than ${BINDINGS_PER_PROCESS_MAX} paths`;
    }
    if (pattern !== undefined && held.patterns + more > PATTERNS_PER_PROCESS_MAX) {
      return `more than ${PATTERNS_PER_PROCESS_MAX} paths with parameters`;
    }
    const freed = own === undefined ? 0 : contentBytes(own);
    return held.bytes - freed + bytes > STATIC_BYTES_PER_PROCESS_MAX ? TOO_MANY_BYTES : undefined;
  }

  #hold(binding: HttpBinding | WsBinding, table: 'http' | 'ws'): void {
    let held = this.#holdings.get(binding.process);
    if (held === undefined) {
      held = { http: new Set(), ws: new Set(), patterns: 0, bytes: 0 };
      this.#holdings.set(binding.process, held);
    }
    (held[table] as Set<Bound>).add(binding);
    held.bytes += contentBytes(binding);
    if (parsePattern(binding.path) !== undefined) held.patterns++;
    const label = binding.secureSubdomain;
    if (label !== undefined) this.labels.take(label, packageOf(binding.process));
  }

  #release(binding: HttpBinding | WsBinding, table: 'http' | 'ws'): void {
    const held = this.#holdings.get(binding.process);
    if (held === undefined) return;
    (held[table] as Set<Bound>).delete(binding);
    held.bytes -= contentBytes(binding);
    if (parsePattern(binding.path) !== undefined) held.patterns--;
    if (held.http.size + held.ws.size === 0) this.#holdings.delete(binding.process);
    const label = binding.secureSubdomain;
    if (label !== undefined) this.labels.release(label);
  }
}

const TOO_MANY_BYTES = `more than ${STATIC_BYTES_PER_PROCESS_MAX} bytes of static content`;

function contentBytes(binding: Bound): number {
  return (binding as Partial<HttpBinding>).content?.bytes.length ?? 0;
}
