/**
 * Printouts (kernel.md §8.3): records with a verbosity, turned into text only by the terminal and the log. Levels: 0 the owner must
 * see, 1 debug, 2 runtime detail, 3 every event.
 */
import { formatAddress } from '../wit/address.ts';
import type { Capability, KernelMessage, ProcessId } from '../wit/types.ts';
import type { MaybePromise } from './process-host.ts';

export type Printout =
  | { readonly verbosity: number; readonly process: ProcessId; readonly text: string }
  /** One message that passed the access checks. */
  | { readonly verbosity: 3; readonly process: ProcessId; readonly event: KernelMessage };

/** Where printouts go. A promise makes the guest that printed wait. */
export interface PrintSink {
  print(printout: Printout): MaybePromise<void>;
}

/** A printout as text: the line itself, or the message field by field (kernel.md §8.4). */
export function renderPrintout(printout: Printout): string {
  return 'text' in printout ? printout.text : renderMessage(printout.event);
}

/** A message as the event view shows it: one field a line, in braces. */
export function renderMessage(message: KernelMessage): string {
  const lines = [
    `id: ${message.id},`,
    `source: ${formatAddress(message.source)},`,
    `target: ${formatAddress(message.target)},`,
    `rsvp: ${message.rsvp === undefined ? 'None' : formatAddress(message.rsvp)},`,
    `message: ${renderContent(message)},`,
    `blob: ${message.blob !== undefined}`,
  ];
  return `{\n    ${lines.join('\n    ')}\n}`;
}

function renderContent({ message }: KernelMessage): string {
  if (message.kind === 'request') {
    const { request } = message;
    return `Request(\n        ${[
      `inherit: ${request.inherit},`,
      `expects_response: ${some(request.expectsResponse)},`,
      `body: ${renderBody(request.body)},`,
      `metadata: ${request.metadata ?? 'None'},`,
      `capabilities: ${renderCapabilities(request.capabilities)}`,
    ].join('\n        ')}\n    )`;
  }
  const { response, context } = message;
  return `Response(\n        ${[
    `inherit: ${response.inherit},`,
    `body: ${renderBody(response.body)},`,
    `metadata: ${response.metadata ?? 'None'},`,
    `context: ${context === undefined ? 'None' : renderBody(context)},`,
    `capabilities: ${renderCapabilities(response.capabilities)}`,
  ].join('\n        ')}\n    )`;
}

function some(value: number | bigint | undefined): string {
  return value === undefined ? 'None' : `Some(${value})`;
}

function renderBody(body: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    return `[${body.join(', ')}]`;
  }
}

function renderCapabilities(capabilities: readonly Capability[]): string {
  const items = capabilities.map(({ issuer, params }) => `${formatAddress(issuer)}(${params})`);
  return `[${items.join(', ')}]`;
}
