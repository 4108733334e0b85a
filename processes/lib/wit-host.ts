/** The host of a component: the WIT imports, with the differences between JavaScript engines evened out (dependencies.md §1). */
import * as standard from 'hyperware:process/standard@1.0.0';
import type {
  Address,
  Capability,
  LazyLoadBlob,
  Message,
  OnExit,
  OutgoingRequest,
  ProcessId,
  Request,
  Response,
  SendError,
  U64,
} from '../../wit/types.ts';
import type { Host } from './host.ts';

export const witHost: Host = {
  our: () => addressFrom(standard.our()),
  print: standard.printToTerminal,
  getOnExit: () => onExitFrom(standard.getOnExit()),
  setOnExit: (onExit) => standard.setOnExit(onExitTo(onExit)),
  getState: () => standard.getState() ?? undefined,
  setState: standard.setState,
  clearState: standard.clearState,
  spawn(options) {
    try {
      const id = standard.spawn(
        options.name ?? null,
        options.wasmPath,
        onExitTo(options.onExit),
        options.requestCapabilities.map(capabilityTo),
        options.grantCapabilities.map(({ process, params }) => [processTo(process), params]),
        options.public,
      );
      return { ok: true, value: processFrom(id) };
    } catch (error) {
      const reason = payloadOf(error);
      if (reason === 'name-taken' || reason === 'no-file-at-path') {
        return { ok: false, error: reason };
      }
      throw error;
    }
  },
  saveCapabilities: (capabilities) => standard.saveCapabilities(capabilities.map(capabilityTo)),
  dropCapabilities: (capabilities) => standard.dropCapabilities(capabilities.map(capabilityTo)),
  ourCapabilities: () => standard.ourCapabilities().map(capabilityFrom),
  receive() {
    try {
      const [source, message] = standard.receive();
      return { kind: 'message', source: addressFrom(source), message: messageFrom(message) };
    } catch (error) {
      // Proof of the type: the only error that the contract gives `receive`.
      const payload = payloadOf(error) as
        | [standard.WireSendError, Uint8Array | null | undefined]
        | undefined;
      if (payload === undefined) throw error;
      return {
        kind: 'send-error',
        error: sendErrorFrom(payload[0]),
        context: payload[1] ?? undefined,
      };
    }
  },
  hasBlob: standard.hasBlob,
  getBlob: () => blobFrom(standard.getBlob()),
  lastBlob: () => blobFrom(standard.lastBlob()),
  sendRequest: ({ target, request, context, blob }) =>
    standard.sendRequest(addressTo(target), requestTo(request), context ?? null, blobTo(blob)),
  sendRequests: (requests) => standard.sendRequests(requests.map(outgoingTo)),
  sendResponse: (response, blob) => standard.sendResponse(responseTo(response), blobTo(blob)),
  sendAndAwaitResponse(target, request, blob) {
    try {
      const [source, message] = standard.sendAndAwaitResponse(
        addressTo(target),
        requestTo(request),
        blobTo(blob),
      );
      return {
        ok: true,
        value: { source: addressFrom(source), message: messageFrom(message) },
      };
    } catch (error) {
      const payload = payloadOf(error) as standard.WireSendError | undefined;
      if (payload === undefined) throw error;
      return { ok: false, error: sendErrorFrom(payload) };
    }
  },
};

/** A `result`'s error, which both engines throw as an Error with a payload; undefined for an error of any other kind. */
function payloadOf(error: unknown): unknown {
  return error instanceof Error && 'payload' in error ? error.payload : undefined;
}

// ---- from the wire

function processFrom({
  processName,
  packageName,
  publisherNode,
}: standard.WireProcessId): ProcessId {
  return `${processName}:${packageName}:${publisherNode}` as ProcessId;
}

function addressFrom({ node, process }: standard.WireAddress): Address {
  return { node, process: processFrom(process) };
}

function capabilityFrom({ issuer, params }: standard.WireCapability): Capability {
  return { issuer: addressFrom(issuer), params };
}

