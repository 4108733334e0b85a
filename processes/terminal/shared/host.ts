/**
 * The real `Guest`: straight on the host functions, because scripts are started for one line of text each and every kilobyte of
 * library would be parsed again each time.
 */
import {
  getBlob,
  getState,
  our,
  ourCapabilities,
  printToTerminal,
  receive,
  sendAndAwaitResponse,
  sendRequest,
  sendResponse,
  setState,
  type WireAddress,
  type WireCapability,
  type WireMessage,
} from 'hyperware:process/standard@1.0.0';
import type { Address, Capability, ProcessId } from '../../../wit/types.ts';
import type { AskOptions, Guest, Reply } from './guest.ts';
import { Terminal } from './terminal.ts';

/** The `init` of a script: one request in, one result out (runtime-modules.md §10.3, "Guest side"). */
export function script(run: (guest: Guest, args: string) => string): (ourText: string) => void {
  return () => {
    const message = nextMessage();
    if (message?.message.tag !== 'request') return;
    const { body, expectsResponse } = message.message.val;
    const result = run(guestOf(our()), new TextDecoder().decode(body));
    if (expectsResponse !== null && expectsResponse !== undefined) respond(result);
    // A table starts below the line's own prefix, so that its columns line up.
    else if (result !== '') printToTerminal(0, result.includes('\n') ? `\n${result}` : result);
  };
}

/** The `init` of the terminal process. */
export function terminal(): void {
  const core = new Terminal(guestOf(our()));
  for (;;) {
    const next = nextMessage();
    if (next === undefined) continue;
    const { source, message } = next;
    if (message.tag === 'response') {
      core.onResponse(message.val[0].body);
      continue;
    }
    const { body, expectsResponse } = message.val;
    const answer = core.onRequest({
      source: addressOf(source),
      body,
      expectsResponse: expectsResponse !== null && expectsResponse !== undefined,
    });
    if (answer !== undefined) respond(answer);
  }
}

/** The next message; undefined for a send error, which nobody here waits for. */
function nextMessage(): { source: WireAddress; message: WireMessage } | undefined {
  try {
    const [source, message] = receive();
    return { source, message };
  } catch (error) {
    if (isHostError(error)) return undefined;
    throw error;
  }
}

function respond(text: string): void {
  const body = new TextEncoder().encode(text);
  sendResponse({ inherit: false, body, metadata: null, capabilities: [] }, null);
}

function guestOf(self: WireAddress): Guest {
  return {
    our: addressOf(self),
    print: printToTerminal,
    ask,
    send: (target, body) => {
      sendRequest(wireAddress(target), request(body, null, false, []), null, null);
    },
    blob: () => {
      const blob = getBlob();
      return blob === null || blob === undefined
        ? undefined
        : { mime: blob.mime ?? undefined, bytes: blob.bytes };
    },
    capabilities: () => ourCapabilities().map(capabilityOf),
    randomName: () => {
      const words = crypto.getRandomValues(new Uint32Array(2));
      return ((BigInt(words[0] ?? 0) << 32n) | BigInt(words[1] ?? 0)).toString();
    },
    state: () => getState() ?? undefined,
    setState,
  };
}

function ask(target: Address, body: string | Uint8Array, options: AskOptions): Reply {
  const { timeoutS, inherit = false, capabilities = [] } = options;
  try {
    const [, message] = sendAndAwaitResponse(
      wireAddress(target),
      request(body, timeoutS, inherit, capabilities),
      null,
    );
    if (message.tag === 'response') return { kind: 'response', body: message.val[0].body };
    return { kind: 'timeout' };
  } catch (error) {
    if (!isHostError(error)) throw error;
    return { kind: error.payload.kind === 'offline' ? 'offline' : 'timeout' };
  }
}

function request(
  body: string | Uint8Array,
  expectsResponse: number | null,
  inherit: boolean,
  capabilities: readonly Capability[],
): Parameters<typeof sendRequest>[1] {
  return {
    inherit,
    expectsResponse,
    body: typeof body === 'string' ? new TextEncoder().encode(body) : body,
    metadata: null,
    capabilities: capabilities.map(({ issuer, params }) => ({
      issuer: wireAddress(issuer),
      params,
    })),
  };
}

/** An error the host answered with, as opposed to a fault of ours. */
function isHostError(error: unknown): error is { payload: { kind?: string } } {
  return error instanceof Error && 'payload' in error;
}

function addressOf({ node, process }: WireAddress): Address {
  const { processName, packageName, publisherNode } = process;
  return { node, process: `${processName}:${packageName}:${publisherNode}` as ProcessId };
}

function wireAddress({ node, process }: Address): WireAddress {
  const [processName = '', packageName = '', publisherNode = ''] = process.split(':');
  return { node, process: { processName, packageName, publisherNode } };
}

function capabilityOf({ issuer, params }: WireCapability): Capability {
  return { issuer: addressOf(issuer), params };
}
