/**
 * Level 3 shows every event but the traffic of writing logs, level 4 that too (runtime-modules.md §9.2). Decided on the message, not on
 * its printed text: a request to vfs with action Metadata, Append or CloseFile on the drive `log`, and the response to it.
 */
import type { KernelMessage } from '../../wit/types.ts';

const EVENT_LEVEL = 3;
const LOG_TRAFFIC_LEVEL = 4;
/** Hidden requests whose response is awaited; older ones are forgotten, and their responses shown. */
const PENDING_MAX = 1_000;
/** A log line's request is short; larger bodies are not looked into. */
const BODY_BYTES_MAX = 4_096;
const LOG_ACTIONS: readonly unknown[] = ['Metadata', 'Append', 'CloseFile'];

export class EventLevels {
  readonly #hidden = new Set<KernelMessage['id']>();

  /** The level at which this event is to be printed. */
  of(event: KernelMessage): number {
    const { message, id } = event;
    if (message.kind === 'response')
      return this.#hidden.delete(id) ? LOG_TRAFFIC_LEVEL : EVENT_LEVEL;
    if (!isLogTraffic(event.target.process, message.request.body)) return EVENT_LEVEL;
    if (message.request.expectsResponse !== undefined) this.#remember(id);
    return LOG_TRAFFIC_LEVEL;
  }

  #remember(id: KernelMessage['id']): void {
    this.#hidden.add(id);
    for (const oldest of this.#hidden) {
      if (this.#hidden.size <= PENDING_MAX) break;
      this.#hidden.delete(oldest);
    }
  }
}

function isLogTraffic(target: string, body: Uint8Array): boolean {
  if (!target.startsWith('vfs:') || body.length > BODY_BYTES_MAX) return false;
  try {
    const request = JSON.parse(new TextDecoder().decode(body)) as {
      path?: unknown;
      action?: unknown;
    } | null;
    if (typeof request?.path !== 'string' || !LOG_ACTIONS.includes(request.action)) return false;
    return request.path.split('/').filter((part) => part !== '')[1] === 'log';
  } catch {
    return false;
  }
}