function blobFrom(blob: standard.WireBlob | null | undefined): LazyLoadBlob | undefined {
  return blob == null ? undefined : { mime: blob.mime ?? undefined, bytes: blob.bytes };
}

/** StarlingMonkey gives a bigint; both become a number where it is exact. QuickJS has lost the digits above 2^53 by then. */
function u64From(value: number | bigint | null | undefined): U64 | undefined {
  if (value == null) return undefined;
  return typeof value === 'bigint' && value <= BigInt(Number.MAX_SAFE_INTEGER)
    ? Number(value)
    : value;
}

function requestFrom(request: standard.WireRequest): Request {
  return {
    inherit: request.inherit,
    expectsResponse: u64From(request.expectsResponse),
    body: request.body,
    metadata: request.metadata ?? undefined,
    capabilities: request.capabilities.map(capabilityFrom),
  };
}

function messageFrom(message: standard.WireMessage): Message {
  if (message.tag === 'request') return { kind: 'request', request: requestFrom(message.val) };
  const [response, context] = message.val;
  return {
    kind: 'response',
    response: {
      inherit: response.inherit,
      body: response.body,
      metadata: response.metadata ?? undefined,
      capabilities: response.capabilities.map(capabilityFrom),
    },
    context: context ?? undefined,
  };
}

function sendErrorFrom(error: standard.WireSendError): SendError {
  return {
    kind: error.kind,
    target: addressFrom(error.target),
    message: messageFrom(error.message),
    blob: blobFrom(error.lazyLoadBlob),
  };
}

function onExitFrom(onExit: standard.WireOnExit): OnExit {
  if (onExit.tag !== 'requests') return { kind: onExit.tag };
  const requests = onExit.val.map(([target, request, blob]) => ({
    target: addressFrom(target),
    request: requestFrom(request),
    blob: blobFrom(blob),
  }));
  return { kind: 'requests', requests };
}

// ---- to the wire

function processTo(process: ProcessId): standard.WireProcessId {
  const [processName = '', packageName = '', publisherNode = ''] = process.split(':');
  return { processName, packageName, publisherNode };
}

function addressTo({ node, process }: Address): standard.WireAddress {
  return { node, process: processTo(process) };
}

function capabilityTo({ issuer, params }: Capability): standard.WireCapability {
  return { issuer: addressTo(issuer), params };
}

function blobTo(blob: LazyLoadBlob | undefined): standard.WireBlob | null {
  return blob === undefined ? null : { mime: blob.mime ?? null, bytes: blob.bytes };
}

function requestTo(request: Request): standard.WireRequest {
  const { inherit, expectsResponse, body, metadata, capabilities } = request;
  return {
    inherit,
    // A bigint would trap a QuickJS component. No timeout needs the digits that a number lacks.
    expectsResponse: expectsResponse === undefined ? null : Number(expectsResponse),
    body,
    metadata: metadata ?? null,
    capabilities: capabilities.map(capabilityTo),
  };
}

function responseTo({ inherit, body, metadata, capabilities }: Response): standard.WireResponse {
  return {
    inherit,
    body,
    metadata: metadata ?? null,
    capabilities: capabilities.map(capabilityTo),
  };
}

function outgoingTo({
  target,
  request,
  context,
  blob,
}: OutgoingRequest): Parameters<typeof standard.sendRequests>[0][number] {
  return [addressTo(target), requestTo(request), context ?? null, blobTo(blob)];
}

function onExitTo(onExit: OnExit): standard.WireOnExit {
  if (onExit.kind !== 'requests') return { tag: onExit.kind };
  const val = onExit.requests.map(
    ({
      target,
      request,
      blob,
    }): [standard.WireAddress, standard.WireRequest, standard.WireBlob | null] => [
      addressTo(target),
      requestTo(request),
      blobTo(blob),
    ],
  );
  return { tag: 'requests', val };
}
